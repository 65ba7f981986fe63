"""A router with random pf rules, and packets through it: what nftables does must be what pf's own rules say.

Run as a program in a network namespace of its own, with how many rulesets to try and a seed. Prints `ok` and how many
were tried; otherwise what differed, as small as it could be made.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, ip_address, ip_network

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from pf_engine import PacketEngine, PfPacket
from pf_packets import (
    ACK,
    FAR,
    INSIDE,
    INTERFACES,
    NETWORKS,
    OUTSIDE,
    OWN,
    RST,
    SYN,
    TCP,
    UDP,
    Address,
    Router,
    built,
)

from vjail.conf.pf.hosts import Surroundings
from vjail.conf.pf.parse import parse
from vjail.conf.pf.rules import (
    NAT_PORTS,
    Action,
    Answer,
    AnyAddress,
    Direction,
    Family,
    InterfaceAddress,
    Keep,
    NetAddress,
    Part,
    Peer,
    PfOptions,
    PortOp,
    Ports,
    Rule,
    RuleAddress,
    Ruleset,
    Table,
    TableAddress,
    TableEntry,
    TcpFlags,
)
from vjail.conf.position import Source
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.linux.pf.compile import compile_setup
from vjail.kernel.pf import PfEndpoint

# --- what must happen -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """What comes out of the router: where, and the packet; or an answer, of which addresses and kind are known."""

    interface: str
    packet: PfPacket | None = None
    answer: Answer = Answer.DROP
    code: int = 0
    to: Address | None = None


def towards(address: Address) -> str | None:
    """Where a packet to an address leaves; None: it is the router's own."""
    if address in OWN:
        return None
    return next(name for name, networks in NETWORKS.items() if any(address in network for network in networks))


def expected(engine: PacketEngine, packet: PfPacket, interface: str) -> Expected | None:
    """What pf's rules say comes out of a packet that comes in; None: nothing."""
    came = engine.look(packet, Direction.IN, interface)
    if came.packet is None:
        return _answer(interface, packet, came.answer, came.code)
    leaves = towards(came.packet.destination.address)
    going = came.packet
    if leaves is None:
        if going.icmp not in ((8, 0), (128, 0)):
            return None
        going = replace(
            going,
            source=going.destination,
            destination=going.source,
            icmp=(0 if going.proto == 1 else 129, 0),
            tag="",
        )
        leaves = towards(going.destination.address)
        assert leaves is not None
    translated = engine._translate(going, Direction.OUT, leaves)[0] is not None
    known = engine._by_state(going, Direction.OUT) is not None
    out = engine.look(going, Direction.OUT, leaves)
    if out.packet is not None:
        return Expected(leaves, replace(out.packet, tag=""))
    if came.packet is not going and towards(came.packet.destination.address) is None:
        return None
    return None if translated and not known else _answer(interface, packet, out.answer, out.code)


def translated_late(engine: PacketEngine, packet: PfPacket, interface: str) -> bool:
    """Whether pf would translate a packet of a connection whose first one it let pass without a state (docs/pf.md)."""
    other = replace(engine, states=list(engine.states))

    def late(packet: PfPacket, direction: Direction, name: str) -> bool:
        known = other._by_state(packet, direction) is not None
        return not known and other._translate(packet, direction, name)[0] is not None

    if late(packet, Direction.IN, interface):
        return True
    came = other.look(packet, Direction.IN, interface).packet
    leaves = towards(came.destination.address) if came is not None else None
    return came is not None and leaves is not None and late(came, Direction.OUT, leaves)


def _answer(interface: str, packet: PfPacket, answer: Answer, code: int) -> Expected | None:
    if answer is Answer.DROP:
        return None
    return Expected(interface, None, answer, code, packet.source.address)


def agrees(wanted: Expected | None, found: list[tuple[str, PfPacket]], engine: PacketEngine) -> bool:
    """Whether what came out is what was expected; the source port that nat chose is taken over."""
    if wanted is None:
        return not found
    if len(found) != 1 or found[0][0] != wanted.interface:
        return False
    packet = found[0][1]
    if wanted.packet is None:
        if packet.destination.address != wanted.to:
            return False
        if wanted.answer is Answer.RETURN_RST:
            return packet.proto == TCP and bool(packet.tcp_flags & RST)
        return packet.icmp == (3 if packet.proto == 1 else 1, wanted.code)
    chosen = packet.source.port
    if chosen != wanted.packet.source.port and wanted.packet.source.port >= NAT_PORTS[0] <= chosen:
        end = wanted.packet.source
        engine.states[:] = [
            replace(state, wire=replace(state.wire, source=replace(end, port=chosen)))
            if state.wire.source == end
            else state
            for state in engine.states
        ]
        return replace(packet, source=replace(packet.source, port=end.port), tos=wanted.packet.tos) == wanted.packet
    return replace(packet, tos=wanted.packet.tos) == wanted.packet


# --- random rules and packets -----------------------------------------------------------------------------------------

_TABLES = (
    Table("", "some", tuple(TableEntry(ip_network(each)) for each in ("10.0.0.5", "192.0.2.9", "2001:db8:2::/64"))),
    Table(
        "",
        "but",
        (TableEntry(IPv4Network("10.0.0.0/24")), TableEntry(IPv4Network("10.0.0.5"), negated=True)),
    ),
)
_ADDRESSES: tuple[RuleAddress, ...] = (
    *(
        NetAddress(ip_network(each))
        for each in (
            "10.0.0.5", "10.0.0.6", "10.0.0.0/24", "192.0.2.1", "192.0.2.9", "192.0.2.0/28", "2001:db8:1::/64",
            "2001:db8:2::5",
        )
    ),
    TableAddress("some"),
    TableAddress("but"),
    TableAddress("none"),
    InterfaceAddress(OUTSIDE),
    InterfaceAddress(INSIDE, Part.NETWORK),
    InterfaceAddress("ext"),
)  # fmt: skip
_PORTS = (
    Ports(PortOp.EQ, 80),
    Ports(PortOp.NE, 80),
    Ports(PortOp.RANGE, 70, 90),
    Ports(PortOp.BETWEEN, 79, 81),
    Ports(PortOp.OUTSIDE, 79, 81),
    Ports(PortOp.GT, 80),
    Ports(PortOp.LE, 80),
)


@st.composite
def peers(draw: st.DrawFn, *, ports: bool) -> Peer:
    address = draw(st.one_of(st.just(AnyAddress()), st.sampled_from(_ADDRESSES)))
    negated = not isinstance(address, AnyAddress) and draw(st.integers(0, 3)) == 0
    return Peer(address, negated, draw(st.sampled_from((None, None, *_PORTS))) if ports else None)


@st.composite
def conditions(draw: st.DrawFn) -> Rule:
    """A pass rule with nothing but conditions that can be fulfilled together."""
    proto = draw(st.sampled_from((None, None, TCP, UDP, 1, 58)))
    rule = Rule(
        Action.PASS,
        draw(st.sampled_from((None, Direction.IN, Direction.OUT))),
        interface=draw(st.sampled_from(("", "", OUTSIDE, INSIDE, "ext", "nothing"))),
        proto=proto,
        source=draw(peers(ports=proto in (TCP, UDP))),
        destination=draw(peers(ports=proto in (TCP, UDP))),
        tagged=draw(st.sampled_from(("", "", "", "red", "blue"))),
    )
    rule = replace(rule, interface_not=bool(rule.interface) and draw(st.booleans()))
    rule = replace(rule, tagged_not=bool(rule.tagged) and draw(st.booleans()))
    networks = [
        side.address.network for side in (rule.source, rule.destination) if isinstance(side.address, NetAddress)
    ]
    families = {Family(network.version) for network in networks}
    family = next(iter(families)) if families else draw(st.sampled_from((None, None, Family.INET, Family.INET6)))
    if len(families) > 1:
        rule = replace(rule, destination=Peer())
        family = Family(networks[0].version)
    if proto in (1, 58):
        family = Family.INET if proto == 1 else Family.INET6
        rule = replace(rule, source=Peer(), destination=Peer()) if families - {family} else rule
    return replace(rule, family=family)


@st.composite
def filter_rules(draw: st.DrawFn, *, anchors: bool = True) -> Rule:
    rule = draw(conditions())
    rule = replace(rule, quick=draw(st.booleans()), tag=draw(st.sampled_from(("", "", "", "red", "blue"))))
    kind = draw(st.sampled_from(("pass", "pass", "pass", "block", "block", *(("anchor",) if anchors else ()))))
    if kind == "anchor":
        return replace(rule, anchor=draw(st.sampled_from(("a", "b/*"))))
    if kind == "block":
        answers = [Answer.DROP, Answer.RETURN, Answer.RETURN_ICMP]
        answers += [Answer.RETURN_RST] if rule.proto == TCP else []
        return replace(rule, action=Action.BLOCK, answer=draw(st.sampled_from(answers)))
    keep = draw(st.sampled_from((Keep.STATE, Keep.STATE, Keep.NO)))
    flags = TcpFlags(SYN, SYN | ACK) if keep is not Keep.NO and rule.proto in (None, TCP) else None
    return replace(rule, keep=keep, tcp_flags=flags)


_AROUND = Surroundings(INTERFACES, protocols={"tcp": TCP, "udp": UDP})


def _translations(text: str) -> tuple[Rule, ...]:
    said: list[str] = []
    draft = parse(Source.of_text("rules", text), _AROUND, out=said.append, err=said.append).rulesets[""]
    assert not said, said
    return (*draft.nat, *draft.rdr, *draft.binat)


_NATS = _translations("""\
nat on em0 inet from 10.0.0.0/24 to any -> 192.0.2.1
nat on em0 inet from 10.0.0.0/24 to any -> (em0:0) static-port
nat on ext inet proto udp from 10.0.0.0/24 to any tag red -> 192.0.2.2 static-port
no nat on em0 inet from 10.0.0.5 to any
nat on em0 inet6 from 2001:db8:2::/64 to any -> 2001:db8:1::1 static-port
""")
_RDRS = _translations("""\
rdr on em0 inet proto tcp from any to 192.0.2.1 port 80 -> 10.0.0.5 port 8080
rdr on em0 inet proto udp from any to 192.0.2.1 port 80:90 -> 10.0.0.6 port 1080:*
rdr on em0 inet from any to (em0) tag blue -> 10.0.0.6
no rdr on em0 inet from 192.0.2.9 to any
""")
_BINATS = _translations("""\
binat on em0 inet from 10.0.0.6 to any -> 192.0.2.2
binat on em0 inet from 10.0.0.0/28 to 192.0.2.9 -> 192.0.2.32/28
no binat on em0 inet from 10.0.0.6 to any
""")


@st.composite
def translations(draw: st.DrawFn, among: tuple[Rule, ...]) -> tuple[Rule, ...]:
    chosen = draw(st.lists(st.sampled_from(among), max_size=2, unique=True))
    return tuple(
        replace(rule, translation_pass=rule.pool is not None and draw(st.integers(0, 3)) == 0) for rule in chosen
    )


@st.composite
def setups(draw: st.DrawFn) -> PfSetup:
    main = Ruleset(
        nat=draw(translations(_NATS)),
        rdr=draw(translations(_RDRS)),
        binat=draw(translations(_BINATS)),
        filter=tuple(draw(st.lists(filter_rules(), max_size=6))),
    )
    inner = st.lists(filter_rules(anchors=False), max_size=3).map(lambda rules: Ruleset(filter=tuple(rules)))
    rulesets = {"": main, "a": draw(inner), "b/one": draw(inner), "b/two": draw(inner)}
    skip = draw(st.sampled_from(((), (), (), ("int",))))
    return PfSetup(rulesets, _TABLES, PfOptions(skip=skip), INTERFACES)


@dataclass(frozen=True)
class Exchange:
    """Packets of one flow: the first from `interface`, then as long as they arrive an answer and another one."""

    interface: str
    first: PfPacket


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    interface = draw(st.sampled_from((OUTSIDE, INSIDE)))
    source = ip_address(draw(st.sampled_from(FAR[interface])))
    other = INSIDE if interface == OUTSIDE else OUTSIDE
    others = [*FAR[other], *(("192.0.2.1", "192.0.2.2", "192.0.2.38") if interface == OUTSIDE else ("10.0.0.1",))]
    destination = ip_address(
        draw(st.sampled_from([each for each in others if ip_address(each).version == source.version]))
    )
    four = source.version == 4
    proto = draw(st.sampled_from((TCP, TCP, UDP, 1 if four else 58)))
    if proto in (TCP, UDP):
        ends = (
            PfEndpoint(source, 2000),
            PfEndpoint(destination, draw(st.sampled_from((80, 81, 85)))),
        )
        flags = draw(st.sampled_from((SYN, SYN, SYN, ACK))) if proto == TCP else 0
        return Exchange(interface, PfPacket(proto, *ends, tcp_flags=flags))
    ends = PfEndpoint(source, 2000), PfEndpoint(destination, 2000)
    return Exchange(interface, PfPacket(proto, *ends, icmp=(8 if four else 128, 0)))


def _numbered(exchange: Exchange, number: int) -> Exchange:
    """The same from a port, or with an id, that no other exchange has."""
    first, port = exchange.first, 2000 + number
    there = port if first.icmp is not None else first.destination.port
    ends = replace(first.source, port=port), replace(first.destination, port=there)
    return replace(exchange, first=replace(first, source=ends[0], destination=ends[1]))


def carry_out(router: Router, engine: PacketEngine, exchange: Exchange) -> None:
    """One flow through the router, every packet compared."""
    interface, packet = exchange.interface, exchange.first
    numbers = {True: (1000, 0), False: (5000, 1001)}
    forth = True
    for step in range(4):
        seq, ack = numbers[forth]
        if step and translated_late(engine, packet, interface):
            return
        wanted = expected(engine, packet, interface)
        data = built(packet, seq + (step > 1), ack if packet.tcp_flags != SYN else 0)
        found = router.put_in(interface, data, waiting=wanted is not None)
        if wanted is None and towards(packet.destination.address) is None and packet.icmp is None:
            # The router's own stack says that nobody listens.
            return
        assert agrees(wanted, found, engine), (
            f"{interface} {packet}\nexpected {wanted}\nfound {found}\nstates {engine.states}\n"
            f"{compile_setup(engine.setup).text}"
        )
        if wanted is None or wanted.packet is None or wanted.interface == interface:
            return
        arrived = found[0][1]
        flags = arrived.tcp_flags
        if arrived.proto == TCP:
            flags = SYN | ACK if flags == SYN else ACK
            numbers = {True: (1000, 5001), False: (5000, 1001)}
        icmp = arrived.icmp
        if icmp is not None:
            kind = {8: 0, 0: 8, 128: 129, 129: 128}[icmp[0]]
            icmp = (kind, 0)
        packet = replace(arrived, source=arrived.destination, destination=arrived.source, tcp_flags=flags, icmp=icmp)
        interface = wanted.interface
        forth = not forth


def main(examples: int, seed: int) -> None:
    router = Router()
    tried = 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    @given(setups(), st.lists(exchanges(), min_size=3, max_size=12))
    def routes_as_pf_does(setup: PfSetup, flows: list[Exchange]) -> None:
        nonlocal tried
        tried += 1
        router.load(setup)
        engine = PacketEngine(setup)
        for number, flow in enumerate(flows):
            carry_out(router, engine, _numbered(flow, number))

    seeded(seed)(routes_as_pf_does)()
    print(f"ok {tried}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
