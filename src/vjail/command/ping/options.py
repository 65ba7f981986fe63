"""What the command lines of ping(8) have in common for both families: the first pass, shared options, numbers.

Since 13.0 ping and ping6 are one program: a first pass over the words looks for what decides the family (`choose`),
then that family's own options are read (options_inet.py, options_inet6.py). Sources: FreeBSD sbin/ping/main.c, main.h,
ping.c, ping6.c as of early 2023, ping(8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from vjail.command.getopt import Getopt, Option
from vjail.command.names import Family, inet_pton
from vjail.command.ping.exchange import Pace
from vjail.kernel.errno import Errno
from vjail.session import Quit, Session

INET_LETTERS = ".::4AaC:c:DdfG:g:Hh:I:i:Ll:M:m:nop:QqRrS:s:T:t:vW:z:P:"
INET6_LETTERS = ".::6Aab:C:c:Dde:fHI:i:k:l:m:nNoOp:qS:s:t:uvyYW:z:P:"

EX_USAGE = 64
EX_NOHOST = 68
EX_UNAVAILABLE = 69
EX_OSERR = 71
EX_NOPERM = 77

INT_MAX = 2**31 - 1
LONGEST_TIMEOUT = 60 * 60
"""The largest -t, in seconds."""

USAGE = (
    "usage:\n"
    "\tping [-4AaDdfHnoQqRrv] [-C pcp] [-c count] [-G sweepmaxsize]\n"
    "\t    [-g sweepminsize] [-h sweepincrsize] [-i wait] [-l preload]\n"
    "\t    [-M mask | time] [-m ttl] [-P policy] [-p pattern] [-S src_addr] \n"
    "\t    [-s packetsize] [-t timeout] [-W waittime] [-z tos] IPv4-host\n"
    "\tping [-4AaDdfHLnoQqRrv] [-C pcp] [-c count] [-I iface] [-i wait]\n"
    "\t    [-l preload] [-M mask | time] [-m ttl] [-P policy] [-p pattern]\n"
    "\t    [-S src_addr] [-s packetsize] [-T ttl] [-t timeout] [-W waittime]\n"
    "\t    [-z tos] IPv4-mcast-group\n"
    "\tping [-6AaDdfHnNoOquvyY] [-b bufsiz] [-c count] [-e gateway]\n"
    "\t    [-I interface] [-i wait] [-k addrtype] [-l preload] [-m hoplimit]\n"
    "\t    [-p pattern] [-P policy] [-S sourceaddr] [-s packetsize] [-t timeout]\n"
    "\t    [-W waittime] [-z tclass] [IPv6-hops ...] IPv6-host\n"
)


@dataclass(frozen=True, slots=True)
class Output:
    """What is printed.

    `dots` are printed one for each request in place of lines, `bell` rings with each reply, `names` has addresses
    looked up; `quiet_errors` leaves out ICMP errors, `quiet` the replies.
    """

    quiet: bool = False
    quiet_errors: bool = False
    verbose: bool = False
    dots: str | None = None
    bell: bool = False
    names: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """What the first pass found: the family that was asked for, if any, and the last word, the target."""

    family: Family | None
    target: str


def choose(session: Session) -> Choice:
    """The first pass over the words. Raises Quit."""
    asked = {Family.INET6} if session.argv[0] == "ping6" else set()
    walk = Getopt(session.argv[1:], INET6_LETTERS + INET_LETTERS)
    for option in walk:
        match option:
            case Option("4"):
                asked.add(Family.INET)
            case Option("6"):
                asked.add(Family.INET6)
            case Option("S", str(source)):
                address = inet_pton(source)
                asked |= set() if address is None else {Family(address.version)}
    if not walk.operands:
        raise leave_with_usage(session)
    if len(asked) > 1:
        raise Quit("-4 and -6 cannot be used simultaneously")
    target = session.argv[-1]
    match inet_pton(target):
        case IPv4Address() if Family.INET6 in asked:
            raise Quit("IPv6 requested but IPv4 target address provided")
        case IPv6Address() if Family.INET in asked:
            raise Quit("IPv4 requested but IPv6 target address provided")
        case IPv4Address() | IPv6Address() as address:
            return Choice(Family(address.version), target)
    return Choice(asked.pop() if asked else None, target)


def leave_with_usage(session: Session, complaint: str | None = None) -> Quit:
    """Print a complaint of getopt(3)'s, if any, and the usage; what to raise then."""
    if complaint is not None:
        session.err(f"{session.argv[0]}: {complaint}\n")
    session.err(USAGE)
    return Quit(None, 1)


@dataclass(slots=True)
class Common:
    """The options that mean the same in both families, while they are being read; `waittime` (-W) in milliseconds."""

    pace: Pace = Pace()
    output: Output = Output()
    waittime: int | None = None
    dont_fragment: bool = False

    def take(self, letter: str, argument: str | None) -> bool:
        """Take an option; False where it is none of these. Raises Quit."""
        match letter, argument:
            case (".", characters):
                self.output = replace(self.output, dots=characters or ".")
            case ("A", _):
                self.pace = replace(self.pace, missed=True)
            case ("a", _):
                self.output = replace(self.output, bell=True)
            case ("D", _):
                self.dont_fragment = True
            case ("H", _):
                self.output = replace(self.output, names=True)
            case ("n", _):
                self.output = replace(self.output, names=False)
            case ("o", _):
                self.pace = replace(self.pace, once=True)
            case ("q", _):
                self.output = replace(self.output, quiet=True)
            case ("v", _):
                self.output = replace(self.output, verbose=True)
            case ("t", str(text)):
                self.pace = replace(self.pace, timeout=_timeout(text))
            case ("W", str(text)):
                self.waittime = _waittime(text)
                self.pace = replace(self.pace, wait=max(0, self.waittime) / 1000)
            case ("d" | "4" | "6", _):
                pass
            case _:
                return False
        return True

    def flood(self) -> None:
        """Take -f."""
        self.pace = replace(self.pace, flood=True)
        self.output = replace(self.output, dots=self.output.dots or ".")


def pattern_bytes(pattern: str, code: int) -> bytes:
    """The bytes of a -p pattern: pairs of hexadecimal digits, a last single one by itself, sixteen at most.

    Raises Quit with exit code `code` where there is anything else.
    """
    if not re.fullmatch("[0-9a-fA-F]*", pattern):
        raise Quit("patterns must be specified as hex digits", code)
    return bytes(int(pattern[at : at + 2], 16) for at in range(0, len(pattern), 2))[:16]


def not_available(what: str) -> Quit:
    """For what FreeBSD's ping can and vjail's sockets cannot: a FreeBSD kernel without it would say so."""
    return Quit(f"{what}: {Errno.EOPNOTSUPP.text}", EX_UNAVAILABLE)


def whole(text: str) -> int | None:
    """A decimal number, all of the text, as strtonum(3) and strtol(3) read it; None where it is none."""
    return int(text) if re.fullmatch(r"\s*[+-]?[0-9]+", text) else None


def floating(text: str) -> float | None:
    """A number, all of the text, as strtod(3) reads it; None where it is none."""
    number = re.fullmatch(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    return float(text) if number else None


def _waittime(text: str) -> int:
    milliseconds = floating(text)
    if milliseconds is None or milliseconds > INT_MAX:
        raise Quit(f"invalid timing interval: `{text}'", EX_USAGE)
    return int(milliseconds)


def _timeout(text: str) -> float:
    """-t in seconds: strtoul(3) with any base, so that what follows the number does not matter. Raises Quit."""
    found = re.match(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", text)
    digits = found[2] if found else "0"
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
    seconds = int(digits, base) * (-1 if found and found[1] == "-" else 1)
    if seconds in (-1, 0) or seconds >= 2**64 - 1:
        raise Quit(f"invalid timeout: `{text}'", EX_USAGE)
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise Quit(f"invalid timeout: `{text}' > {LONGEST_TIMEOUT}", EX_USAGE)
    return float(seconds)
