"""pf(4)'s own way with packets, straight from the facts in conf/pf/rules.py: what Linux must do.

A `PacketEngine` is one vnet's pf while it is on: it is shown every packet coming in and going out, in order, says what
becomes of each, and keeps the states. Source: pf_test(), pf_test_rule(), pf_get_translation(), pf_create_state() of
sys/netpfil/pf, 13.2. Time does not pass: states stay until they are killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from random import Random

from vjail.conf.pf.hosts import Surroundings, family_of, interface_hosts
from vjail.conf.pf.rules import (
    Action,
    Answer,
    AnyAddress,
    Direction,
    Family,
    InterfaceAddress,
    Keep,
    NetAddress,
    Peer,
    Pool,
    PoolType,
    RangeAddress,
    Rule,
    RuleAddress,
    Ruleset,
    Table,
    TableAddress,
)
from vjail.conf.pf.words import ICMP, ICMP6, TCP, WITH_PORTS
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.pf import PfEndpoint, anchors_meant

Address = IPv4Address | IPv6Address
_DEEPEST = 64
_NEVER = (Action.NO_NAT, Action.NO_RDR, Action.NO_BINAT)


@dataclass(frozen=True, slots=True)
class PfPacket:
    """A packet as far as rules look at it. The `port` of both ends of an ICMP message is the id of its echo, if any.

    `tag` is what pf has put on it on its way through this host.
    """

    proto: int
    source: PfEndpoint
    destination: PfEndpoint
    tcp_flags: int = 0
    icmp: tuple[int, int] | None = None
    tos: int = 0
    options: bool = False
    """Whether it has IPv4 options or an IPv6 routing header."""
    tag: str = ""

    @property
    def family(self) -> Family:
        """Its address family."""
        return family_of(self.source.address)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a packet: `packet` as it goes on, None where it is blocked; its sender then hears `answer`.

    `code` is that of the ICMP unreachable, where one is sent. `rule` decided (None: none, or a state).
    """

    packet: PfPacket | None
    answer: Answer = Answer.DROP
    code: int = 0
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """Protocol and both ends of packets that go one way."""

    proto: int
    source: PfEndpoint
    destination: PfEndpoint

    def reversed(self) -> Flow:
        """The other way."""
        return Flow(self.proto, self.destination, self.source)


@dataclass(frozen=True, slots=True)
class State:
    """A state: the flow on the wire's side and on the stack's side of its first packet."""

    direction: Direction
    wire: Flow
    stack: Flow
    tag: str = ""


@dataclass(slots=True)
class PacketEngine:
    """One vnet's pf. `random` is for pools and probabilities."""

    setup: PfSetup
    random: Random = field(default_factory=lambda: Random(0))
    states: list[State] = field(default_factory=list)
    _turns: dict[Rule, int] = field(default_factory=dict)

    def look(self, packet: PfPacket, direction: Direction, interface: str) -> Verdict:
        """What becomes of a packet at an interface. An ICMP error is not followed here to what it quotes."""
        if self._skipped(interface):
            return Verdict(packet)
        known = self._by_state(packet, direction)
        if known is not None:
            return Verdict(known)
        rule, translated = self._translate(packet, direction, interface)
        if rule is not None and rule.translation_pass:
            self._keep(packet, translated, direction)
            return Verdict(translated, rule=rule)
        winner, tag = self._filter(translated, direction, interface)
        translated = replace(translated, tag=tag)
        if winner is not None and winner.action is Action.BLOCK:
            return _blocked(winner, translated)
        if winner is not None and translated.options and not winner.allow_opts:
            return Verdict(None, rule=winner)
        if rule is not None or (winner is not None and winner.keep is not Keep.NO):
            self._keep(packet, translated, direction)
        return Verdict(translated, rule=winner)

    # --- states ---

    def _by_state(self, packet: PfPacket, direction: Direction) -> PfPacket | None:
        flow = Flow(packet.proto, packet.source, packet.destination)
        for state in self.states:
            # Coming in, what is compared and replaced is the wire's side; going out, the stack's.
            here, there = (state.wire, state.stack) if direction is Direction.IN else (state.stack, state.wire)
            if state.direction is not direction:
                here, there = here.reversed(), there.reversed()
            if flow == here:
                tag = state.tag or packet.tag
                return replace(packet, source=there.source, destination=there.destination, tag=tag)
        return None

    def _keep(self, before: PfPacket, after: PfPacket, direction: Direction) -> None:
        if before.icmp is not None and not before.source.port:
            # Only queries have states.
            return
        flows = [Flow(each.proto, each.source, each.destination) for each in (before, after)]
        wire, stack = flows if direction is Direction.IN else reversed(flows)
        self.states.append(State(direction, wire, stack, after.tag))

    # --- translation ---

    def _translate(self, packet: PfPacket, direction: Direction, interface: str) -> tuple[Rule | None, PfPacket]:
        tried: tuple[tuple[Callable[[Ruleset], tuple[Rule, ...]], bool], ...]
        if direction is Direction.IN:
            tried = ((lambda each: each.rdr, False), (lambda each: each.binat, True))
        else:
            tried = ((lambda each: each.binat, False), (lambda each: each.nat, False))
        for rules, back in tried:
            found = self._first(rules, packet, interface, "", 0, back=back)
            if found is None or found[0].action in _NEVER:
                continue
            rule, anchor = found
            translated = self._translated(rule, packet, anchor, back=back)
            if translated is None:
                return None, packet
            return rule, replace(translated, tag=rule.tag or packet.tag)
        return None, packet

    def _first(
        self,
        rules: Callable[[Ruleset], tuple[Rule, ...]],
        packet: PfPacket,
        interface: str,
        anchor: str,
        depth: int,
        *,
        back: bool,
    ) -> tuple[Rule, str] | None:
        for rule in rules(self.setup.rulesets.get(anchor, Ruleset())):
            if rule.anchor:
                if depth < _DEEPEST and self._matches(rule, packet, interface, anchor):
                    for path in anchors_meant(self.setup.rulesets, rule.anchor):
                        found = self._first(rules, packet, interface, path, depth + 1, back=back)
                        if found is not None:
                            return found
                continue
            if back:
                if rule.pool is None:
                    continue
                turned = replace(rule, source=rule.destination, destination=Peer(rule.pool.addresses[0]))
                if self._matches(turned, packet, interface, anchor):
                    return rule, anchor
            elif self._matches(rule, packet, interface, anchor):
                return rule, anchor
        return None

    def _translated(self, rule: Rule, packet: PfPacket, anchor: str, *, back: bool) -> PfPacket | None:
        assert rule.pool is not None
        if rule.action is Action.BINAT:
            side = packet.destination if back else packet.source
            networks = self._networks(rule.source.address if back else rule.pool.addresses[0], packet.family, anchor)
            if not networks:
                return None
            end = replace(side, address=_laid_over(networks[0], side.address))
            return replace(packet, destination=end) if back else replace(packet, source=end)
        address = self._from_pool(rule, rule.pool, packet, anchor)
        if address is None:
            return None
        if rule.action is Action.NAT:
            return replace(packet, source=PfEndpoint(address, self._source_port(rule.pool, packet)))
        return replace(packet, destination=PfEndpoint(address, _redirected(rule, rule.pool, packet.destination.port)))

    def _source_port(self, pool: Pool, packet: PfPacket) -> int:
        first, last = pool.ports
        if not first or packet.proto not in WITH_PORTS:
            return packet.source.port
        return self.random.randint(first, last)

    def _from_pool(self, rule: Rule, pool: Pool, packet: PfPacket, anchor: str) -> Address | None:
        networks = [net for each in pool.addresses for net in self._networks(each, packet.family, anchor)]
        if not networks:
            return None
        match pool.type:
            case PoolType.NONE:
                return networks[0].network_address
            case PoolType.BITMASK:
                side = packet.source if rule.action is Action.NAT else packet.destination
                return _laid_over(networks[0], side.address)
            case PoolType.RANDOM:
                network = self.random.choice(networks)
                return network[self.random.randrange(network.num_addresses)]
            case PoolType.ROUND_ROBIN | PoolType.SOURCE_HASH:
                turn = int(packet.source.address)
                if pool.type is PoolType.ROUND_ROBIN:
                    turn = self._turns.get(rule, 0)
                    self._turns[rule] = turn + 1
                return _nth(networks, turn)

    def _networks(self, address: RuleAddress, family: Family, anchor: str) -> list[IPv4Network | IPv6Network]:
        match address:
            case NetAddress(network):
                return [network] if family_of(network) is family else []
            case InterfaceAddress():
                hosts = interface_hosts(address, Surroundings(self.setup.interfaces))
                found = [each.address.network for each in hosts if isinstance(each.address, NetAddress)]
                return [network for network in found if family_of(network) is family]
            case TableAddress(name):
                table = self._table(anchor, name)
                entries = table.entries if table else ()
                return [each.network for each in entries if not each.negated and family_of(each.network) is family]
            case _:
                return []

    # --- filter ---

    def _filter(self, packet: PfPacket, direction: Direction, interface: str) -> tuple[Rule | None, str]:
        """The rule that wins, and the tag the packet has then."""
        search = _Search(packet.tag)
        self._try("", packet, direction, interface, search, 0)
        return search.winner, search.tag

    def _try(
        self, anchor: str, packet: PfPacket, direction: Direction, interface: str, search: _Search, depth: int
    ) -> None:
        for rule in self.setup.rulesets.get(anchor, Ruleset()).filter:
            if rule.direction not in (None, direction):
                continue
            if not self._matches(rule, replace(packet, tag=search.tag), interface, anchor):
                continue
            search.tag = rule.tag or search.tag
            if not rule.anchor:
                search.winner, search.matched = rule, search.matched + 1
                search.over = rule.quick
            elif depth < _DEEPEST:
                before = search.matched
                for path in anchors_meant(self.setup.rulesets, rule.anchor):
                    self._try(path, packet, direction, interface, search, depth + 1)
                    if search.over:
                        return
                search.over = rule.quick and search.matched > before
            if search.over:
                return

    # --- conditions ---

    def _matches(self, rule: Rule, packet: PfPacket, interface: str, anchor: str) -> bool:
        return all(self._conditions(rule, packet, interface, anchor))

    def _conditions(self, rule: Rule, packet: PfPacket, interface: str, anchor: str) -> Iterator[bool]:
        if rule.interface:
            yield self._is_on(rule.interface, interface) != rule.interface_not
        yield rule.family in (None, packet.family)
        yield rule.proto in (None, packet.proto)
        yield self._is_side(rule.source, packet.source, packet, anchor)
        yield self._is_side(rule.destination, packet.destination, packet, anchor)
        if rule.tcp_flags is not None and packet.proto == TCP:
            yield packet.tcp_flags & rule.tcp_flags.of == rule.tcp_flags.set
        if rule.icmp is not None:
            kind, code = packet.icmp or (-1, -1)
            yield rule.icmp.type == kind and rule.icmp.code in (None, code)
        if rule.tos is not None:
            yield rule.tos == packet.tos
        if rule.tagged:
            yield (rule.tagged == packet.tag) != rule.tagged_not
        if rule.probability is not None:
            yield self.random.random() < rule.probability

    def _is_on(self, named: str, interface: str) -> bool:
        groups = next((each.groups for each in self.setup.interfaces if each.name == interface), ())
        return named == interface or named in groups

    def _skipped(self, interface: str) -> bool:
        return any(self._is_on(name, interface) for name in self.setup.options.skip)

    def _is_side(self, peer: Peer, end: PfEndpoint, packet: PfPacket, anchor: str) -> bool:
        if self._holds(peer.address, end.address, anchor) == peer.negated:
            return False
        return peer.ports is None or (packet.proto in WITH_PORTS and peer.ports.fit(end.port))

    def _holds(self, address: RuleAddress, wanted: Address, anchor: str) -> bool:
        match address:
            case AnyAddress():
                return True
            case RangeAddress(first, last):
                return first.version == wanted.version and int(first) <= int(wanted) <= int(last)
            case TableAddress(name):
                table = self._table(anchor, name)
                return table is not None and table.holds(wanted)
            case _:
                return any(wanted in network for network in self._networks(address, family_of(wanted), anchor))

    def _table(self, anchor: str, name: str) -> Table | None:
        found = {(table.anchor, table.name): table for table in self.setup.tables}
        return found.get((anchor, name)) or found.get(("", name))


@dataclass(slots=True)
class _Search:
    tag: str
    winner: Rule | None = None
    matched: int = 0
    over: bool = False


def _blocked(rule: Rule, packet: PfPacket) -> Verdict:
    """What the sender hears: nothing where the packet is an ICMP message itself."""
    code = rule.return_icmp if packet.family is Family.INET else rule.return_icmp6
    is_icmp = packet.proto == (ICMP if packet.family is Family.INET else ICMP6)
    match rule.answer:
        case Answer.RETURN | Answer.RETURN_RST if packet.proto == TCP:
            return Verdict(None, Answer.RETURN_RST, rule=rule)
        case Answer.RETURN | Answer.RETURN_ICMP if not is_icmp:
            return Verdict(None, Answer.RETURN_ICMP, code, rule)
        case _:
            return Verdict(None, rule=rule)


def _laid_over(network: IPv4Network | IPv6Network, address: Address) -> Address:
    """The address in a network that has the same place there."""
    return network[int(address) & int(network.hostmask)]


def _nth(networks: list[IPv4Network | IPv6Network], turn: int) -> Address:
    turn %= sum(network.num_addresses for network in networks)
    for network in networks:
        if turn < network.num_addresses:
            return network[turn]
        turn -= network.num_addresses
    raise AssertionError(turn)


def _redirected(rule: Rule, pool: Pool, port: int) -> int:
    first, last = pool.ports
    if not first:
        return port
    wanted = rule.destination.ports
    if not last or wanted is None or not wanted.second:
        return first
    return (port - wanted.first) % (last - first + 1) + first
