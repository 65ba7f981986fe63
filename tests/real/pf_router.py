"""A router with random pf rules, and packets through it: what nftables does must be what pf's own rules say.

Run as a program in a network namespace of its own. em0 (outside) and em1 (inside) are tun devices held by this process:
what is written to one comes in there, what the router sends out there is read from it. Prints `ok` and how many rulesets
were tried; otherwise what differed.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from vjail.conf.pf.hosts import HostAddress, HostInterface
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
    Pool,
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
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.core.pf_evaluate import PacketEngine, PfPacket
from vjail.kernel.linux.netlink import Request, Socket
from vjail.kernel.linux.pf.compile import compile_setup
from vjail.kernel.linux.pf.conntrack import NETLINK_NETFILTER
from vjail.kernel.pf import PfEndpoint

Address = IPv4Address | IPv6Address

TCP, UDP = 6, 17
SYN, ACK, RST = 0x02, 0x10, 0x04
OUTSIDE, INSIDE = "em0", "em1"
INTERFACES = (
    HostInterface(
        OUTSIDE,
        ("ext",),
        (
            HostAddress(IPv4Address("192.0.2.1"), 24),
            HostAddress(IPv4Address("192.0.2.2"), 24),
            HostAddress(IPv6Address("2001:db8:1::1"), 64),
        ),
    ),
    HostInterface(
        INSIDE, ("int",), (HostAddress(IPv4Address("10.0.0.1"), 24), HostAddress(IPv6Address("2001:db8:2::1"), 64))
    ),
)
OWN = {held.address for interface in INTERFACES for held in interface.addresses}
NETWORKS: dict[str, tuple[IPv4Network | IPv6Network, ...]] = {
    OUTSIDE: (IPv4Network("192.0.2.0/24"), IPv6Network("2001:db8:1::/64")),
    INSIDE: (IPv4Network("10.0.0.0/24"), IPv6Network("2001:db8:2::/64")),
}
FAR = {
    OUTSIDE: ("192.0.2.9", "192.0.2.10", "2001:db8:1::9"),
    INSIDE: ("10.0.0.5", "10.0.0.6", "2001:db8:2::5"),
}
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000


# --- packets ----------------------------------------------------------------------------------------------------------


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data)) if len(data) % 2 == 0 else _sum(data + b"\0")
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def built(packet: PfPacket, seq: int = 1000, ack: int = 0) -> bytes:
    """A packet's bytes."""
    source, destination = packet.source, packet.destination
    four = isinstance(source.address, IPv4Address)
    if packet.proto == TCP:
        body = struct.pack(">HHIIBBHHH", source.port, destination.port, seq, ack, 0x50, packet.tcp_flags, 8192, 0, 0)
        place = 16
    elif packet.proto == UDP:
        body = struct.pack(">HHHH", source.port, destination.port, 12, 0) + b"data"
        place = 6
    else:
        kind, code = packet.icmp or (8, 0)
        body = struct.pack(">BBHHH", kind, code, 0, source.port, 1) + b"data"
        place = 2
    pseudo = source.address.packed + destination.address.packed + struct.pack(">HH", packet.proto, len(body))
    if packet.proto == 1:
        pseudo = b""
    check = ~_sum(pseudo + body) & 0xFFFF
    body = body[:place] + struct.pack(">H", check) + body[place + 2 :]
    if not four:
        head = struct.pack(">IHBB", 6 << 28 | packet.tos << 20, len(body), packet.proto, 64)
        return head + source.address.packed + destination.address.packed + body
    head = struct.pack(">BBHHHBBH", 0x45, packet.tos, 20 + len(body), 1, 0, 64, packet.proto, 0)
    head += source.address.packed + destination.address.packed
    return head[:10] + struct.pack(">H", ~_sum(head) & 0xFFFF) + head[12:] + body


def parsed(data: bytes) -> PfPacket | None:
    """The packet that bytes are; None for what the test does not look at (neighbours, groups)."""
    if data[0] >> 4 == 4:
        proto, start = data[9], (data[0] & 15) * 4
        addresses: tuple[Address, Address] = (IPv4Address(data[12:16]), IPv4Address(data[16:20]))
    else:
        proto, start = data[6], 40
        addresses = (IPv6Address(data[8:24]), IPv6Address(data[24:40]))
    body = data[start:]
    if proto in (TCP, UDP):
        ports = struct.unpack(">HH", body[:4])
        flags = body[13] if proto == TCP else 0
        ends = [PfEndpoint(address, port) for address, port in zip(addresses, ports, strict=True)]
        return PfPacket(proto, ends[0], ends[1], flags)
    if proto not in (1, 58):
        return None
    kind, code = body[0], body[1]
    if (proto, kind) in ((1, 8), (1, 0), (58, 128), (58, 129)):
        identity = struct.unpack(">H", body[4:6])[0]
        return PfPacket(
            proto, PfEndpoint(addresses[0], identity), PfEndpoint(addresses[1], identity), icmp=(kind, code)
        )
    if (proto, kind) in ((1, 3), (58, 1)):
        return PfPacket(proto, PfEndpoint(addresses[0]), PfEndpoint(addresses[1]), icmp=(kind, code))
    return None


# --- the router -------------------------------------------------------------------------------------------------------


class Router:
    """The machine between both sides."""

    def __init__(self) -> None:
        self._tuns: dict[str, int] = {}
        for name in (OUTSIDE, INSIDE):
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
            self._tuns[name] = fd
        for path, value in (
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/icmp_ratelimit", "0"),
            ("ipv6/icmp/ratelimit", "0"),
            ("ipv4/fwmark_reflect", "1"),
            ("ipv6/fwmark_reflect", "1"),
        ):
            Path(f"/proc/sys/net/{path}").write_text(value)
        for interface in INTERFACES:
            _ip("link", "set", interface.name, "up")
            # What is sent is there to be read at once.
            subprocess.run(["tc", "qdisc", "replace", "dev", interface.name, "root", "noqueue"], check=True)
            for held in interface.addresses:
                nodad = ("nodad",) if held.address.version == 6 else ()
                _ip("addr", "add", f"{held.address}/{held.prefixlen}", "dev", interface.name, *nodad)
        _ip("link", "set", "lo", "up")
        self._socket = Socket(protocol=NETLINK_NETFILTER)

    def load(self, setup: PfSetup) -> None:
        """Other rules, no connections."""
        text = compile_setup(setup)
        done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{text}"
        self._socket.request(Request(1 << 8 | 2, struct.pack("=BBH", 0, 0, 0), tolerate=(2,)))
        self.come_out()

    def come_out(self) -> list[tuple[str, PfPacket]]:
        """What the router has sent, and where."""
        found: list[tuple[str, PfPacket]] = []
        for name, fd in self._tuns.items():
            while True:
                try:
                    packet = parsed(os.read(fd, 4096))
                except BlockingIOError:
                    break
                if packet is not None:
                    found.append((name, packet))
        return found

    def put_in(self, interface: str, data: bytes, *, waiting: bool) -> list[tuple[str, PfPacket]]:
        """Let a packet come in; what comes out of it. Where something should, it is waited for a little."""
        os.write(self._tuns[interface], data)
        found = self.come_out()
        if waiting and not found:
            select.select(list(self._tuns.values()), [], [], 0.5)
            found = self.come_out()
        return found


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


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


def _net(text: str) -> NetAddress:
    return NetAddress(ip_network(text))


_INSIDE_NET = Peer(_net("10.0.0.0/24"))
_NATS = (
    Rule(Action.NAT, interface=OUTSIDE, family=Family.INET, source=_INSIDE_NET, pool=Pool((_net("192.0.2.1"),), ports=NAT_PORTS)),
    Rule(Action.NAT, interface=OUTSIDE, source=_INSIDE_NET, family=Family.INET, pool=Pool((InterfaceAddress(OUTSIDE, first_only=True),), ports=(0, 0))),
    Rule(Action.NAT, interface="ext", proto=UDP, family=Family.INET, source=_INSIDE_NET, pool=Pool((_net("192.0.2.2"),), ports=(0, 0)), tag="red"),
    Rule(Action.NO_NAT, interface=OUTSIDE, family=Family.INET, source=Peer(_net("10.0.0.5"))),
    Rule(Action.NAT, interface=OUTSIDE, family=Family.INET6, source=Peer(_net("2001:db8:2::/64")), pool=Pool((_net("2001:db8:1::1"),), ports=(0, 0))),
)  # fmt: skip
_RDRS = (
    Rule(Action.RDR, interface=OUTSIDE, family=Family.INET, proto=TCP, destination=Peer(_net("192.0.2.1"), ports=Ports(PortOp.EQ, 80)), pool=Pool((_net("10.0.0.5"),), ports=(8080, 0))),
    Rule(Action.RDR, interface=OUTSIDE, family=Family.INET, proto=UDP, destination=Peer(_net("192.0.2.1"), ports=Ports(PortOp.RANGE, 80, 90)), pool=Pool((_net("10.0.0.6"),), ports=(1080, 1090))),
    Rule(Action.RDR, interface=OUTSIDE, family=Family.INET, destination=Peer(InterfaceAddress(OUTSIDE)), pool=Pool((_net("10.0.0.6"),)), tag="blue"),
    Rule(Action.NO_RDR, interface=OUTSIDE, family=Family.INET, source=Peer(_net("192.0.2.9"))),
)  # fmt: skip
_BINATS = (
    Rule(Action.BINAT, interface=OUTSIDE, family=Family.INET, source=Peer(_net("10.0.0.6")), pool=Pool((_net("192.0.2.2"),))),
    Rule(Action.BINAT, interface=OUTSIDE, family=Family.INET, source=Peer(_net("10.0.0.0/28")), destination=Peer(_net("192.0.2.9")), pool=Pool((_net("192.0.2.32/28"),))),
    Rule(Action.NO_BINAT, interface=OUTSIDE, family=Family.INET, source=Peer(_net("10.0.0.6"))),
)  # fmt: skip


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
            f"{compile_setup(engine.setup)}"
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

    from hypothesis import seed as seeded

    seeded(seed)(routes_as_pf_does)()
    print(f"ok {tried}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
