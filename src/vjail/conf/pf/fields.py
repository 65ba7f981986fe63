"""The parts that rules of pf.conf(5) are made of, read into lists that `expand.py` multiplies.

Each function reads one nonterminal of sbin/pfctl/parse.y (13.2) and gives what its action makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from vjail.conf.pf.hosts import Host, NoHost, Surroundings, hosts, modifiers
from vjail.conf.pf.lexer import Kind
from vjail.conf.pf.parts import FromTo, IcmpItem, Interface, PeerList
from vjail.conf.pf.rules import (
    Direction,
    Family,
    Icmp,
    InterfaceAddress,
    NetAddress,
    PortOp,
    Ports,
    RangeAddress,
    Reach,
    TableAddress,
    TcpFlags,
    UnreachedAddress,
)
from vjail.conf.pf.tokens import Fault, Tokens
from vjail.conf.pf.words import ICMP, ICMP6, flags_bits, icmp_code, icmp_type

T = TypeVar("T")

LONGEST_TABLE_NAME = 31
_LONGEST_INTERFACE = 15
_LONGEST_TAG = 63


class Fields:
    """Reads the parts of rules."""

    def __init__(self, tokens: Tokens, around: Surroundings) -> None:
        self.tokens = tokens
        self.around = around

    def list_of(self, item: Callable[[], T]) -> list[T]:
        """`item`, or `{ item, item … }` with commas and newlines as one likes."""
        tokens = self.tokens
        if not tokens.accept("{"):
            return [item()]
        tokens.newlines()
        found = [item()]
        tokens.newlines()
        while not tokens.accept("}"):
            tokens.accept(",")
            found.append(item())
            tokens.newlines()
        return found

    # --- interfaces, families, protocols ---

    def direction(self) -> Direction | None:
        """`in`, `out` or nothing."""
        word = self.tokens.accept("in", "out")
        return Direction(word) if word else None

    def interfaces(self) -> list[Interface] | None:
        """`on …`, or nothing."""
        return self.list_of(self.interface_or_not) if self.tokens.accept("on") else None

    def interface_or_not(self) -> Interface:
        """An interface, perhaps behind `!`."""
        negated = self.tokens.accept("!") is not None
        return replace(self.interface(), negated=negated)

    def interface(self) -> Interface:
        """An interface's or group's name."""
        name = self.tokens.string()
        if len(name) > _LONGEST_INTERFACE:
            self.tokens.fail("interface name too long")
        return Interface(name)

    def family(self) -> Family | None:
        """`inet`, `inet6` or nothing."""
        match self.tokens.accept("inet", "inet6"):
            case "inet":
                return Family.INET
            case "inet6":
                return Family.INET6
            case _:
                return None

    def protocols(self) -> list[int] | None:
        """`proto …`, or nothing."""
        return self.list_of(self._protocol) if self.tokens.accept("proto") else None

    def _protocol(self) -> int:
        tokens = self.tokens
        if tokens.at_kind(Kind.NUMBER):
            number = tokens.number()
            if not 0 <= number <= 255:
                tokens.fail("protocol outside range")
        else:
            name = tokens.string()
            known = self.around.protocols.get(name)
            if known is None:
                tokens.fail(f"unknown protocol {name}", Fault.ELSEWHERE)
            number = known
        if number == 0:
            tokens.fail("proto 0 cannot be used")
        return number

    # --- hosts ---

    def from_to(self) -> FromTo:
        """`all`, or `from … os … to …`, each of which may be missing."""
        tokens = self.tokens
        if tokens.accept("all"):
            return FromTo()
        source = self._peer() if tokens.accept("from") else PeerList()
        if tokens.at("os"):
            tokens.unsupported("os (fingerprints)")
        destination = self._peer() if tokens.accept("to") else PeerList()
        if unreached(destination.hosts) is Reach.URPF_FAILED:
            tokens.fail('"urpf-failed" is not permitted in a destination address')
        return FromTo(source, destination)

    def reached(self, *lists: list[Host] | None) -> None:
        """`no-route` and `urpf-failed` are not there where these lists of hosts stand."""
        for found in lists:
            if reach := unreached(found):
                self.tokens.unsupported(f"{reach.value} but in what filters on the way in")

    def _peer(self) -> PeerList:
        if self.tokens.accept("port"):
            return PeerList(ports=self.ports())
        found = self.host_list()
        return PeerList(found, self.ports() if self.tokens.accept("port") else None)

    def host_list(self) -> list[Host] | None:
        """`any`, a host, or a list of such."""
        lists = self.list_of(self.any_or_hosts)
        return [host for each in lists for host in each or ()] or None

    def any_or_hosts(self) -> list[Host] | None:
        """`any`, which is None, or the hosts of one item of a list."""
        if self.tokens.accept("any"):
            return None
        if self.tokens.at("{"):
            return self.host_list()
        negated = self.tokens.accept("!") is not None
        if word := self.tokens.accept("no-route", "urpf-failed"):
            return [Host(UnreachedAddress(Reach(word)), negated=negated)]
        return [replace(host, negated=negated) for host in self.host()]

    def host(self) -> list[Host]:
        """A host without `!`: what a word stands for, a range, `(interface)` or `<table>`."""
        tokens = self.tokens
        if tokens.accept("("):
            return [self._dynamic()]
        if tokens.accept("<"):
            return [Host(TableAddress(self.table_name_in_brackets()))]
        if tokens.at_kind(Kind.NUMBER):
            word = tokens.take().text
            tokens.expect("/")
            return self._found(f"{word}/{tokens.number()}")
        word = tokens.string()
        if tokens.accept("/"):
            return self._found(f"{word}/{tokens.number()}")
        if tokens.accept("-"):
            return [self._range(self._found(word), self._found(tokens.string()))]
        return self._found(word)

    def _found(self, word: str) -> list[Host]:
        try:
            return hosts(word, self.around)
        except NoHost as error:
            self.tokens.fail("could not parse host specification", Fault.ELSEWHERE, first=str(error))

    def _range(self, first: list[Host], last: list[Host]) -> Host:
        ends = [_single(each) for each in (first, last)]
        if ends[0] is None or ends[1] is None or ends[0].version != ends[1].version:
            self.tokens.fail("invalid address range")
        return Host(RangeAddress(ends[0], ends[1]), first[0].family)

    def _dynamic(self) -> Host:
        tokens = self.tokens
        word = tokens.string()
        tokens.expect(")")
        if not word[:1].isalpha():
            tokens.fail(f"invalid interface name '{word}'")
        read = modifiers(word)
        if read is None:
            tokens.fail(f"interface {word.partition(':')[0]} has bad modifier")
        name, part, first_only = read
        if len(name) > _LONGEST_INTERFACE:
            tokens.fail("interface name too long")
        prefixlen = None
        if tokens.accept("/"):
            prefixlen = tokens.number()
            if not 0 <= prefixlen <= 128:
                tokens.fail("bit number too big")
        return Host(InterfaceAddress(name, part, first_only, prefixlen))

    def table_name_in_brackets(self) -> str:
        """A table's name and the `>` behind it; the `<` was taken."""
        name = self.tokens.string()
        self.tokens.expect(">")
        if len(name) > LONGEST_TABLE_NAME:
            self.tokens.fail(f"table name '{name}' too long")
        return name

    # --- ports ---

    def ports(self) -> list[Ports]:
        """Conditions on a port; `port` was taken."""
        return self.list_of(self._port)

    def _port(self) -> Ports:
        tokens = self.tokens
        operator = self.operator()
        first = self.port_range()
        if operator is not None:
            if first[2]:
                tokens.fail("':' cannot be used with an other port operator")
            return Ports(operator, first[0])
        binary = tokens.accept("><", "<>")
        if binary is None:
            return Ports(PortOp.RANGE, first[0], first[1]) if first[2] else Ports(PortOp.EQ, first[0])
        second = self.port_range()
        if first[2] or second[2]:
            tokens.fail("':' cannot be used with an other port operator")
        return Ports(PortOp(binary), first[0], second[0])

    def operator(self) -> PortOp | None:
        """`=`, `!=`, `<`, `<=`, `>`, `>=` or nothing."""
        tokens = self.tokens
        mark = tokens.accept("=", "!", "<", ">")
        if mark == "!":
            return PortOp(mark + tokens.expect("="))
        if mark in ("<", ">") and tokens.accept("="):
            return PortOp(f"{mark}=")
        return PortOp(mark) if mark else None

    def port_range(self, *, star: bool = False) -> tuple[int, int, bool]:
        """A port or `first:last`: both, and whether it was a range; with `star`, `first:*` gives 0 as the last."""
        tokens = self.tokens
        if not tokens.at_kind(Kind.NUMBER, Kind.STRING):
            tokens.syntax_error()
        first, colon, last = tokens.take().text.partition(":")
        if not colon:
            return self._service(first), 0, False
        if star and last == "*":
            return self._service(first), 0, True
        low, high = self._service(first), self._service(last)
        return (low, 0, False) if low == high else (low, high, True)

    def _service(self, word: str) -> int:
        number = number_of(word)
        if number is not None:
            if number > 65535:
                self.tokens.fail(f"illegal port value {number}")
            return number
        port = self.around.port(word)
        if port is None:
            self.tokens.fail(f"unknown port {word}", Fault.ELSEWHERE)
        return port

    # --- TCP flags, ICMP, type of service ---

    def tcp_flags(self) -> TcpFlags | None:
        """What follows `flags`; None for `any`."""
        tokens = self.tokens
        if tokens.accept("any"):
            return None
        first = 0 if tokens.at("/") else self._flags()
        tokens.expect("/")
        return TcpFlags(first, self._flags())

    def _flags(self) -> int:
        word = self.tokens.string()
        bits = flags_bits(word)
        if bits is None:
            self.tokens.fail(f"bad flags {word}")
        return bits

    def icmp_items(self, family: Family) -> list[IcmpItem]:
        """What follows `icmp-type` or `icmp6-type`."""
        return self.list_of(lambda: self._icmp(family))

    def _icmp(self, family: Family) -> IcmpItem:
        tokens, six = self.tokens, "6" if family is Family.INET6 else ""
        kind = self._icmp_number(f"icmp{six}-type", lambda name: icmp_type(name, family))
        code = None
        if tokens.accept("code"):
            code = self._icmp_number(f"icmp{six}-code", lambda name: icmp_code(name, kind, family))
        return IcmpItem(Icmp(kind, code), ICMP6 if six else ICMP)

    def _icmp_number(self, what: str, named: Callable[[str], int | None]) -> int:
        tokens = self.tokens
        if tokens.at_kind(Kind.NUMBER):
            number = tokens.number()
            if not 0 <= number <= 255:
                tokens.fail(f"illegal {what} {number}")
            return number
        name = tokens.string()
        found = named(name)
        if found is None:
            tokens.fail(f"unknown {what} {name}")
        return found

    def tos(self) -> int:
        """A type of service."""
        tokens = self.tokens
        if not tokens.at_kind(Kind.NUMBER, Kind.STRING):
            tokens.syntax_error()
        word = tokens.take().text
        names = {"lowdelay": 0x10, "throughput": 0x08, "reliability": 0x04}
        value = names.get(word, number_of(word) or 0)
        if not 0 < value <= 255:
            tokens.fail(f"illegal tos value {word}")
        return value

    # --- log, tags, routing tables ---

    def log_quick(self) -> tuple[tuple[str, ...] | None, bool]:
        """`log` and `quick` in either order."""
        log = self.log()
        quick = self.tokens.accept("quick") is not None
        if log is None:
            log = self.log()
        return log, quick

    def log(self) -> tuple[str, ...] | None:
        """`log`, with what stands in parentheses behind it."""
        tokens = self.tokens
        if not tokens.accept("log"):
            return None
        if not tokens.accept("("):
            return ()
        words: dict[str, None] = {}
        while not tokens.accept(")"):
            word = tokens.expect("all", "user", "group", "to")
            if word == "to":
                words[f"to {self._pflog()}"] = None
            else:
                words["user" if word == "group" else word] = None
            tokens.accept(",")
        return tuple(words)

    def _pflog(self) -> str:
        name = self.tokens.strings()
        if not name.startswith("pflog"):
            self.tokens.fail(f"{name}: should be a pflog interface")
        return name

    def tag_name(self) -> str:
        """The name of a tag."""
        name = self.tokens.strings()
        if len(name) > _LONGEST_TAG:
            self.tokens.fail(f"tag too long, max {_LONGEST_TAG} chars")
        return name

    def tagged(self) -> tuple[str, bool]:
        """`tagged`, perhaps behind `!`, or nothing."""
        negated = self.tokens.accept("!") is not None
        if negated or self.tokens.at("tagged"):
            self.tokens.expect("tagged")
            return self.tag_name(), negated
        return "", False

    def rtable(self) -> None:
        """`rtable 0` or nothing: there is one table (net.fibs)."""
        if self.tokens.accept("rtable") and self.tokens.number() != 0:
            self.tokens.fail("invalid rtable id")


def unreached(found: list[Host] | None) -> Reach | None:
    """Which of `no-route` and `urpf-failed` is in a list of hosts; the latter where both are."""
    given = [host.address.reach for host in found or () if isinstance(host.address, UnreachedAddress)]
    return Reach.URPF_FAILED if Reach.URPF_FAILED in given else given[0] if given else None


def number_of(word: str) -> int | None:
    """A number as strtoul(3) reads it: decimal, octal behind `0`, hexadecimal behind `0x`; None where it is none."""
    try:
        if word.startswith("0") and len(word) > 1 and word[1] not in "xX":
            return int(word, 8)
        return int(word, 0) if word[:1].isdigit() else None
    except ValueError:
        return None


def _single(found: list[Host]) -> IPv4Address | IPv6Address | None:
    """The one address that a list of hosts is; None where it is something else."""
    if len(found) == 1 and isinstance(found[0].address, NetAddress):
        network = found[0].address.network
        return network.network_address if network.prefixlen == network.max_prefixlen else None
    return None
