"""The wires of a running lab: which NIC is on which, and what is cut.

A wire that is cut takes the carrier from every NIC on it; a plug that is pulled (HOST:NIC) from that NIC alone. The two
are apart: a wire that is mended leaves pulled plugs pulled. What is cut stands in the lab's journal, so that a server
that takes over goes by it whatever the other had got done.

So does what the lab's file says of each wire. When that says something else, what differs is done to the wire; what it
says as before is left as it has become since, so that a wire that was cut by hand stays cut. What frames meet on a wire
lies in the kernel, at each port of it, and so is put right wherever a port comes or changes wires.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from vjail.kernel.conditions import Conditions
from vjail.kernel.core.journal import Journal
from vjail.kernel.core.mac import nic_address
from vjail.kernel.core.network import Network, Nic
from vjail.kernel.core.part import Caller
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.netlink import NetlinkError
from vjail.kernel.linux.wires import Wires
from vjail.lab.model import WireSettings

if TYPE_CHECKING:
    from vjail.server.host import LabHost

_log = logging.getLogger(__name__)
_CUT, _SAID = "cut", "wire"


class Unknown(Exception):
    """There is no such wire or plug; the text says so, and what there is."""


class Wiring:
    """The wires of a lab with its hosts by name, which come and go."""

    def __init__(self, wires: Wires, journal: Journal, lab: str, hosts: Mapping[str, LabHost]) -> None:
        self._wires = wires
        self._journal = journal
        self._lab = lab
        self._hosts = hosts
        self._cut = {key for key, _ in journal.records(_CUT)}
        said: dict[str, Any] = dict(journal.records(_SAID))
        self._said = {wire: WireSettings.of_record(record) for wire, record in said.items()}
        for wire, nic in self.uplinks.items():
            # The server that wrote this down may have died before it did it.
            with contextlib.suppress(NetlinkError):
                self._wires.tie(wire, nic, carrier=wire not in self._cut)
        self._conditions: dict[str, Conditions] = {}
        for wire, settings in self._said.items():
            # Also of wires that only carry: it may have died between doing it and writing it down.
            try:
                self._shape(wire)
            except OSError:
                _log.exception("wire %s: %s", wire, settings.conditions)

    @property
    def cut(self) -> frozenset[str]:
        """What is cut: wires, and plugs as HOST:NIC."""
        return frozenset(self._cut)

    @property
    def uplinks(self) -> Mapping[str, str]:
        """The NICs of this machine by the wire they are on."""
        return {wire: said.nic for wire, said in self._said.items() if said.nic is not None}

    @property
    def said(self) -> Mapping[str, WireSettings]:
        """What the lab's file has said of each wire."""
        return self._said

    @property
    def conditions(self) -> Mapping[str, Conditions]:
        """What frames meet on those wires that do more than carry them: what is said of them and can be done here."""
        return {wire: conditions for wire, conditions in self._conditions.items() if conditions}

    def apply(self, wire: str, settings: WireSettings | None) -> None:
        """Let a wire, also a new one, be as is said of it now, where that differs; None: it goes. Raises OSError.

        A card of this machine has been lent to the lab before, and goes home afterwards.
        """
        said = self._said.get(wire)
        before, now = said or WireSettings(), settings or WireSettings()
        self._note(wire, settings)
        if now.nic != before.nic and before.nic is not None:
            # It may have gone home by itself.
            with contextlib.suppress(NetlinkError):
                self._wires.untie(wire, before.nic)
        try:
            if now.nic != before.nic and now.nic is not None:
                self._wires.tie(wire, now.nic, carrier=wire not in self._cut)
            if now.conditions != before.conditions or now.nic != before.nic:
                self._shape(wire)
        except OSError:
            self._note(wire, said)
            raise
        if now.cut != before.cut or settings is None:
            self._set_cut(wire, now.cut)
        if settings is None:
            self._wires.drop(wire)
            self._conditions.pop(wire, None)

    def _note(self, wire: str, said: WireSettings | None) -> None:
        """Write down what is said of a wire; None: nothing."""
        if said is not None:
            self._said[wire] = said
            self._journal.put(_SAID, wire, said.as_record())
        elif self._said.pop(wire, None) is not None:
            self._journal.drop(_SAID, wire)

    def _shape(self, wire: str) -> None:
        """Let frames meet what is said of a wire, as far as this machine's kernel can do it. Raises OSError."""
        conditions = self._possible(wire)
        self._wires.shape(wire, conditions)
        self._conditions[wire] = conditions

    def _possible(self, wire: str) -> Conditions:
        said = self._said.get(wire, WireSettings()).conditions
        return said.without(*self._wires.lacking(said))

    def look_again(self, wanted: Mapping[str, Conditions]) -> Iterator[str]:
        """What this machine's kernel lacks for what wires are to do, in lines; they go without. Raises OSError.

        What it lacked may have come since, as a module: then what was said of wires before is done now.
        """
        self._wires.look_again()
        for wire in self._said:
            before = self._conditions.get(wire, Conditions())
            if self._possible(wire) != before:
                self._shape(wire)
                yield f"wire {wire}: {before} -> {self._conditions[wire]}: this machine's kernel can do that now"
        for wire, conditions in wanted.items():
            for key, features in self._wires.lacking(conditions).items():
                yield (
                    f"wire {wire}: no {key}: this machine's kernel has no {', no '.join(features)}; "
                    f"`modprobe {features[0].split()[0]}`, where the kernel comes with it, is enough"
                )

    def plug(self, host: str, namespace: int, nics: Mapping[str, str]) -> dict[str, bytes]:
        """Make a host's NICs (the wire of each, by name) and plug them in; their MACs. Raises OSError."""
        addresses = {nic: nic_address(self._lab, host, nic) for nic in nics}
        for nic, wire in nics.items():
            carrier = self._has_carrier(host, nic, wire)
            self._wires.plug(wire, host, namespace, nic, addresses[nic], carrier=carrier)
        for wire in dict.fromkeys(nics.values()):
            if wire in self.conditions:
                self._shape(wire)
        return addresses

    def rewire(self, host: LabHost, cards: Mapping[str, str]) -> None:
        """Let a host that runs have these cards, each on its wire; `host.nics` follows. OSError, KernelError.

        A card that goes is gone at once, also out of a jail; one that moves to another wire stays what and where it is.
        One that is to be there and has lost its device, as another server died, comes anew.
        """
        there = host.network.nics()
        for nic in there:
            if nic not in cards or not self._wires.is_plugged(host.name, nic):
                host.kernel.change_nics(partial(Network.remove_nic, made_as=nic))
                self._mark(f"{host.name}:{nic}", False)
                host.nics.pop(nic, None)
        there = host.network.nics()
        for nic, wire in cards.items():
            if nic in there:
                for each in self._wires.move(wire, host.name, nic):
                    self._shape(each)
            else:
                self._bring(host, nic, wire)
            host.nics[nic] = wire
            self._let_see(host, nic, wire)
        host.nics = {nic: host.nics[nic] for nic in cards}

    def _bring(self, host: LabHost, nic: str, wire: str) -> None:
        """Let a host that runs have a new card."""
        if host.network.has_interface(Caller(0, 0), nic):
            raise KernelError(Errno.EEXIST, f"{nic}: an interface of that name is there")
        addresses = self.plug(host.name, host.space.namespaces["net"], {nic: wire})
        host.kernel.change_nics(partial(Network.add_nic, number=0, nic=Nic(nic, addresses[nic])))

    def settle(self, host: LabHost) -> None:
        """Let a host that has come to be, or that another server left, see its NICs as they are plugged in."""
        for nic, wire in host.nics.items():
            self._let_see(host, nic, wire)

    def forget(self, host: LabHost) -> None:
        """A host goes, and its plugs with it."""
        for nic in host.nics:
            self._mark(f"{host.name}:{nic}", False)

    def change(self, word: str, *, cut: bool) -> bool:
        """Cut or mend a wire or a plug (HOST:NIC); False where it was so already. Raises Unknown."""
        self._plugs(word)
        if (word in self._cut) == cut:
            return False
        self._set_cut(word, cut)
        return True

    def _set_cut(self, word: str, cut: bool) -> None:
        self._mark(word, cut)
        for host, nic, wire in self._touched(word):
            self._let_see(host, nic, wire)
        if word in self.uplinks:
            self._wires.set_uplink(self.uplinks[word], not cut)

    def still_out(self, word: str) -> list[str]:
        """What else, after a wire or a plug was mended, keeps the carrier from NICs on it."""
        names = (name for plug in self._plugs(word) for name in _names(*plug))
        return [name for name in dict.fromkeys(names) if name in self._cut]

    def _plugs(self, word: str) -> list[tuple[LabHost, str, str]]:
        found = self._touched(word)
        if not found:
            import difflib  # only a wrong name needs it

            known = sorted({name for plug in self._every() for name in _names(*plug)})
            close = difflib.get_close_matches(word, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none'}"
            raise Unknown(f"no wire or plug is called {word}; {hint}")
        return found

    def _touched(self, word: str) -> list[tuple[LabHost, str, str]]:
        return [plug for plug in self._every() if word in _names(*plug)]

    def _every(self) -> list[tuple[LabHost, str, str]]:
        return [(host, nic, wire) for host in self._hosts.values() for nic, wire in host.nics.items()]

    def _mark(self, word: str, cut: bool) -> None:
        if cut:
            self._cut.add(word)
            self._journal.put(_CUT, word, {})
        elif word in self._cut:
            self._cut.remove(word)
            self._journal.drop(_CUT, word)

    def _has_carrier(self, host: str, nic: str, wire: str) -> bool:
        return not {wire, f"{host}:{nic}"} & self._cut

    def _let_see(self, host: LabHost, nic: str, wire: str) -> None:
        carrier = self._has_carrier(host.name, nic, wire)
        self._wires.set_carrier(host.name, nic, carrier)
        host.network.set_carrier(nic, carrier)


def _names(host: LabHost, nic: str, wire: str) -> tuple[str, str]:
    """What may be cut so that the NIC loses its carrier: its wire, its plug."""
    return wire, f"{host.name}:{nic}"
