"""Wires: Ethernet segments between NICs of hosts. Each is a bridge in the lab's own network namespace.

A NIC is one end of a veth pair, in its host under FreeBSD's name; the other end is a port of its wire, which carries
whatever the NICs' own MTUs allow. Frames pass untouched, tagged ones too, and those that bridges keep to themselves
(01:80:c2:00:00:0x); a wire is a switch without a mind: it learns addresses, and says nothing itself.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from vjail.kernel.conditions import Conditions
from vjail.kernel.core.mac import nic_address
from vjail.kernel.linux import links, nftables
from vjail.kernel.linux.netlink import NetlinkError, Socket
from vjail.kernel.linux.shaping import Shaper
from vjail.kernel.linux.spaces import LabSpace

_MTU = 1500
_WIDEST = 65535
_SETTINGS = links.bridge_settings(ageing=300, priority=32768, stp=False, fwddelay=15, hellotime=2, maxage=20)


class Wires:
    """The wires of a lab."""

    def __init__(self, lab: LabSpace) -> None:
        with lab.network(lab.net):
            self._socket = Socket()
            # A wire says nothing of its own; a kernel without IPv6 has less to be told.
            with contextlib.suppress(FileNotFoundError):
                for devices in ("all", "default"):
                    Path(f"/proc/sys/net/ipv6/conf/{devices}/disable_ipv6").write_text("1")

        def netfilter() -> Socket:
            with lab.network(lab.net):
                return Socket(protocol=nftables.PROTOCOL)

        self._shaper = Shaper(self._socket, netfilter)

    def plug(self, wire: str, host: str, namespace: int, name: str, address: bytes, *, carrier: bool) -> None:
        """Make a NIC in a host's network namespace and plug it into a wire. Raises NetlinkError."""
        bridge = self._bridge(wire)
        port = _port_name(host, name)
        here = bytes((address[0] ^ 0x04, *address[1:]))
        self._socket.request(links.new_veth((port, here), (name, address), _MTU, namespaces=(None, namespace)))
        index = self._index(port)
        self._socket.request(links.set_mtu(index, _WIDEST), links.set_master(index, bridge))
        self._socket.request(links.configure_port(index, links.segment_port()))
        self.set_carrier(host, name, carrier)

    def is_plugged(self, host: str, name: str) -> bool:
        """Whether a NIC is there, in any wire."""
        try:
            return self._index(_port_name(host, name)) > 0
        except NetlinkError:
            return False

    def move(self, wire: str, host: str, name: str) -> tuple[str, ...]:
        """Plug a NIC, wherever it is by now, into this wire, without carrier yet. Raises NetlinkError.

        The wires that are to be shaped anew, as what is on them is other than it was; none where it was in it already.
        """
        index, bridge = self._index(_port_name(host, name)), self._bridge(wire)
        before = links.read_link(self._socket.get(*links.get_link_at(index))).master
        if before == bridge:
            return ()
        left = (links.read_alias(self._socket.get(*links.get_link_at(before))),) if before else ()
        self.set_carrier(host, name, False)
        self._socket.request(links.set_master(index, bridge))
        self._socket.request(links.configure_port(index, links.segment_port()))
        return (*left, wire)

    def set_carrier(self, host: str, name: str, carrier: bool) -> None:
        """Let a NIC have carrier, or not, wherever it is by now: a port that is down is a plug pulled."""
        index = self._index(_port_name(host, name))
        self._socket.request(links.set_flags(index, links.IFF_UP if carrier else 0, links.IFF_UP))
        # Asked for the devices Linux looks at once; by itself it would let them know within a second.
        other = links.get_other_end(self._socket.get(*links.get_link_at(index)))
        if other is not None:
            self._socket.get(*other)

    def tie(self, wire: str, nic: str, *, carrier: bool) -> None:
        """Plug a NIC of this machine, which is in the lab's namespace, into a wire. Raises NetlinkError."""
        index, bridge = self._index(nic), self._bridge(wire)
        self._socket.request(links.set_master(index, bridge))
        self._socket.request(links.configure_port(index, links.segment_port()))
        self.set_uplink(nic, carrier)

    def untie(self, wire: str, nic: str) -> None:
        """Take a NIC of this machine out of a wire, unless it is on another by now. Raises NetlinkError."""
        index = self._index(nic)
        if links.read_link(self._socket.get(*links.get_link_at(index))).master == self._bridge(wire):
            self._socket.request(links.set_flags(index, 0, links.IFF_UP), links.set_master(index, 0))

    def drop(self, wire: str) -> None:
        """Remove a wire that nothing is on; no error where it was never made."""
        with contextlib.suppress(NetlinkError):
            self._socket.request(links.delete(self._index(_bridge_name(wire))))

    def set_uplink(self, nic: str, carrier: bool) -> None:
        """Let a NIC of this machine be up or down. Raises NetlinkError."""
        self._socket.request(links.set_flags(self._index(nic), links.IFF_UP if carrier else 0, links.IFF_UP))

    def look_again(self) -> None:
        """What this machine's kernel lacked may have come since, as a module."""
        self._shaper.look_again()

    def lacking(self, conditions: Conditions) -> dict[str, tuple[str, ...]]:
        """The keys of conditions that this machine cannot carry out, each with what its kernel lacks for it."""
        return self._shaper.lacking(conditions)

    def shape(self, wire: str, conditions: Conditions) -> None:
        """Let whatever is on a wire have its conditions, of which `lacking` says nothing. Raises OSError."""
        bridge = self._bridge(wire)
        found = (links.read_link(message) for message in self._socket.dump(*links.dump_links()))
        ports = {link.name: link.index for link in found if link.master == bridge}
        self._shaper.shape(_bridge_name(wire), ports, conditions)

    def _bridge(self, wire: str) -> int:
        name = _bridge_name(wire)
        try:
            return self._index(name)
        except NetlinkError:
            address = nic_address("wire", wire, "bridge")
            self._socket.request(links.new_bridge(name, address, _SETTINGS))
            index = self._index(name)
            self._socket.request(links.set_alias(index, wire), links.set_flags(index, links.IFF_UP, links.IFF_UP))
            return index

    def _index(self, name: str) -> int:
        return links.read_link(self._socket.get(*links.get_link(name))).index


def _bridge_name(wire: str) -> str:
    return "w" + hashlib.sha256(wire.encode()).hexdigest()[:12]


def _port_name(host: str, nic: str) -> str:
    """It does not follow from the wire, which may change."""
    return "p" + hashlib.sha256(f"{host}\0{nic}".encode()).hexdigest()[:12]
