"""Reads a pf.conf in tests as `pfctl -nvf FILE` does, on a machine like the recorded one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from vjail.conf.pf.drafts import Parsed
from vjail.conf.pf.hosts import HostAddress, HostInterface, Surroundings, Unreadable
from vjail.conf.pf.optimize import Optimizer
from vjail.conf.pf.parse import parse
from vjail.conf.pf.printer import Names, rule_text
from vjail.conf.pf.rules import Rule, Ruleset
from vjail.conf.position import Source

SERVICES = {("http", "tcp"): 80, ("http-alt", "tcp"): 8080, ("domain", "tcp"): 53, ("domain", "udp"): 53}
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "icmp6": 58}
INTERFACES = (
    HostInterface("vtnet0", (), (HostAddress(IPv4Address("10.0.2.15"), 24, IPv4Address("10.0.2.255")),)),
    HostInterface("lo0", ("lo",), (HostAddress(IPv4Address("127.0.0.1"), 8),), loopback=True, broadcast=False),
    HostInterface("epair0a", ("epair",), (HostAddress(IPv6Address("2001:db8::1"), 64),)),
)
_PORTS = {(port, proto): name for (name, proto), port in SERVICES.items()}
_NUMBERS = {number: name for name, number in reversed(PROTOCOLS.items())}
NAMES = Names(_NUMBERS.get, lambda port, proto: _PORTS.get((port, proto)))


@dataclass
class Reading:
    """What was printed, and what was read."""

    out: str = ""
    err: str = ""
    parsed: Parsed = field(default_factory=lambda: Parsed({}))
    rulesets: dict[str, Ruleset] = field(default_factory=dict)

    def rules(self) -> list[str]:
        """The main ruleset's rules as they are printed, in the order in which they are loaded."""
        found = self.rulesets[""]
        lists: tuple[tuple[Rule, ...], ...] = (found.scrub, found.nat, found.rdr, found.binat, found.filter)
        return [rule_text(rule, NAMES) for rules in lists for rule in rules]


def reading(text: str, *, name: str = "pf.conf", files: Mapping[str, str] | None = None) -> Reading:
    """Read a text."""
    said = Reading()

    def read(path: str) -> bytes:
        if path not in (files or {}):
            raise Unreadable("No such file or directory")
        return (files or {})[path].encode()

    def out(part: str) -> None:
        said.out += part

    def err(part: str) -> None:
        said.err += f"{part}\n"

    around = Surroundings(INTERFACES, SERVICES, PROTOCOLS, lambda _: (), read)
    said.parsed = parse(Source.of_text(name, text), around, out=out, err=err)
    optimizer = Optimizer(around.is_group)
    for path, draft in said.parsed.rulesets.items():
        if said.parsed.optimize:
            draft.filter = optimizer.optimize(draft.filter, path)
        said.rulesets[path] = draft.ruleset()
    return said
