"""The wires of a running lab: which NIC is on which, and what is cut.

A wire that is cut takes the carrier from every NIC on it; a plug that is pulled (HOST:NIC) from that NIC alone. The two
are apart: a wire that is mended leaves pulled plugs pulled. What is cut stands in the lab's journal, so that a server
that takes over goes by it whatever the other had got done.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vjail.kernel.core.journal import Journal
from vjail.kernel.core.mac import nic_address
from vjail.kernel.linux.wires import Wires

if TYPE_CHECKING:
    from vjail.server.host import LabHost

_CUT, _UPLINK = "cut", "uplink"


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
        found: dict[str, Any] = dict(journal.records(_UPLINK))
        self._uplinks: dict[str, str] = {wire: record["nic"] for wire, record in found.items()}

    @property
    def cut(self) -> frozenset[str]:
        """What is cut: wires, and plugs as HOST:NIC."""
        return frozenset(self._cut)

    @property
    def uplinks(self) -> Mapping[str, str]:
        """The NICs of this machine by the wire they are on."""
        return self._uplinks

    def begin(self, cut: frozenset[str]) -> None:
        """Cut wires before any host is on them; those with hosts on them are as they have been left."""
        for wire in sorted(cut.difference(*(host.nics.values() for host in self._hosts.values()))):
            self._mark(wire, True)

    def tie(self, uplinks: Mapping[str, str]) -> None:
        """Plug NICs of this machine, which have been lent to the lab, into wires. Raises NetlinkError."""
        for wire, nic in uplinks.items():
            if wire not in self._uplinks:
                self._wires.tie(wire, nic, carrier=wire not in self._cut)
                self._uplinks[wire] = nic
                self._journal.put(_UPLINK, wire, {"nic": nic})

    def plug(self, host: str, namespace: int, nics: Mapping[str, str]) -> dict[str, bytes]:
        """Make a host's NICs (the wire of each, by name) and plug them in; their MACs. Raises NetlinkError."""
        addresses = {nic: nic_address(self._lab, host, nic) for nic in nics}
        for nic, wire in nics.items():
            carrier = self._has_carrier(host, nic, wire)
            self._wires.plug(wire, host, namespace, nic, addresses[nic], carrier=carrier)
        return addresses

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
        touched = self._plugs(word)
        if (word in self._cut) == cut:
            return False
        self._mark(word, cut)
        for host, nic, wire in touched:
            self._let_see(host, nic, wire)
        if word in self._uplinks:
            self._wires.set_uplink(self._uplinks[word], not cut)
        return True

    def still_out(self, word: str) -> list[str]:
        """What else, after a wire or a plug was mended, keeps the carrier from NICs on it."""
        names = (name for plug in self._plugs(word) for name in _names(*plug))
        return [name for name in dict.fromkeys(names) if name in self._cut]

    def _plugs(self, word: str) -> list[tuple[LabHost, str, str]]:
        plugs = [(host, nic, wire) for host in self._hosts.values() for nic, wire in host.nics.items()]
        found = [plug for plug in plugs if word in _names(*plug)]
        if not found:
            known = sorted({name for plug in plugs for name in _names(*plug)})
            close = difflib.get_close_matches(word, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none'}"
            raise Unknown(f"no wire or plug is called {word}; {hint}")
        return found

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
        self._wires.set_carrier(wire, host.name, nic, carrier)
        host.network.set_carrier(nic, carrier)


def _names(host: LabHost, nic: str, wire: str) -> tuple[str, str]:
    """What may be cut so that the NIC loses its carrier: its wire, its plug."""
    return wire, f"{host.name}:{nic}"
