"""Random small topologies as cases of the conformance suite: jails, bridges, routers and wires, and who is asked for.

The same number gives the same topology. What each of the echo requests shows is not said: kernels must agree on it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field

from conformances import Case, Line

_ASKED = 12
"""Echo requests of a topology."""


@dataclass
class _Plan:
    """A topology being drawn."""

    draw: random.Random
    lines: list[Line] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    places: list[tuple[str, str]] = field(default_factory=list)
    epairs: int = 0
    nets: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    """The networks each place is in."""
    net_of: dict[str, int] = field(default_factory=dict)
    owner: dict[str, tuple[str, str]] = field(default_factory=dict)

    def type(self, host: str, text: str, jail: str = "") -> None:
        """Add a command line."""
        self.lines.append(Line(host, jail, text, False, "", ()))

    def chance(self, percent: int) -> bool:
        """Whether something happens that happens so often."""
        return self.draw.randrange(100) < percent

    def address(self, net: int) -> tuple[str, str]:
        """The next address of a network in both families, with prefix lengths."""
        number = len(self.addresses) + 1
        four, six = f"10.{net}.0.{number}", f"fd00:{net}::{number}"
        self.addresses += [four, six]
        return f"{four}/24", f"{six}/64"

    def configure(self, host: str, jail: str, interface: str, net: int) -> None:
        """Give an interface addresses of a network; sometimes of one family only."""
        four, six = self.address(net)
        for address in (four, six):
            self.net_of[address.partition("/")[0]] = net
            self.owner[address.partition("/")[0]] = (host, jail)
        self.nets[host, jail].add(net)
        if self.chance(90):
            self.type(host, f"ifconfig {interface} inet {four}", jail)
        if self.chance(70):
            self.type(host, f"ifconfig {interface} inet6 {six}", jail)

    def attach(self, host: str, jail: str, bridge: str, net: int) -> None:
        """An epair from a bridge into a jail; sometimes something is left out."""
        unit = self.epairs = self.epairs + 1
        self.type(host, f"ifconfig epair{unit} create")
        self.type(host, f"ifconfig epair{unit}b vnet {jail}")
        self.type(host, f"ifconfig {bridge} addm epair{unit}a")
        if self.chance(90):
            self.type(host, f"ifconfig epair{unit}a up")
        if self.chance(20):
            self.type(host, f"ifconfig {bridge} private epair{unit}a")
        self.configure(host, jail, f"epair{unit}b", net)


def topology(number: int) -> Case:
    """The topology of that number."""
    plan = _Plan(random.Random(number))
    draw = plan.draw
    nets = draw.randint(1, 3)
    for host in ("a", "b"):
        for net in range(1, nets + 1):
            plan.type(host, f"ifconfig bridge{net} create")
            if plan.chance(92):
                plan.type(host, f"ifconfig bridge{net} up")
            if net <= 2 and plan.chance(75):
                plan.type(host, f"ifconfig em{net - 1} up")
                plan.type(host, f"ifconfig bridge{net} addm em{net - 1}")
            if plan.chance(30):
                plan.configure(host, "", f"bridge{net}", net)
        plan.places.append((host, ""))
        for jail in (f"j{each}" for each in range(draw.randint(1, 3 if host == "a" else 2))):
            plan.type(host, f"jail -c name={jail} vnet persist path=/")
            plan.places.append((host, jail))
            if plan.chance(80):
                plan.type(host, "ifconfig lo0 127.0.0.1/8 up", jail)
            joined = draw.sample(range(1, nets + 1), draw.randint(1, min(2, nets)))
            for net in joined:
                plan.attach(host, jail, f"bridge{net}", net)
            if len(joined) > 1 and plan.chance(80):
                plan.type(host, "sysctl net.inet.ip.forwarding=1 net.inet6.ip6.forwarding=1", jail)
    _route(plan, nets)
    plan.type("a", "sleep 3")
    asked = [(place, address) for place in plan.places for address in plan.addresses if place != plan.owner[address]]
    near = [(place, address) for place, address in asked if plan.net_of[address] in plan.nets[place]]
    chosen = draw.sample(near, min(_ASKED * 2 // 3, len(near)))
    for (host, jail), address in (*chosen, *draw.sample(asked, min(_ASKED - len(chosen), len(asked)))):
        plan.lines.append(Line(host, jail, address, True, "", ()))
    return Case(f"random{number}", frozenset(), None, tuple(plan.lines))


def _route(plan: _Plan, nets: int) -> None:
    """Default routes by addresses that there are; those that lead nowhere are refused by both kernels alike."""
    for host, jail in plan.places:
        for family in ("inet", "inet6"):
            gateways = [address for address in plan.addresses if (":" in address) == (family == "inet6")]
            if jail and nets > 1 and gateways and plan.chance(70):
                plan.type(host, f"route add -{family} default {plan.draw.choice(gateways)}", jail)
