"""Which device of Linux an interface of each kind is, and how it is made: the one place that a new kind is added to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.linux import bonds, links
from vjail.kernel.linux.tuntap import make_tuntap
from vjail.kernel.linux.vnets import LOOPBACK, VnetSpaces
from vjail.kernel.observed import Kind, LaggProtocol, MemberFlag

Make = Callable[[VnetSpaces, int, Sequence[IfNet], str], None]
"""Makes the device of an interface (of both halves of an epair) under a name in a vnet, down, with lladdr and mtu.
Raises OSError."""


@dataclass(frozen=True, slots=True)
class Device:
    """How an interface is realised.

    `make` is None where nothing is made: the device is there already (`found`), or there is none until the interface
    has something to carry, if ever (of an epair see epairs.py). `linux` are the names by which Linux knows the devices
    that are made. What Linux keeps where it was made (`stays`) is made anew where the interface moves to.
    """

    make: Make | None = None
    found: bool = False
    linux: tuple[str, ...] = ()
    stays: bool = False


def _make_bridge(vnets: VnetSpaces, vnet: int, interfaces: Sequence[IfNet], name: str) -> None:
    bridge, socket = interfaces[0], vnets[vnet].socket
    socket.request(links.new_bridge(name, bridge.lladdr or b"\x02\0\0\0\0\1", bridge_settings(bridge)))
    # An MTU that was set is not changed by members that come and go.
    index = links.read_link(socket.get(*links.get_link(name))).index
    socket.request(links.set_mtu(index, bridge.mtu))


def _make_loopback(vnets: VnetSpaces, vnet: int, interfaces: Sequence[IfNet], name: str) -> None:
    if name != LOOPBACK:
        # Linux has one loopback to a namespace; a bridge without ports keeps addresses just as well.
        _make_bridge(vnets, vnet, interfaces, name)
        return
    socket = vnets[vnet].socket
    index = links.read_link(socket.get(*links.get_link(name))).index
    socket.request(links.set_mtu(index, interfaces[0].mtu))


def _make_tuntap(vnets: VnetSpaces, vnet: int, interfaces: Sequence[IfNet], name: str) -> None:
    ifnet, socket = interfaces[0], vnets[vnet].socket
    with vnets.inside(vnet):
        make_tuntap(name, ethernet=ifnet.kind is Kind.TAP)
    index = links.read_link(socket.get(*links.get_link(name))).index
    if ifnet.lladdr is not None:
        socket.request(links.set_address(index, ifnet.lladdr))
    socket.request(links.set_mtu(index, ifnet.mtu))


def _make_bond(vnets: VnetSpaces, vnet: int, interfaces: Sequence[IfNet], name: str) -> None:
    lagg, socket = interfaces[0], vnets[vnet].socket
    protocol = lagg.lagg.protocol if lagg.lagg is not None else LaggProtocol.FAILOVER
    socket.request(bonds.new_bond(name, protocol))
    index = links.read_link(socket.get(*links.get_link(name))).index
    socket.request(links.set_mtu(index, lagg.mtu))


DEVICES = {
    Kind.NIC: Device(found=True),
    Kind.EPAIR: Device(linux=("veth",)),
    Kind.BRIDGE: Device(_make_bridge, linux=("bridge",), stays=True),
    Kind.LOOPBACK: Device(_make_loopback, linux=("bridge",), stays=True),
    Kind.VLAN: Device(linux=("vlan", "veth")),
    Kind.TAP: Device(_make_tuntap, linux=("tun",)),
    Kind.TUN: Device(_make_tuntap, linux=("tun",)),
    Kind.VXLAN: Device(linux=("vxlan",)),
    Kind.LAGG: Device(_make_bond, linux=("bond",), stays=True),
    Kind.PFLOG: Device(),
}

MADE = frozenset(name for device in DEVICES.values() for name in device.linux)
"""The kinds of devices, in Linux's words, that are made here."""


def bridge_settings(ifnet: IfNet) -> dict[int, bytes]:
    """A bridge's own numbers for Linux."""
    state = ifnet.bridge
    if state is None:
        return links.bridge_settings(ageing=1200, priority=32768, stp=False, fwddelay=15, hellotime=2, maxage=20)
    stp = any(MemberFlag.STP in member.flags for member in state.members.values())
    # Linux speaks the classic protocol only; with its shortest times it is about as quick as the rapid one.
    rapid = state.proto == "rstp"
    fwddelay, hellotime, maxage = (2, 1, 6) if rapid else (state.fwddelay, state.hellotime, state.maxage)
    return links.bridge_settings(
        ageing=state.timeout,
        priority=state.priority,
        stp=stp,
        fwddelay=fwddelay,
        hellotime=hellotime,
        maxage=maxage,
        maxaddr=max(state.maxaddr, 1),
    )
