"""lagg(4): ports that carry one interface's frames together, or one in another's place.

Sources: FreeBSD 13.2 sys/net/if_lagg.c (lagg_port_create, lagg_port_destroy, lagg_port2req, lagg_link_active).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vjail.kernel.core.ifnet import ETHERNET, IfNet, LaggState
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.core.stack import Stack
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Kind, Lagg, LaggPort, LaggPortFlag, LaggProtocol
from vjail.kernel.operations import LaggAdd, LaggDelete, Operation, SetLaggProtocol

_PORTS = ETHERNET - {Kind.LAGG}


class Laggs:
    """Carries out what laggs are asked."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """The operations on laggs."""
        return {LaggAdd: self._add, LaggDelete: self._delete, SetLaggProtocol: self._set_protocol}

    def _add(self, caller: Caller, operation: LaggAdd) -> None:
        lagg, state = self._lagg(caller, operation.lagg)
        port = self._stack.vnet(caller).find(operation.port)
        if port is None or port is lagg:
            raise KernelError(Errno.EINVAL)
        if port.lagg_of is not None:
            raise KernelError(Errno.EEXIST if port.lagg_of == lagg.ident else Errno.EBUSY)
        if port.kind not in _PORTS:
            raise KernelError(Errno.EPROTONOSUPPORT)
        if port.member is not None:
            raise KernelError(Errno.EBUSY)
        if not state.ports:
            self._lead(lagg, port)
        self.set_mtu(port, lagg.mtu)
        state.ports.append(port.ident)
        port.lagg_of = lagg.ident
        try:
            self._stack.driver.add_lagg_port(lagg, port)
        except KernelError:
            state.ports.remove(port.ident)
            port.lagg_of = None
            raise
        port.lladdr = lagg.lladdr
        self._stack.save(lagg)
        self._stack.save(port)

    def _lead(self, lagg: IfNet, port: IfNet) -> None:
        """The first port gives the lagg its link-layer address and its MTU."""
        driver = self._stack.driver
        if port.lladdr is not None and lagg.lladdr != port.lladdr:
            driver.set_lladdr(lagg, port.lladdr)
            lagg.lladdr = port.lladdr
        self.set_mtu(lagg, port.mtu)

    def set_mtu(self, ifnet: IfNet, mtu: int) -> None:
        """Give a lagg or a port an MTU: ports have that of their lagg."""
        if ifnet.mtu != mtu:
            self._stack.driver.set_mtu(ifnet, mtu)
            ifnet.mtu = mtu

    def prepare_mtu(self, lagg: IfNet, mtu: int) -> None:
        """SIOCSIFMTU of a lagg: its ports come to have it too."""
        for ident in (lagg.lagg or LaggState()).ports:
            port = self._stack.interfaces[ident]
            self.set_mtu(port, mtu)
            self._stack.save(port)

    def _delete(self, caller: Caller, operation: LaggDelete) -> None:
        lagg, state = self._lagg(caller, operation.lagg)
        port = self._stack.vnet(caller).find(operation.port)
        if port is None:
            raise KernelError(Errno.EINVAL)
        if port.ident not in state.ports:
            raise KernelError(Errno.ENOENT)
        self._leave(lagg, state, port)

    def _leave(self, lagg: IfNet, state: LaggState, port: IfNet) -> None:
        """A port is itself again, with its own address; where the first goes the next leads."""
        self._stack.driver.delete_lagg_port(lagg, port)
        led = state.ports[0] == port.ident
        state.ports.remove(port.ident)
        port.lagg_of = None
        if port.hwaddr is not None and port.lladdr != port.hwaddr:
            self._stack.driver.set_lladdr(port, port.hwaddr)
            port.lladdr = port.hwaddr
        if led and state.ports:
            first = self._stack.interfaces[state.ports[0]]
            if first.hwaddr is not None:
                self._stack.driver.set_lladdr(lagg, first.hwaddr)
                lagg.lladdr = first.hwaddr
                for ident in state.ports:
                    self._stack.interfaces[ident].lladdr = first.hwaddr
        elif not state.ports:
            self._stack.driver.set_lladdr(lagg, bytes(6))
            lagg.lladdr = bytes(6)
        self._stack.save(lagg)
        self._stack.save(port)

    def part(self, ifnet: IfNet) -> None:
        """An interface moves or goes: it leaves its lagg, and frees its ports where it is one."""
        if ifnet.lagg_of is not None:
            lagg = self._stack.interfaces[ifnet.lagg_of]
            self._leave(lagg, lagg.lagg or LaggState(), ifnet)
        if ifnet.lagg is not None:
            for ident in reversed(ifnet.lagg.ports[:]):
                self._leave(ifnet, ifnet.lagg, self._stack.interfaces[ident])

    def _set_protocol(self, caller: Caller, operation: SetLaggProtocol) -> None:
        lagg, state = self._lagg(caller, operation.lagg)
        before, state.protocol = state.protocol, operation.protocol
        try:
            self._stack.driver.set_lagg_protocol(lagg, [self._stack.interfaces[ident] for ident in state.ports])
        except KernelError:
            state.protocol = before
            raise
        self._stack.save(lagg)

    # --- what is seen of it ---

    def observe(self, lagg: IfNet, state: LaggState) -> Lagg:
        """A lagg as ifconfig(8) shows it, its ports by index."""
        ports = sorted((self._stack.interfaces[ident] for ident in state.ports), key=lambda port: port.index)
        active = self._active(state)
        return Lagg(
            state.protocol,
            tuple(LaggPort(port.name, self._flags(state, port, port.ident in active)) for port in ports),
        )

    def is_active(self, lagg: IfNet) -> bool:
        """Whether a port of it carries frames."""
        return lagg.lagg is not None and bool(self._active(lagg.lagg))

    def _active(self, state: LaggState) -> list[int]:
        """The ports that carry frames: those with a link, in failover the first of them."""
        linked = [ident for ident in state.ports if _is_linked(self._stack.interfaces[ident])]
        match state.protocol:
            case LaggProtocol.NONE:
                return []
            case LaggProtocol.FAILOVER:
                return linked[:1]
            case _:
                return linked

    @staticmethod
    def _flags(state: LaggState, port: IfNet, active: bool) -> LaggPortFlag:
        flags = LaggPortFlag.ACTIVE if active else LaggPortFlag(0)
        match state.protocol:
            case LaggProtocol.FAILOVER if port.ident == state.ports[0]:
                flags |= LaggPortFlag.MASTER
            case LaggProtocol.LACP if active:
                flags |= LaggPortFlag.COLLECTING | LaggPortFlag.DISTRIBUTING
            case _:
                pass
        return flags

    def _lagg(self, caller: Caller, name: str) -> tuple[IfNet, LaggState]:
        """The lagg of that name. Raises KernelError: ENXIO, EINVAL where it is none."""
        lagg = self._stack.find(caller, name)
        if lagg.lagg is None:
            raise KernelError(Errno.EINVAL)
        return lagg, lagg.lagg


def _is_linked(port: IfNet) -> bool:
    return port.up and port.status != "no carrier"
