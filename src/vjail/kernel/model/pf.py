"""pf(4) on the model: a PfDriver whose rules look at every packet of a vnet that moves.

The order of things is that of conf/pf/rules.py; what one rule matches is pf_match.py's, what it limits pf_limits.py's.
Source: FreeBSD 13.2 sys/netpfil/pf/{pf.c,pf_lb.c}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

from vjail.conf.pf.rules import Action, Detour, Direction, Keep, Pool, Rule, Ruleset, Turn
from vjail.kernel.core.driver import Clock
from vjail.kernel.core.pf_driver import Overload, PfSetup
from vjail.kernel.model.devices import Device
from vjail.kernel.model.network import MemoryDriver
from vjail.kernel.model.packets import IP, Carried, Icmp, Kind, Packet, Ports, Protocol
from vjail.kernel.model.pf_limits import Limits, Place, Tracked
from vjail.kernel.model.pf_match import Matcher, is_called
from vjail.kernel.pf import PfEndpoint, PfState

_TRANSLATES = (Action.NAT, Action.RDR, Action.BINAT)
_LIFE = 20.0
"""Seconds that a state of ICMP lives after the last packet (icmp.first)."""

Key = tuple[IP, int, IP, int]
"""Source and its port, destination and its port; the id of an echo stands for both ports."""


@dataclass(slots=True)
class State:
    """A flow: `stack` is how it looks on the side of the host's own stack, `wire` outside; `out`: it began outbound.

    `tracked`: what the rule that made it has limits for, None where it has none.
    """

    proto: int
    out: bool
    stack: Key
    wire: Key
    expires: float
    tag: str
    tracked: Tracked | None = None
    detour: Detour | None = None


class MemoryPacketFilter:
    """The pf of each vnet of a host in memory."""

    def __init__(self, driver: MemoryDriver, clock: Clock) -> None:
        self._driver = driver
        self._clock = clock
        self._filters: dict[int, Pf] = {}

    def check(self, vnet: int, setup: PfSetup) -> None:
        """Everything can be carried out."""

    def enforce(self, vnet: int, setup: PfSetup | None) -> None:
        """From now on treat the packets of a vnet so; states stay."""
        pf = self._filters.setdefault(vnet, Pf(self._clock))
        if setup is not None:
            pf.enforce(setup)
        self._driver.nets[vnet].filter = pf if setup is not None else None

    def adopt(self, vnet: int, setup: PfSetup) -> None:
        """This is in force in a vnet."""
        self.enforce(vnet, setup)

    def overloads(self, vnet: int) -> Sequence[Overload]:
        """Who exceeded limits."""
        pf = self._filters.get(vnet)
        return [] if pf is None else pf.overloads

    def states(self, vnet: int) -> Sequence[PfState]:
        """The states there are."""
        return [_shown(state) for state in self._living(vnet)]

    def kill_states(
        self,
        vnet: int,
        source: IPv4Network | IPv6Network | None,
        destination: IPv4Network | IPv6Network | None,
    ) -> int:
        """Forget states between these networks; how many."""
        gone = [
            state
            for state in self._living(vnet)
            if (source is None or state.stack[0] in source) and (destination is None or state.stack[2] in destination)
        ]
        for state in gone:
            self._filters[vnet].states.remove(state)
        return len(gone)

    def forget(self, vnet: int) -> None:
        """The vnet has gone."""
        self._filters.pop(vnet, None)

    def _living(self, vnet: int) -> list[State]:
        pf = self._filters.get(vnet)
        return [] if pf is None else pf.living()


class Pf:
    """One vnet's filter: looks at each packet where it comes in and where it goes out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.matcher = Matcher(PfSetup())
        self.states: list[State] = []
        self.overloads: list[Overload] = []
        """Who exceeded limits since what is in force is in force."""
        self._limits = Limits()

    def enforce(self, setup: PfSetup) -> None:
        """Go by this from now on. Rules that were loaded anew count anew."""
        if setup.rulesets != self.matcher.setup.rulesets:
            self._limits = Limits()
            for state in self.states:
                state.tracked = None
        self.matcher = Matcher(setup)
        self.overloads = []

    def living(self) -> list[State]:
        """The states whose time is not over."""
        now = self._clock.monotonic()
        self.states = [state for state in self.states if state.expires > now]
        return self.states

    def __call__(self, device: Device, packet: Packet, *, outbound: bool) -> Packet | None:
        """The packet, translated perhaps; None: it is blocked."""
        if any(is_called(device, name) for name in self.matcher.setup.options.skip):
            return packet
        packet = self._scrubbed(device, packet, outbound)
        if isinstance(packet.message, Icmp) and packet.message.kind in (Kind.SOLICIT, Kind.ADVERT):
            chosen, _ = self._filtered(device, packet, outbound)
            return packet if chosen is None or chosen.rule.action is Action.PASS else None
        if _key(packet) is None:
            known = self._error(packet, outbound)
            if known is not None:
                return known
        state = self._state_of(packet, outbound)
        if state is not None:
            return self._known(state, packet, outbound)
        rule, translated = self._translated(device, packet, outbound)
        if rule is not None and rule.translation_pass:
            return self._keep(packet, translated, outbound, None)
        chosen, translated = self._filtered(device, translated, outbound)
        if chosen is not None and chosen.rule.action is not Action.PASS:
            return None
        if rule is not None or (chosen is not None and chosen.rule.keep is not Keep.NO):
            return self._keep(packet, translated, outbound, chosen)
        return translated

    # --- states -----------------------------------------------------------------------------------------------------

    def _state_of(self, packet: Packet, outbound: bool) -> State | None:
        """The state that a packet is of."""
        key = _key(packet)
        for state in self.living():
            if state.proto == packet.protocol and key == _sides(state, forth=state.out == outbound)[0]:
                return state
        return None

    def _known(self, state: State, packet: Packet, outbound: bool) -> Packet | None:
        """A packet of a state as it goes on; None where it completes one connection too many."""
        forth = state.out == outbound
        tracked = state.tracked
        if tracked is not None and state.proto is Protocol.TCP and not tracked.established:
            if not forth:
                tracked.answered = True
            elif tracked.answered and self._limits.establish(
                tracked, self._tracked(tracked.place), self._clock.monotonic()
            ):
                self._end(state, tracked)
                return None
        passed = self._with(packet, _sides(state, forth=forth)[1], state)
        return _on_its_way(passed, state, forth=forth)

    def _end(self, state: State, tracked: Tracked) -> None:
        """End a state that is one connection too many, with what its rule says of its source."""
        self.states.remove(state)
        place, source = tracked.place, tracked.source
        options = place.rule.state_options
        if options.overload:
            self.matcher.overload(place.anchor, options.overload, source)
            self.overloads.append(Overload(place.anchor, options.overload, source))
        if options.flush:
            self.states = [
                each
                for each in self.states
                # What is compared is the end that is in the place where the ended state had its source.
                if each.wire[0 if each.out == state.out else 2] != source
                or not (options.flush == "flush global" or (each.tracked is not None and each.tracked.place == place))
            ]

    def _tracked(self, place: Place) -> list[Tracked]:
        """What is counted of the living states that a rule made."""
        found = [state.tracked for state in self.living() if state.tracked is not None]
        return [each for each in found if each.place == place]

    def _with(self, packet: Packet, key: Key, state: State) -> Packet:
        state.expires = self._clock.monotonic() + _LIFE
        return replace(_rekeyed(packet, key), tag=state.tag)

    def _error(self, packet: Packet, outbound: bool) -> Packet | None:
        """An ICMP error goes the way of an answer to the packet it quotes."""
        message = packet.message
        if not isinstance(message, Icmp) or message.about is None or (quoted := _key(message.about)) is None:
            return None
        for state in self.living():
            forth, back = (state.stack, state.wire) if state.out else (state.wire, state.stack)
            if state.out != outbound and quoted == back and state.proto == message.about.protocol:
                about = _rekeyed(message.about, forth)
                source = forth[2] if packet.source == back[2] else packet.source
                return replace(packet, source=source, destination=forth[0], message=replace(message, about=about))
        return None

    def _keep(self, before: Packet, after: Packet, outbound: bool, by: Place | None) -> Packet | None:
        """Make a state of a packet's first look; an id that another flow has outside gives way to a free one.

        `by` is the filter rule that passed it. None: its limits do not allow one more.
        """
        first, then = _key(before), _key(after)
        if first is None or then is None:
            return after
        tracked: Tracked | None = None
        if by is not None and (by.rule.state_options.limits_states or by.rule.state_options.limits_connections):
            if self._limits.refuse(by, after.source, self._tracked(by)):
                return None
            tracked = Tracked(by, after.source)
        detour = by.rule.detour if by is not None else None
        if outbound and first != then:
            taken = {state.wire for state in self.living() if state.proto == after.protocol}
            while then in taken:
                then = (then[0], then[1] + 1 & 0xFFFF, then[2], then[3] + (then[1] == then[3]) & 0xFFFF)
            after = _rekeyed(after, then)
        stack, wire = (first, then) if outbound else (then, first)
        until = self._clock.monotonic() + _LIFE
        state = State(after.protocol, outbound, stack, wire, until, after.tag, tracked, detour)
        self.states.append(state)
        return _on_its_way(after, state, forth=True)

    def _scrubbed(self, device: Device, packet: Packet, outbound: bool) -> Packet:
        """What the first scrub rule that matches writes into the header, as far as packets here have it."""
        for rule in self.matcher.setup.rulesets.get("", Ruleset()).scrub:
            if self.matcher.matches("", rule, device, packet, outbound):
                if rule.action is Action.NO_SCRUB:
                    return packet
                dont_fragment = packet.dont_fragment and not rule.no_df
                return replace(packet, dont_fragment=dont_fragment, ttl=max(packet.ttl, rule.min_ttl))
        return packet

    # --- rules ------------------------------------------------------------------------------------------------------

    def _translated(self, device: Device, packet: Packet, outbound: bool) -> tuple[Rule | None, Packet]:
        """The first translation rule that matches, and the packet by it."""
        kinds = ("binat", "nat") if outbound else ("rdr", "binat")
        for kind in kinds:
            rule = self._first("", kind, device, packet, outbound)
            if rule is not None and rule.action in _TRANSLATES:
                packet = replace(packet, tag=rule.tag or packet.tag)
                return rule, self._rewritten(rule, rule.pool or Pool(()), packet, outbound)
        return None, packet

    def _first(self, anchor: str, kind: str, device: Device, packet: Packet, outbound: bool) -> Rule | None:
        for rule in _rules(self.matcher.setup.rulesets.get(anchor, Ruleset()), kind):
            if not self.matcher.matches(anchor, rule, device, packet, outbound):
                continue
            if not rule.anchor:
                return rule
            for below in self.matcher.anchors(rule.anchor):
                found = self._first(below, kind, device, packet, outbound)
                if found is not None:
                    return found
        return None

    def _rewritten(self, rule: Rule, pool: Pool, packet: Packet, outbound: bool) -> Packet:
        match rule.action:
            case Action.RDR:
                target = self.matcher.chosen(rule, pool, packet, packet.destination)
                port = _mapped_port(rule, pool, packet)
                return packet if target is None else _towards(replace(packet, destination=target), port)
            case Action.BINAT if not outbound:
                inside = self.matcher.counterpart(rule, packet.destination)
                return packet if inside is None else replace(packet, destination=inside)
            case _:
                source = self.matcher.chosen(rule, pool, packet, packet.source)
                return packet if source is None else replace(packet, source=source)

    def _filtered(self, device: Device, packet: Packet, outbound: bool) -> tuple[Place | None, Packet]:
        """The filter rule that decides, and the packet with the tags of all that matched."""
        decided, _, packet = self._walk("", device, packet, outbound)
        return decided, packet

    def _walk(self, anchor: str, device: Device, packet: Packet, outbound: bool) -> tuple[Place | None, bool, Packet]:
        """The last rule that matches, whether the search is over, and the packet with its tags."""
        last: Place | None = None
        for number, rule in enumerate(self.matcher.setup.rulesets.get(anchor, Ruleset()).filter):
            if not self.matcher.matches(anchor, rule, device, packet, outbound):
                continue
            if rule.tag:
                packet = replace(packet, tag=rule.tag)
            if not rule.anchor:
                last = Place(anchor, number, rule)
                if rule.quick:
                    return last, True, packet
                continue
            matched = False
            for below in self.matcher.anchors(rule.anchor):
                inner, over, packet = self._walk(below, device, packet, outbound)
                if inner is not None:
                    last, matched = inner, True
                if over:
                    return last, True, packet
            if rule.quick and matched:
                return last, True, packet
        return last, False, packet


def _rules(ruleset: Ruleset, kind: str) -> tuple[Rule, ...]:
    return {"nat": ruleset.nat, "rdr": ruleset.rdr, "binat": ruleset.binat}[kind]


def _key(packet: Packet) -> Key | None:
    """What tells a packet's flow; None for an ICMP error."""
    match packet.message:
        case Ports(source, destination):
            return packet.source, source, packet.destination, destination
        case Carried(port=port):
            return packet.source, port, packet.destination, port
        case Icmp(ident=ident, about=None):
            return packet.source, ident, packet.destination, ident
    return None


def _on_its_way(packet: Packet, state: State, *, forth: bool) -> Packet:
    """A packet of a state with the way that its rule sends it."""
    turn = Turn.ROUTE_TO if forth else Turn.REPLY_TO
    return packet if state.detour is None or state.detour.turn is not turn else replace(packet, detour=state.detour)


def _sides(state: State, *, forth: bool) -> tuple[Key, Key]:
    """How a packet of a state looks before pf and behind it, one of who began or, not `forth`, an answer."""
    first, then = (state.stack, state.wire) if state.out else (state.wire, state.stack)
    return (first, then) if forth else (_turned(then), _turned(first))


def _turned(key: Key) -> Key:
    return key[2], key[3], key[0], key[1]


def _rekeyed(packet: Packet, key: Key) -> Packet:
    match packet.message:
        case Ports():
            message: Ports | Icmp | Carried = Ports(key[1], key[3])
        case Icmp() as icmp:
            message = replace(icmp, ident=key[1])
        case Carried() as carried:
            message = carried
    return replace(packet, source=key[0], destination=key[2], message=message)


def _towards(packet: Packet, port: int | None) -> Packet:
    if port is None or not isinstance(packet.message, Ports):
        return packet
    return replace(packet, message=replace(packet.message, destination=port))


def _mapped_port(rule: Rule, pool: Pool, packet: Packet) -> int | None:
    """The port rdr maps a packet's to; None: its own."""
    first, last = pool.ports
    if not first or not isinstance(packet.message, Ports):
        return None
    if last <= first or rule.destination.ports is None:
        return first
    return min(last, first + packet.message.destination - rule.destination.ports.first)


def _shown(state: State) -> PfState:
    stack, wire = state.stack, state.wire
    return PfState(
        Direction.OUT if state.out else Direction.IN,
        state.proto,
        PfEndpoint(*stack[:2]),
        PfEndpoint(*stack[2:]),
        PfEndpoint(*wire[:2]),
        PfEndpoint(*wire[2:]),
        ("0", "0"),
        int(_LIFE),
    )
