"""bridge(4) on Linux: members, their settings, the forwarding table."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.linux import links
from vjail.kernel.linux.kinds import bridge_settings
from vjail.kernel.linux.ports import Ports, as_freebsd, tolerant
from vjail.kernel.observed import MemberFlag

_TICKS = 100


class Bridges:
    """The bridges of all vnets."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def attach(self, bridge: IfNet, member: IfNet) -> None:
        """Let the bridge have the member's frames."""
        if self._is_span(bridge, member):
            return
        self._ports.request(member, lambda index: links.set_master(index, self._ports[bridge.ident].index))
        self.configure_member(bridge, member)
        with as_freebsd():
            self._ports.let_pass(member)

    def detach(self, bridge: IfNet, member: IfNet) -> None:
        """The opposite of attach."""
        if not self._is_span(bridge, member):
            self._ports.request(member, lambda index: tolerant(links.set_master(index, 0), errno.ENODEV))

    @staticmethod
    def _is_span(bridge: IfNet, member: IfNet) -> bool:
        membership = member.member
        return membership is not None and MemberFlag.SPAN in membership.flags

    def configure_member(self, bridge: IfNet, member: IfNet) -> None:
        """Put the member's flags and numbers into effect while attached."""
        membership = member.member
        if membership is None or self._is_span(bridge, member):
            return
        settings = links.port_settings(
            learning=MemberFlag.LEARNING in membership.flags,
            discover=MemberFlag.DISCOVER in membership.flags,
            private=MemberFlag.PRIVATE in membership.flags,
            priority=membership.priority,
            cost=membership.path_cost,
        )
        self._ports.request(member, lambda index: links.configure_port(index, settings))

    def configure_bridge(self, bridge: IfNet) -> None:
        """Put the bridge's own numbers into effect."""
        self._ports.request(bridge, lambda index: links.configure_bridge(index, bridge_settings(bridge)))

    # --- the forwarding table ---

    def addresses(self, bridge: IfNet) -> Sequence[tuple[bytes, int, int, bool]]:
        """The forwarding table: lladdr, the member's ident, seconds left, static."""
        port = self._ports[bridge.ident]
        members = {self._ports[ident].index: ident for ident in bridge.bridge.members} if bridge.bridge else {}
        timeout = bridge.bridge.timeout if bridge.bridge else 0
        found = []
        with as_freebsd():
            for message in self._ports.vnets[port.vnet].socket.dump(*links.dump_forwarding(port.index)):
                entry = links.read_entry(message)
                # Permanent ones are the members' own addresses, which bridge(4) does not list.
                if entry.lladdr is None or entry.index not in members or entry.state & links.NUD_PERMANENT:
                    continue
                static = bool(entry.state & links.NUD_NOARP)
                left = 0 if static else max(timeout - entry.updated // _TICKS, 0)
                found.append((entry.lladdr, members[entry.index], left, static))
        return found

    def flush(self, bridge: IfNet, everything: bool) -> None:
        """Forget learnt addresses, or all."""
        requests = [
            tolerant(links.delete_forwarding(self._ports[ident].index, lladdr), errno.ENOENT)
            for lladdr, ident, _, static in self.addresses(bridge)
            if everything or not static
        ]
        with as_freebsd():
            self._ports.socket(bridge).request(*requests)

    def add_static(self, bridge: IfNet, member: IfNet, lladdr: bytes) -> None:
        """Add a static address."""
        self._ports.request(member, lambda index: links.add_forwarding(index, lladdr))

    def forget(self, bridge: IfNet, lladdr: bytes) -> bool:
        """Delete an address; False where there is none."""
        for known, ident, _, _ in self.addresses(bridge):
            if known == lladdr:
                with as_freebsd():
                    self._ports.socket(bridge).request(links.delete_forwarding(self._ports[ident].index, lladdr))
                return True
        return False
