"""bridge(4) on Linux: members, their settings, the forwarding table."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from vjail.kernel.core.driver import Tree
from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.linux import links, trees
from vjail.kernel.linux.guards import Guards
from vjail.kernel.linux.kinds import bridge_settings
from vjail.kernel.linux.mirrors import mirror, stop_mirroring
from vjail.kernel.linux.netlink import Socket
from vjail.kernel.linux.ports import Ports, as_freebsd, tolerant
from vjail.kernel.observed import MemberFlag

_TICKS = 100


class Bridges:
    """The bridges of all vnets."""

    def __init__(self, ports: Ports, guards: Guards) -> None:
        self._ports = ports
        self._guards = guards
        self._waiting: dict[tuple[int, bytes], int] = {}
        """Static addresses of bridges that are down, which have no members beneath: the member's ident."""

    def attach(self, bridge: IfNet, member: IfNet) -> None:
        """Let the bridge have the member's frames, or let a span port have a copy of all members'."""
        self._span(bridge, member, mirror)
        if is_span(member):
            return
        self._ports.request(member, lambda index: links.set_master(index, self._ports[bridge.ident].index))
        self.configure_member(bridge, member)
        for (ident, lladdr), behind in list(self._waiting.items()):
            if ident == bridge.ident and behind == member.ident:
                del self._waiting[ident, lladdr]
                self.add_static(bridge, member, lladdr)
        with as_freebsd():
            self._ports.let_pass(member)

    def detach(self, bridge: IfNet, member: IfNet) -> None:
        """The opposite of attach; what is known of the member's side is forgotten, as on FreeBSD."""
        self._span(bridge, member, stop_mirroring)
        if not is_span(member):
            self._guards.leave(member)
            self._ports.request(member, lambda index: tolerant(links.set_master(index, 0), errno.ENODEV))

    def _span(self, bridge: IfNet, member: IfNet, change: Callable[[Socket, int, int], None]) -> None:
        """Begin or cease to copy from a member to the bridge's span ports, or to a span port from all members."""
        span, state = is_span(member), bridge.bridge
        if state is None or not state.spans:
            return
        idents = [ident for ident in state.members if ident not in state.spans] if span else state.spans
        others = [port for port in map(self._ports.find, idents) if port is not None]
        here = self._ports[member.ident]
        with as_freebsd():
            for there in others:
                source, target = (there, here) if span else (here, there)
                if source.index and target.index:
                    change(self._ports.socket(member), source.index, target.index)

    def configure_member(self, bridge: IfNet, member: IfNet) -> None:
        """Put the member's flags and numbers into effect while attached."""
        membership = member.member
        if membership is None or is_span(member):
            return
        settings = links.port_settings(
            learning=MemberFlag.LEARNING in membership.flags,
            discover=MemberFlag.DISCOVER in membership.flags,
            private=MemberFlag.PRIVATE in membership.flags,
            priority=membership.priority,
            cost=membership.path_cost,
            locked=self._guards.is_locked(member),
        )
        self._ports.request(member, lambda index: links.configure_port(index, settings))
        with as_freebsd():
            self._guards.keep(member)

    def configure_bridge(self, bridge: IfNet) -> None:
        """Put the bridge's own numbers into effect."""
        self._ports.request(bridge, lambda index: links.configure_bridge(index, bridge_settings(bridge)))

    # --- the forwarding table ---

    def addresses(self, bridge: IfNet) -> Sequence[tuple[bytes, int, int, bool]]:
        """The forwarding table: lladdr, the member's ident, seconds left, static."""
        members = self._members(bridge)
        timeout = bridge.bridge.timeout if bridge.bridge else 0
        found = [
            (lladdr, behind, 0, True) for (ident, lladdr), behind in self._waiting.items() if ident == bridge.ident
        ]
        with as_freebsd():
            for entry in self._entries(bridge):
                if entry.lladdr is None or entry.index not in members:
                    continue
                fixed = bool(entry.state & links.NUD_NOARP)
                left = 0 if fixed else max(timeout - entry.updated // _TICKS, 0)
                static = fixed and not entry.flags & links.NTF_STICKY
                found.append((entry.lladdr, members[entry.index], left, static))
        return found

    def _members(self, bridge: IfNet) -> dict[int, int]:
        """The members' idents by the indexes of their devices."""
        return {self._ports[ident].index: ident for ident in bridge.bridge.members} if bridge.bridge else {}

    def _entries(self, bridge: IfNet) -> list[links.Entry]:
        """The table without the members' own addresses, the permanent ones, which bridge(4) does not list."""
        port = self._ports[bridge.ident]
        messages = self._ports.vnets[port.vnet].socket.dump(*links.dump_forwarding(port.index))
        return [entry for entry in map(links.read_entry, messages) if not entry.state & links.NUD_PERMANENT]

    def flush(self, bridge: IfNet, everything: bool) -> None:
        """Forget learnt addresses, or all."""
        if everything:
            self._waiting = {key: behind for key, behind in self._waiting.items() if key[0] != bridge.ident}
        members = self._members(bridge)
        with as_freebsd():
            requests = [
                tolerant(links.delete_forwarding(entry.index, entry.lladdr), errno.ENOENT)
                for entry in self._entries(bridge)
                if entry.index in members and entry.lladdr and (everything or not entry.state & links.NUD_NOARP)
            ]
        with as_freebsd():
            self._ports.socket(bridge).request(*requests)
            self._look(bridge)

    def _look(self, bridge: IfNet) -> None:
        """Let those who watch over members know at once that addresses are gone."""
        for ident in bridge.bridge.members if bridge.bridge else ():
            self._guards.look(self._ports[ident].ifnet)

    def add_static(self, bridge: IfNet, member: IfNet, lladdr: bytes) -> None:
        """Add a static address."""
        if not bridge.up:
            self._waiting[bridge.ident, lladdr] = member.ident
            return
        self._ports.request(member, lambda index: links.add_forwarding(index, lladdr))

    def forget(self, bridge: IfNet, lladdr: bytes) -> bool:
        """Delete an address; False where there is none."""
        if self._waiting.pop((bridge.ident, lladdr), None) is not None:
            return True
        for known, ident, _, _ in self.addresses(bridge):
            if known == lladdr:
                with as_freebsd():
                    self._ports.socket(bridge).request(links.delete_forwarding(self._ports[ident].index, lladdr))
                    self._look(bridge)
                return True
        return False

    # --- spanning tree ---

    def tree(self, bridge: IfNet) -> Tree | None:
        """What spanning tree has come to on a bridge with members that take part; None where none is run."""
        port = self._ports[bridge.ident]
        socket = self._ports.vnets[port.vnet].socket
        with as_freebsd():
            seen = trees.read_bridge(socket.get(*links.get_link_at(port.index)))
            if seen is None:
                return None
            found = {
                ident: trees.read_port(socket.get(*links.get_link_at(index)))
                for index, ident in self._members(bridge).items()
                if index
            }
        ports = {ident: each for ident, each in found.items() if each is not None}
        numbers = {each.number: ident for ident, each in ports.items()}
        root_port = numbers.get(seen.root_port)
        return Tree(
            root=seen.root.address,
            root_priority=seen.root.priority,
            root_cost=seen.root_cost,
            root_port=root_port,
            ports={ident: trees.port(each, is_root=ident == root_port, own=seen.own) for ident, each in ports.items()},
        )


def is_span(member: IfNet) -> bool:
    """Whether a member is one of its bridge's span ports."""
    return member.member is not None and MemberFlag.SPAN in member.member.flags
