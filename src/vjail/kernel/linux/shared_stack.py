"""eBPF programs that hold the processes of a control group to a jail's addresses.

Pure: what FreeBSD's kernel asks of a jail without a vnet (core/jail_addresses.py) as instructions. Programs at
socket(2), bind(2), connect(2) and sendto(2) give FreeBSD's answers; what leaves a socket and what reaches it is looked
at once more, whatever a program did to the socket before: options, ancillary data, headers of its own. Addresses stand
in the instructions, so that a change of them is one program in the place of another. Sources: linux/bpf.h (struct
bpf_sock_addr, bpf_sock, __sk_buff), net/core/filter.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from vjail.kernel.core.jail_addresses import LOOPBACKS, Way
from vjail.kernel.core.prison_record import AddressRule, IpAddress
from vjail.kernel.linux import shared_ports
from vjail.kernel.linux.bpf import Attach, ProgramKind
from vjail.kernel.linux.bpf_code import Alu, If, Reg, Size
from vjail.kernel.linux.stack_pieces import (
    AF_INET,
    AF_INET6,
    CONTEXT,
    DATAGRAM,
    KEPT,
    MAPPED,
    RAW,
    ROOM,
    SOCKET,
    SOURCE_IP4,
    SOURCE_IP6,
    STREAM,
    USER_IP4,
    USER_IP6,
    WORDS,
    Pieces,
    word,
    words,
)

MOST_WAYS = 1024
"""Networks with a source address of their own that a program knows; those of longer prefixes come first."""

_FAMILY, _TYPE, _PROTOCOL, _MARK, _BOUND_IP4, _BOUND_IP6 = 4, 8, 12, 16, 24, 28
"""Places in struct bpf_sock."""
_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_IP4_PROTOCOL, _IP4_SOURCE, _IP6_PROTOCOL, _IP6_SOURCE = 9, 12, 6, 8
"""Where in an IP header these stand; the destination follows the source."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a jail is held to, family by family, and the source addresses it sends from."""

    ip4: AddressRule
    ip6: AddressRule
    ways4: tuple[Way, ...] = ()
    ways6: tuple[Way, ...] = ()
    mark4: int = 0
    mark6: int = 0
    """The marks of its sockets: of the jail, it or one above it, whose addresses it has; the host's is 0."""

    @property
    def restricted(self) -> bool:
        """Whether there is any address that it may not use."""
        return self.ip4.restricted or self.ip6.restricted


KINDS: Mapping[Attach, ProgramKind] = {
    Attach.INET_SOCK_CREATE: ProgramKind.CGROUP_SOCK,
    Attach.INET4_BIND: ProgramKind.CGROUP_SOCK_ADDR,
    Attach.INET6_BIND: ProgramKind.CGROUP_SOCK_ADDR,
    Attach.INET4_CONNECT: ProgramKind.CGROUP_SOCK_ADDR,
    Attach.INET6_CONNECT: ProgramKind.CGROUP_SOCK_ADDR,
    Attach.UDP4_SENDMSG: ProgramKind.CGROUP_SOCK_ADDR,
    Attach.UDP6_SENDMSG: ProgramKind.CGROUP_SOCK_ADDR,
    Attach.INET_EGRESS: ProgramKind.CGROUP_SKB,
    Attach.INET_INGRESS: ProgramKind.CGROUP_SKB,
}
"""Where a jail's programs are attached, and of which kind they are. What sends comes after what keeps from sending."""


def mark_of(jid: int) -> int:
    """The mark of the sockets of a jail with addresses of its own: of the bits pf keeps off (pf/names.py, OTHERS).

    Two jails have the same one where there are more than 255; they then share no ports.
    """
    return 1 + jid % 255


def programs(held: Held) -> dict[Attach, bytes]:
    """The programs for a jail, or for the host, which may use every address and has but its ports to share."""
    written: dict[Attach, Callable[[_Program], None]] = {
        Attach.INET4_BIND: lambda p: p.bind4(),
        Attach.INET6_BIND: lambda p: p.bind6(),
    }
    if held.restricted or held.mark4 or held.mark6:
        written[Attach.INET_SOCK_CREATE] = lambda p: p.create()
    if held.restricted:
        written[Attach.INET_EGRESS] = lambda p: p.egress()
        written[Attach.INET_INGRESS] = lambda p: p.ingress()
        written[Attach.INET6_CONNECT] = lambda p: p.connect6()
    if held.ip4.restricted:
        written[Attach.INET4_CONNECT] = lambda p: p.connect4()
        written[Attach.UDP4_SENDMSG] = lambda p: p.send4()
    if held.ip6.restricted:
        written[Attach.UDP6_SENDMSG] = lambda p: p.send6()
    return {where: _Program(held).written(write) for where, write in written.items()}


class _Program:
    """One program being written."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._p = Pieces()

    def written(self, write: Callable[[_Program], None]) -> bytes:
        write(self)
        return self._p.finish()

    # --- what the rules say, one after the other ---

    def create(self) -> None:
        """socket(2): no family without an address, and no protocol that nothing here looks after."""
        code = self._p.code
        for family, rule in ((AF_INET, self._held.ip4), (AF_INET6, self._held.ip6)):
            if rule.restricted and not rule.addresses:
                code.load(Size.WORD, Reg.R1, CONTEXT, _FAMILY)
                with_one = self._p.label()
                code.jump(If.NOT_EQUAL, Reg.R1, family, with_one)
                self._p.refuse(errno.EPROTONOSUPPORT)
                code.label(with_one)
        self._mark()
        if not self._held.restricted:
            return
        code.load(Size.WORD, Reg.R1, CONTEXT, _TYPE)
        code.load(Size.WORD, Reg.R2, CONTEXT, _PROTOCOL)
        code.jump(If.EQUAL, Reg.R1, RAW, "yes")
        for kind, protocols in ((STREAM, (_TCP,)), (DATAGRAM, (_UDP, _ICMP, _ICMPV6))):
            other = self._p.label()
            code.jump(If.NOT_EQUAL, Reg.R1, kind, other)
            for protocol in protocols:
                code.jump(If.EQUAL, Reg.R2, protocol, "yes")
            code.label(other)
        self._p.refuse(errno.EPROTONOSUPPORT)

    def bind4(self) -> None:
        """bind(2) of an IPv4 socket."""
        if self._held.ip4.restricted:
            self._p.code.load(Size.WORD, Reg.R1, CONTEXT, USER_IP4)
            self._local4(USER_IP4)
            self._p.code.label("share")
        shared_ports.bind4(self._p, self._held.mark4)

    def bind6(self) -> None:
        """bind(2) of an IPv6 socket: to an IPv4 address in IPv6's clothes, too."""
        code, rule = self._p.code, self._held.ip6
        if self._held.ip4.restricted:
            self._p.load_words(CONTEXT, USER_IP6)
            self._p.unless_mapped("native")
            code.move(Reg.R1, Reg.R4)
            self._local4(USER_IP6 + 12)
            code.label("native")
        if rule.restricted and not rule.addresses:
            self._p.load_words(CONTEXT, USER_IP6)
            self._p.unless_mapped("none")
            code.goto("share")
            code.label("none")
            self._p.refuse(errno.EAFNOSUPPORT)
        elif rule.restricted:
            self._p.load_words(CONTEXT, USER_IP6)
            self._p.unless_mapped("own")
            code.goto("share")
            code.label("own")
            self._local6()
        code.label("share")
        shared_ports.bind6(self._p, self._held.mark6)

    def connect4(self) -> None:
        """connect(2) of a TCP, UDP or ping socket to an IPv4 address."""
        if not self._held.ip4.addresses:
            self._p.refuse(errno.EAFNOSUPPORT)
            return
        self._remote4(USER_IP4)
        self._p.code.load(Size.DOUBLE, Reg.R2, CONTEXT, SOCKET)
        self._p.code.load(Size.WORD, Reg.R2, Reg.R2, _BOUND_IP4)
        self._p.code.jump(If.NOT_EQUAL, Reg.R2, 0, "yes")
        self._choose4(USER_IP4)
        self._bind_to4(AF_INET)

    def connect6(self) -> None:
        """connect(2) of an IPv6 socket, to an IPv4 address too."""
        code, rule = self._p.code, self._held.ip6
        self._p.load_words(CONTEXT, USER_IP6)
        self._p.unless_mapped("native")
        if not self._held.ip4.restricted:
            code.goto("yes")
        elif not self._held.ip4.addresses:
            self._p.refuse(errno.EAFNOSUPPORT)
        else:
            self._remote4(USER_IP6 + 12)
            self._unless_bound6("yes")
            self._choose4(USER_IP6 + 12)
            self._bind_to4(AF_INET6)
            code.goto("yes")
        code.label("native")
        if not rule.restricted:
            return
        if not rule.addresses:
            self._p.refuse(errno.EAFNOSUPPORT)
            return
        self._remote6()
        self._unless_bound6("yes")
        self._choose6(lambda source: self._p.sockaddr6(words(source)), "bind")
        code.label("bind")
        self._p.bind(28)

    def send4(self) -> None:
        """sendto(2) and sendmsg(2) of a UDP socket that is not connected."""
        code, rule = self._p.code, self._held.ip4
        if not rule.addresses:
            self._p.refuse(errno.EAFNOSUPPORT)
            return
        self._remote4(USER_IP4)
        code.load(Size.WORD, Reg.R1, CONTEXT, SOURCE_IP4)
        code.jump(If.EQUAL, Reg.R1, 0, "choose")
        self._p.among4(rule.addresses, Reg.R1, "yes")
        code.jump(If.NOT_EQUAL, Reg.R1, word(LOOPBACKS[0]), "foreign", wide=False)
        self._p.store4(SOURCE_IP4, rule.addresses[0])
        code.goto("yes")
        code.label("foreign")
        self._p.refuse(errno.EADDRNOTAVAIL)
        code.label("choose")
        self._choose4(USER_IP4)
        code.store(Size.WORD, CONTEXT, SOURCE_IP4, KEPT)

    def send6(self) -> None:
        """The same for IPv6; what goes to an IPv4 address from an IPv6 socket comes to send4."""
        code, rule = self._p.code, self._held.ip6
        if not rule.addresses:
            self._p.refuse(errno.EAFNOSUPPORT)
            return
        self._remote6()
        self._p.load_words(CONTEXT, SOURCE_IP6)
        self._p.among6(rule.addresses, "yes")
        self._p.unless_unspecified6("given")
        self._choose6(lambda source: self._p.store6(SOURCE_IP6, source), "yes")
        code.label("given")
        self._p.unless6(LOOPBACKS[1], "foreign")
        self._p.store6(SOURCE_IP6, rule.addresses[0])
        code.goto("yes")
        code.label("foreign")
        self._p.refuse(errno.EADDRNOTAVAIL)

    def egress(self) -> None:
        """What leaves a socket: its source is the jail's, and only a ping goes to the machine's own loopback."""
        code = self._p.code
        self._p.by_version("v4", "v6")
        code.label("v4")
        if self._held.ip4.restricted:
            self._p.header(_IP4_SOURCE, 8)
            code.load(Size.WORD, Reg.R1, Reg.FP, ROOM)
            code.load(Size.WORD, Reg.R2, Reg.FP, ROOM + 4)
            self._p.among4(self._held.ip4.addresses, Reg.R1, "own4")
            code.exit(0)
            code.label("own4")
            self._p.among4(self._held.ip4.addresses, Reg.R2, "yes")
            code.alu(Alu.AND, Reg.R2, struct.unpack("=I", b"\xff\0\0\0")[0], wide=False)
            code.jump(If.NOT_EQUAL, Reg.R2, struct.unpack("=I", b"\x7f\0\0\0")[0], "yes", wide=False)
            self._p.if_protocol(_IP4_PROTOCOL, _ICMP)
        else:
            code.goto("yes")
        code.label("v6")
        if self._held.ip6.restricted:
            self._p.header(_IP6_SOURCE, 32)
            self._p.load_words(Reg.FP, ROOM)
            self._p.among6(self._held.ip6.addresses, "own6")
            code.exit(0)
            code.label("own6")
            self._p.load_words(Reg.FP, ROOM + 16)
            self._p.among6(self._held.ip6.addresses, "yes")
            self._p.unless6(LOOPBACKS[1], "yes")
            self._p.if_protocol(_IP6_PROTOCOL, _ICMPV6)

    def ingress(self) -> None:
        """What reaches a socket was sent to an address of the jail's, or by UDP to a group or to all."""
        code = self._p.code
        self._p.by_version("v4", "v6")
        code.label("v4")
        if self._held.ip4.restricted:
            self._p.header(_IP4_SOURCE + 4, 4)
            code.load(Size.WORD, Reg.R1, Reg.FP, ROOM)
            self._p.among4(self._held.ip4.addresses, Reg.R1, "yes")
            code.jump(If.EQUAL, Reg.R1, 0xFFFF_FFFF, "many4", wide=False)
            code.alu(Alu.AND, Reg.R1, struct.unpack("=I", b"\xf0\0\0\0")[0], wide=False)
            code.jump(If.EQUAL, Reg.R1, struct.unpack("=I", b"\xe0\0\0\0")[0], "many4", wide=False)
            code.exit(0)
            code.label("many4")
            self._p.if_protocol(_IP4_PROTOCOL, _UDP)
        else:
            code.goto("yes")
        code.label("v6")
        if self._held.ip6.restricted:
            self._p.header(_IP6_SOURCE + 16, 16)
            self._p.load_words(Reg.FP, ROOM)
            self._p.among6(self._held.ip6.addresses, "yes")
            code.alu(Alu.AND, Reg.R1, struct.unpack("=I", b"\xff\0\0\0")[0], wide=False)
            code.jump(If.EQUAL, Reg.R1, struct.unpack("=I", b"\xff\0\0\0")[0], "many6", wide=False)
            code.exit(0)
            code.label("many6")
            self._p.if_protocol(_IP6_PROTOCOL, _UDP)

    # --- pieces ---

    def _mark(self) -> None:
        """Mark a new socket as the jail's, if no jail below has marked it; those programs run first."""
        code = self._p.code
        if not (self._held.mark4 or self._held.mark6):
            return
        code.load(Size.WORD, Reg.R1, CONTEXT, _MARK)
        code.jump(If.NOT_EQUAL, Reg.R1, 0, "marked", wide=False)
        code.load(Size.WORD, Reg.R1, CONTEXT, _FAMILY)
        code.move(Reg.R2, self._held.mark4)
        code.jump(If.EQUAL, Reg.R1, AF_INET, "mark")
        code.move(Reg.R2, self._held.mark6)
        code.label("mark")
        code.store(Size.WORD, CONTEXT, _MARK, Reg.R2)
        code.label("marked")

    def _local4(self, offset: int) -> None:
        """prison_local_ip4 of the address in R1, which stands in the context at `offset`; then on to "share"."""
        code, rule = self._p.code, self._held.ip4
        if not rule.addresses:
            self._p.refuse(errno.EAFNOSUPPORT)
            return
        self._p.among4(rule.addresses, Reg.R1, "share")
        first = self._p.label()
        code.jump(If.EQUAL, Reg.R1, 0, first if len(rule.addresses) == 1 else "share", wide=False)
        code.jump(If.EQUAL, Reg.R1, word(LOOPBACKS[0]), first, wide=False)
        self._p.refuse(errno.EADDRNOTAVAIL)
        code.label(first)
        self._p.store4(offset, rule.addresses[0])
        code.goto("share")

    def _local6(self) -> None:
        """prison_local_ip6 of the address in R1 to R4; then on to "share"."""
        code, rule = self._p.code, self._held.ip6
        self._p.among6(rule.addresses, "share")
        self._p.unless_unspecified6("given")
        if len(rule.addresses) == 1:
            self._p.unless_both_families("share")
            self._p.store6(USER_IP6, rule.addresses[0])
        code.goto("share")
        code.label("given")
        self._p.unless6(LOOPBACKS[1], "foreign")
        self._p.store6(USER_IP6, rule.addresses[0])
        code.goto("share")
        code.label("foreign")
        self._p.refuse(errno.EADDRNOTAVAIL)

    def _remote4(self, offset: int) -> None:
        """prison_remote_ip4 of the address in the context at `offset`; a jail that has addresses."""
        code, addresses = self._p.code, self._held.ip4.addresses
        first, done = self._p.label(), self._p.label()
        code.load(Size.WORD, Reg.R1, CONTEXT, offset)
        self._p.among4([each for each in addresses if each == LOOPBACKS[0]], Reg.R1, done)
        code.jump(If.EQUAL, Reg.R1, 0, first, wide=False)
        code.jump(If.NOT_EQUAL, Reg.R1, word(LOOPBACKS[0]), done, wide=False)
        code.label(first)
        self._p.store4(offset, addresses[0])
        code.label(done)

    def _remote6(self) -> None:
        addresses = self._held.ip6.addresses
        first, done, other = self._p.label(), self._p.label(), self._p.label()
        self._p.load_words(CONTEXT, USER_IP6)
        self._p.among6([each for each in addresses if each == LOOPBACKS[1]], done)
        self._p.unless_unspecified6(other)
        self._p.code.goto(first)
        self._p.code.label(other)
        self._p.unless6(LOOPBACKS[1], done)
        self._p.code.label(first)
        self._p.store6(USER_IP6, addresses[0])
        self._p.code.label(done)

    def _choose4(self, offset: int) -> None:
        """R7 becomes the source towards the address in the context at `offset`."""
        code, done = self._p.code, self._p.label()
        code.load(Size.WORD, Reg.R1, CONTEXT, offset)
        for way in _known(self._held.ways4, self._held.ip4):
            other = self._p.label()
            if way.to.prefixlen:
                code.move(Reg.R2, Reg.R1)
                code.alu(Alu.AND, Reg.R2, word(IPv4Address(int(way.to.netmask))), wide=False)
                code.jump(If.NOT_EQUAL, Reg.R2, word(way.to.network_address), other, wide=False)
            code.alu(Alu.MOV, KEPT, word(way.source), wide=False)
            code.goto(done)
            code.label(other)
        code.label(done)

    def _choose6(self, use: Callable[[IpAddress], None], then: str) -> None:
        """Have `use` do something with the source towards the address in the context, then go to a label."""
        code = self._p.code
        self._p.load_words(CONTEXT, USER_IP6)
        for way in _known(self._held.ways6, self._held.ip6):
            other = self._p.label()
            masks = zip(WORDS, words(way.to.netmask), words(way.to.network_address), strict=True)
            for register, mask, value in masks:
                if mask:
                    code.move(Reg.R5, register)
                    code.alu(Alu.AND, Reg.R5, mask, wide=False)
                    code.jump(If.NOT_EQUAL, Reg.R5, value, other, wide=False)
            use(way.source)
            code.goto(then)
            code.label(other)

    def _unless_bound6(self, label: str) -> None:
        self._p.code.load(Size.DOUBLE, Reg.R5, CONTEXT, SOCKET)
        self._p.load_words(Reg.R5, _BOUND_IP6)
        for register in WORDS:
            self._p.code.jump(If.NOT_EQUAL, register, 0, label, wide=False)

    def _bind_to4(self, family: int) -> None:
        """Bind the socket, which is of that family, to the IPv4 address in R7; its port is found later."""
        code = self._p.code
        if family == AF_INET6:
            self._p.sockaddr6((*MAPPED, 0))
            code.store(Size.WORD, Reg.FP, ROOM + 20, KEPT)
            self._p.bind(28)
            return
        code.store(Size.DOUBLE, Reg.FP, ROOM, 0)
        code.store(Size.DOUBLE, Reg.FP, ROOM + 8, 0)
        code.store(Size.HALF, Reg.FP, ROOM, AF_INET)
        code.store(Size.WORD, Reg.FP, ROOM + 4, KEPT)
        self._p.bind(16)


def _known(ways: Sequence[Way], rule: AddressRule) -> Iterator[Way]:
    """The ways a program is told of, the last of which is for every destination."""
    yield from ways[:-1][:MOST_WAYS]
    yield ways[-1]
