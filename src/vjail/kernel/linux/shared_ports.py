"""Ports that the host and the jails on its stack may have at once, as pieces of eBPF programs at bind(2).

On FreeBSD sockets of jails with different addresses never meet (in_pcblookup_local, prison_equal_ip4): a jail listens
at its own address beside the host's wildcard. Linux refuses that, unless both sockets have SO_REUSEPORT. So every
socket of the host's and of its jails is given it, where no other of the same jail has the port; the kernel then hands
each connection to the socket with the more special address. Two wildcards of different jails would be given each
other's connections: the second is refused. Linux asks that both have the same user.
"""

from __future__ import annotations

import errno

from vjail.kernel.linux.bpf import Helper
from vjail.kernel.linux.bpf_code import Alu, If, Reg, Size
from vjail.kernel.linux.stack_pieces import (
    CONTEXT,
    DATAGRAM,
    KEPT,
    ROOM,
    SOCKET,
    STREAM,
    TYPE,
    USER_IP4,
    USER_IP6,
    USER_PORT,
    WORDS,
    Pieces,
)

_MARK, _BOUND_IP4, _BOUND_IP6 = 16, 24, 28
"""Places in struct bpf_sock."""
_FOUND, _PORT = Reg.R8, Reg.R9
_ASKED, _KEPT_MARK, _ONE = -80, -84, -88
"""Where on the frame the asked for address, a socket's mark and the number 1 are put."""
_SOL_SOCKET, _SO_REUSEPORT = 1, 15
_THIS_NETWORK = -1


def bind4(p: Pieces, mark: int) -> None:
    """Share the port of an IPv4 socket that is to be bound to the address in the context."""
    _begin(p, mark)
    p.code.load(Size.WORD, KEPT, CONTEXT, USER_IP4)
    _look4(p, mark, "share_port")
    _share(p)


def bind6(p: Pieces, mark: int) -> None:
    """The same for an IPv6 socket, which may be one for both families."""
    code = p.code
    _begin(p, mark)
    p.load_words(CONTEXT, USER_IP6)
    p.unless_mapped("port6")
    code.move(KEPT, Reg.R4)
    _look4(p, mark, "share_port")
    code.label("port6")
    p.load_words(CONTEXT, USER_IP6)
    p.unless_unspecified6("look6")
    p.unless_both_families("port46")
    code.goto("look6")
    code.label("port46")
    code.move(KEPT, 0)
    _look4(p, mark, "look6")
    code.label("look6")
    _look6(p, mark)
    _share(p)


def _begin(p: Pieces, mark: int) -> None:
    """A port that is left to the kernel is shared with nobody; sockets of jails below are theirs to look after."""
    code = p.code
    code.load(Size.WORD, _PORT, CONTEXT, USER_PORT)
    code.jump(If.EQUAL, _PORT, 0, "yes", wide=False)
    code.load(Size.DOUBLE, Reg.R1, CONTEXT, SOCKET)
    code.load(Size.WORD, Reg.R1, Reg.R1, _MARK)
    code.jump(If.NOT_EQUAL, Reg.R1, mark, "yes", wide=False)


def _look4(p: Pieces, mark: int, free: str) -> None:
    """Who has the port at the IPv4 address in R7? Go to `free` where that is nobody, or another jail's wildcard."""
    code = p.code
    code.store(Size.DOUBLE, Reg.FP, ROOM, 0)
    code.store(Size.DOUBLE, Reg.FP, ROOM + 8, 0)
    code.store(Size.WORD, Reg.FP, ROOM + 4, KEPT)
    code.store(Size.HALF, Reg.FP, ROOM + 10, _PORT)
    _find(p, 12, free)
    code.load(Size.WORD, _PORT, _FOUND, _BOUND_IP4)
    _release(p)
    # R9 has had the port; it is read anew where another look follows.
    same = p.label()
    code.jump(If.EQUAL, _PORT, KEPT, same, wide=False)
    code.load(Size.WORD, _PORT, CONTEXT, USER_PORT)
    code.load(Size.WORD, Reg.R1, Reg.FP, _KEPT_MARK)
    code.jump(If.EQUAL, Reg.R1, mark, "yes", wide=False)
    code.goto(free)
    code.label(same)
    _same(p, mark)


def _look6(p: Pieces, mark: int) -> None:
    """Who has the port at the IPv6 address in the context? Else go on to sharing it."""
    code = p.code
    p.load_words(CONTEXT, USER_IP6)
    for place, register in enumerate(WORDS):
        code.store(Size.WORD, Reg.FP, ROOM + 4 * place, 0)
        code.store(Size.WORD, Reg.FP, ROOM + 16 + 4 * place, register)
        code.store(Size.WORD, Reg.FP, _ASKED + 4 * place, register)
    code.store(Size.WORD, Reg.FP, ROOM + 32, 0)
    code.store(Size.HALF, Reg.FP, ROOM + 34, _PORT)
    _find(p, 36, "share_port")
    code.move(KEPT, 0)
    for place in range(4):
        code.load(Size.WORD, Reg.R1, _FOUND, _BOUND_IP6 + 4 * place)
        code.load(Size.WORD, Reg.R2, Reg.FP, _ASKED + 4 * place)
        code.alu(Alu.XOR, Reg.R1, Reg.R2)
        code.alu(Alu.OR, KEPT, Reg.R1)
    _release(p)
    code.jump(If.EQUAL, KEPT, 0, "same6", wide=False)
    code.load(Size.WORD, Reg.R1, Reg.FP, _KEPT_MARK)
    code.jump(If.EQUAL, Reg.R1, mark, "yes", wide=False)
    code.goto("share_port")
    code.label("same6")
    _same(p, mark)


def _find(p: Pieces, length: int, nobody: str) -> None:
    """Look up the socket that would be given what arrives for the tuple on the frame; R8 becomes it."""
    code, udp, found = p.code, p.label(), p.label()
    code.load(Size.WORD, Reg.R1, CONTEXT, TYPE)
    code.jump(If.EQUAL, Reg.R1, DATAGRAM, udp)
    code.jump(If.NOT_EQUAL, Reg.R1, STREAM, "yes")
    for helper in (Helper.SK_LOOKUP_TCP, Helper.SK_LOOKUP_UDP):
        if helper is Helper.SK_LOOKUP_UDP:
            code.label(udp)
        code.move(Reg.R1, CONTEXT)
        code.move(Reg.R2, Reg.FP)
        code.alu(Alu.ADD, Reg.R2, ROOM)
        code.move(Reg.R3, length)
        code.move(Reg.R4, _THIS_NETWORK)
        code.move(Reg.R5, 0)
        code.call(helper)
        if helper is Helper.SK_LOOKUP_TCP:
            code.goto(found)
    code.label(found)
    code.jump(If.EQUAL, Reg.R0, 0, nobody)
    code.move(_FOUND, Reg.R0)


def _release(p: Pieces) -> None:
    """Give the socket in R8 back; its mark is kept on the frame."""
    code = p.code
    code.load(Size.WORD, Reg.R1, _FOUND, _MARK)
    code.store(Size.WORD, Reg.FP, _KEPT_MARK, Reg.R1)
    code.move(Reg.R1, _FOUND)
    code.call(Helper.SK_RELEASE)


def _same(p: Pieces, mark: int) -> None:
    """Another has just that address: what it means in the same jail the kernel says; in another the port is taken."""
    p.code.load(Size.WORD, Reg.R1, Reg.FP, _KEPT_MARK)
    p.code.jump(If.EQUAL, Reg.R1, mark, "yes", wide=False)
    p.refuse(errno.EADDRINUSE)


def _share(p: Pieces) -> None:
    """Let others have the port beside this socket."""
    code = p.code
    code.label("share_port")
    code.store(Size.WORD, Reg.FP, _ONE, 1)
    code.move(Reg.R1, CONTEXT)
    code.move(Reg.R2, _SOL_SOCKET)
    code.move(Reg.R3, _SO_REUSEPORT)
    code.move(Reg.R4, Reg.FP)
    code.alu(Alu.ADD, Reg.R4, _ONE)
    code.move(Reg.R5, 4)
    code.call(Helper.SETSOCKOPT)
    code.goto("yes")
