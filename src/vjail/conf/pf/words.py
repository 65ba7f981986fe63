"""The words of pf.conf(5): keywords, ICMP types and codes, as 13.2's pfctl(8) knows them, and the state of its file.

Sources: sbin/pfctl/parse.y and pfctl_parser.c of 13.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vjail.conf.pf.rules import Family

_KEYWORDS = """\
all allow-opts altq anchor antispoof any bandwidth binat binat-anchor bitmask block block-policy cbq code codelq
crop debug divert-reply divert-to drop drop-ovl dup-to fail-policy fairq fastroute file fingerprints flags
floating flush for fragment from global group hfsc hogs hostid icmp-type icmp6-type if-bound in include inet
inet6 interval keep keepcounters label limit linkshare load log loginterface match max max-mss max-src-conn
max-src-conn-rate max-src-nodes max-src-states min-ttl modulate nat nat-anchor no no-df no-route no-sync on
optimization os out overload pass port prio priority priq probability proto qlimit queue quick random random-id
rdr rdr-anchor realtime reassemble reply-to require-order return return-icmp return-icmp6 return-rst round-robin
route route-to rtable rule ruleset-optimization scrub set set-tos skip sloppy source-hash source-track state
state-defaults state-policy static-port sticky-address syncookies synproxy table tag tagged target tbrsize
timeout to tos ttl upperlimit urpf-failed user"""
KEYWORDS = frozenset(_KEYWORDS.split())

TIMEOUTS = {
    "tcp.first": 120, "tcp.opening": 30, "tcp.established": 86400, "tcp.closing": 900, "tcp.finwait": 45,
    "tcp.closed": 90, "tcp.tsdiff": 30, "udp.first": 60, "udp.single": 30, "udp.multiple": 60, "icmp.first": 20,
    "icmp.error": 10, "other.first": 60, "other.single": 30, "other.multiple": 60, "frag": 30, "interval": 10,
    "adaptive.start": 60000, "adaptive.end": 120000, "src.track": 0,
}  # fmt: skip
"""pf's timeouts in pfctl's order, and what they are where nothing is set: seconds, of adaptive ones states."""
_TCP_TIMEOUTS = (
    "tcp.first",
    "tcp.opening",
    "tcp.established",
    "tcp.closing",
    "tcp.finwait",
    "tcp.closed",
    "tcp.tsdiff",
)
_SATELLITE = (180, 35, 86400, 905, 50, 95, 60)
OPTIMIZATIONS = {
    name: dict(zip(_TCP_TIMEOUTS, values, strict=True))
    for name, values in {
        "normal": (120, 30, 86400, 900, 45, 90, 30),
        "satellite": _SATELLITE,
        "high-latency": _SATELLITE,
        "conservative": (3600, 900, 432000, 3600, 600, 180, 60),
        "aggressive": (30, 5, 18000, 60, 30, 30, 10),
    }.items()
}
"""The timeouts that `set optimization` sets."""
LIMITS = {"states": 100000, "src-nodes": 10000, "frags": 5000, "table-entries": 200000}

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
WITH_PORTS = (TCP, UDP)
TCP_FLAGS = "FSRPAUEW"

_ICMP_TYPES = {
    "echoreq": 8, "echorep": 0, "unreach": 3, "squench": 4, "redir": 5, "althost": 6, "routeradv": 9, "routersol": 10,
    "timex": 11, "paramprob": 12, "timereq": 13, "timerep": 14, "inforeq": 15, "inforep": 16, "maskreq": 17,
    "maskrep": 18, "trace": 30, "dataconv": 31, "mobredir": 32, "ipv6-where": 33, "ipv6-here": 34, "mobregreq": 35,
    "mobregrep": 36, "skip": 39, "photuris": 40,
}  # fmt: skip
_ICMP6_TYPES = {
    "unreach": 1, "toobig": 2, "timex": 3, "paramprob": 4, "echoreq": 128, "echorep": 129, "groupqry": 130,
    "listqry": 130, "grouprep": 131, "listenrep": 131, "groupterm": 132, "listendone": 132, "routersol": 133,
    "routeradv": 134, "neighbrsol": 135, "neighbradv": 136, "redir": 137, "routrrenum": 138, "wrureq": 139,
    "wrurep": 140, "fqdnreq": 139, "fqdnrep": 140, "niqry": 139, "nirep": 140, "mtraceresp": 200, "mtrace": 201,
}  # fmt: skip
_ICMP_CODES = {
    ("net-unr", 3): 0, ("host-unr", 3): 1, ("proto-unr", 3): 2, ("port-unr", 3): 3, ("needfrag", 3): 4,
    ("srcfail", 3): 5, ("net-unk", 3): 6, ("host-unk", 3): 7, ("isolate", 3): 8, ("net-prohib", 3): 9,
    ("host-prohib", 3): 10, ("net-tos", 3): 11, ("host-tos", 3): 12, ("filter-prohib", 3): 13, ("host-preced", 3): 14,
    ("cutoff-preced", 3): 15, ("redir-net", 5): 0, ("redir-host", 5): 1, ("redir-tos-net", 5): 2,
    ("redir-tos-host", 5): 3, ("normal-adv", 9): 0, ("common-adv", 9): 16, ("transit", 11): 0, ("reassemb", 11): 1,
    ("badhead", 12): 0, ("optmiss", 12): 1, ("badlen", 12): 2, ("unknown-ind", 40): 0, ("auth-fail", 40): 1,
    ("decrypt-fail", 40): 2,
}  # fmt: skip
_ICMP6_CODES = {
    ("admin-unr", 1): 1, ("noroute-unr", 1): 0, ("notnbr-unr", 1): 2, ("beyond-unr", 1): 2, ("addr-unr", 1): 3,
    ("port-unr", 1): 4, ("transit", 3): 0, ("reassemb", 3): 1, ("badhead", 4): 0, ("nxthdr", 4): 1,
    ("redironlink", 137): 0, ("redirrouter", 137): 1,
}  # fmt: skip
_TYPES: Mapping[Family, Mapping[str, int]] = MappingProxyType({Family.INET: _ICMP_TYPES, Family.INET6: _ICMP6_TYPES})
_CODES: Mapping[Family, Mapping[tuple[str, int], int]] = MappingProxyType(
    {Family.INET: _ICMP_CODES, Family.INET6: _ICMP6_CODES}
)


def icmp_type(name: str, family: Family) -> int | None:
    """The number of an ICMP type."""
    return _TYPES[family].get(name)


def icmp_type_name(number: int, family: Family) -> str | None:
    """The first name of an ICMP type."""
    return next((name for name, value in _TYPES[family].items() if value == number), None)


def icmp_code(name: str, of: int, family: Family) -> int | None:
    """The number of a code of the ICMP type `of`."""
    return _CODES[family].get((name, of))


def icmp_code_name(number: int, of: int, family: Family) -> str | None:
    """The first name of a code of the ICMP type `of`."""
    return next((name for (name, kind), code in _CODES[family].items() if (kind, code) == (of, number)), None)


def flags_text(bits: int) -> str:
    """TCP flags by their letters."""
    return "".join(letter for place, letter in enumerate(TCP_FLAGS) if bits & 1 << place)


def flags_bits(text: str) -> int | None:
    """Letters as bits; None where one is none; no letters are all flags."""
    bits = 0
    for letter in text:
        if letter not in TCP_FLAGS:
            return None
        bits |= 1 << TCP_FLAGS.index(letter)
    return bits or 0xFF
