"""vxlan(4): what a vxlan is set to, when that may be changed, and when it runs.

A vxlan that lacks its network identifier or its remote address is UP without running; its settings stand still while it
runs. Sources: FreeBSD 13.2 sys/net/if_vxlan.c (vxlan_valid_init_config, vxlan_ctrl_*, vxlan_setup_interface_hdrlen).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from vjail.kernel.core.ifnet import IfNet, VxlanState
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.stack import Stack
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Iff, Vxlan
from vjail.kernel.operations import ConfigureVxlan, FlushVxlan, Operation, VxlanSettings

_ETHERMTU = 1500
_HEADERS = 30
"""Bytes of the Ethernet, UDP and VXLAN headers around a frame."""
_IP_HEADERS = {4: 20, 6: 40}
_MTUS = range(64, 65535 - 70 + 1)
"""ETHERMIN to VXLAN_MAX_MTU."""
_VNIS = range((1 << 24) - 1)
_TTLS = range(1, 256)
_LONGEST_TIMEOUT = 86400
_LARGEST_TABLE = 10_000_000
_AT_ANY_TIME = frozenset(("ttl", "learn", "maxaddr", "timeout"))
"""The settings that a running vxlan lets be changed."""

Address = IPv4Address | IPv6Address


class Vxlans:
    """Carries out what vxlans are asked."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """The operations on vxlans."""
        return {ConfigureVxlan: self._configure, FlushVxlan: self._flush}

    def begin(self, ifnet: IfNet, wanted: VxlanSettings | None) -> None:
        """Set up a vxlan that is being made; what is out of bounds is passed over. The driver is told by `settle`."""
        given = {name: value for name, value in _given(wanted or VxlanSettings()).items() if _is_valid(name, value)}
        settings = replace(Vxlan(), **given)
        if settings.first_port > settings.last_port:
            settings = replace(settings, first_port=Vxlan().first_port, last_port=Vxlan().last_port)
        ifnet.vxlan = VxlanState(settings)
        ifnet.mtu = _mtu(settings)

    def settle(self, ifnet: IfNet) -> None:
        """Let the driver know what a vxlan is set to, if it carries anything."""
        driver = self._stack.driver
        if not is_able(ifnet):
            driver.unbind_vxlan(ifnet)
            return
        driver.bind_vxlan(ifnet)
        bridge = self._stack.interfaces[ifnet.member.bridge] if ifnet.member is not None else None
        if bridge is not None and bridge.up:
            driver.attach(bridge, ifnet)

    def _configure(self, caller: Caller, operation: ConfigureVxlan) -> None:
        ifnet, state = self._vxlan(caller, operation.name)
        given = _given(operation.settings)
        if not all(_is_valid(name, value) for name, value in given.items()):
            raise KernelError(Errno.EINVAL)
        if Iff.RUNNING in ifnet.flags and given.keys() - _AT_ANY_TIME:
            raise KernelError(Errno.EBUSY)
        settings = replace(state.settings, **given)
        if settings.first_port > settings.last_port:
            raise KernelError(Errno.EINVAL)
        before, state.settings = state.settings, settings
        try:
            self.settle(ifnet)
        except KernelError:
            state.settings = before
            raise
        if not state.mtu_is_given and ifnet.mtu != _mtu(settings):
            self._stack.driver.set_mtu(ifnet, _mtu(settings))
            ifnet.mtu = _mtu(settings)
        self._stack.save(ifnet)

    def _flush(self, caller: Caller, operation: FlushVxlan) -> None:
        ifnet, _ = self._vxlan(caller, operation.name)
        self._stack.driver.flush_vxlan(ifnet)

    @staticmethod
    def take_mtu(ifnet: IfNet, mtu: int) -> None:
        """SIOCSIFMTU of a vxlan: it is the user's from now on. Raises KernelError(EINVAL)."""
        if mtu not in _MTUS:
            raise KernelError(Errno.EINVAL)
        if ifnet.vxlan is not None:
            ifnet.vxlan.mtu_is_given = True

    def _vxlan(self, caller: Caller, name: str) -> tuple[IfNet, VxlanState]:
        """The vxlan of that name. Raises KernelError: ENXIO, EINVAL where it is none."""
        ifnet = self._stack.find(caller, name)
        if ifnet.vxlan is None:
            raise KernelError(Errno.EINVAL)
        return ifnet, ifnet.vxlan


def is_able(ifnet: IfNet) -> bool:
    """Whether a vxlan is set to something it could run with."""
    state = ifnet.vxlan
    if state is None:
        return False
    settings = state.settings
    remote, local = settings.remote, settings.local
    if settings.vni is None or remote is None or int(remote) == 0:
        return False
    if settings.device and not remote.is_multicast:
        return False
    return local is None or int(local) == 0 or local.version == remote.version


def _given(settings: VxlanSettings) -> dict[str, Any]:
    return {name: value for name, value in asdict(settings).items() if value is not None}


def _is_valid(name: str, value: Any) -> bool:
    match name:
        case "vni":
            return value in _VNIS
        case "local":
            return not value.is_multicast
        case "local_port" | "remote_port":
            return bool(value)
        case "ttl":
            return value in _TTLS
        case "timeout":
            return bool(value <= _LONGEST_TIMEOUT)
        case "maxaddr":
            return bool(value <= _LARGEST_TABLE)
        case _:
            return True


def _mtu(settings: Vxlan) -> int:
    """What fits into a packet of 1500 bytes, whatever the way to the remote side takes."""
    return _ETHERMTU - _HEADERS - (0 if settings.remote is None else _IP_HEADERS[settings.remote.version])
