"""pf(4) on the model: a PfDriver whose rules look at every packet of a vnet that moves.

The order of things is that of conf/pf/rules.py; what one rule matches is pf_match.py's. Source: FreeBSD 13.2
sys/netpfil/pf/{pf.c,pf_lb.c}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

from vjail.conf.pf.rules import Action, Direction, Keep, Pool, Rule, Ruleset
from vjail.kernel.core.driver import Clock
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.model.devices import Device
from vjail.kernel.model.network import MemoryDriver
from vjail.kernel.model.packets import IP, Carried, Icmp, Kind, Packet, Ports
from vjail.kernel.model.pf_match import Matcher, is_called
from vjail.kernel.pf import PfEndpoint, PfState

_TRANSLATES = (Action.NAT, Action.RDR, Action.BINAT)
_LIFE = 20.0
"""Seconds that a state of ICMP lives after the last packet (icmp.first)."""

Key = tuple[IP, int, IP, int]
"""Source and its port, destination and its port; the id of an echo stands for both ports."""


@dataclass(slots=True)
class State:
    """A flow: `stack` is how it looks on the side of the host's own stack, `wire` outside; `out`: it began outbound."""

    proto: int
    out: bool
    stack: Key
    wire: Key
    expires: float
    tag: str


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
            pf.matcher = Matcher(setup)
        self._driver.nets[vnet].filter = pf if setup is not None else None

    def adopt(self, vnet: int, setup: PfSetup) -> None:
        """This is in force in a vnet."""
        self.enforce(vnet, setup)

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
            return packet if chosen is None or chosen.action is Action.PASS else None
        known = self._known(packet, outbound)
        if known is not None:
            return known
        rule, translated = self._translated(device, packet, outbound)
        if rule is not None and rule.translation_pass:
            passes, keep = True, True
        else:
            chosen, translated = self._filtered(device, translated, outbound)
            passes = chosen is None or chosen.action is Action.PASS
            keep = chosen is not None and chosen.keep is not Keep.NO
        if not passes:
            return None
        if keep or rule is not None:
            return self._keep(packet, translated, outbound)
        return translated

    # --- states -----------------------------------------------------------------------------------------------------

    def _known(self, packet: Packet, outbound: bool) -> Packet | None:
        """A packet of a known flow as it goes on; None: of none."""
        key = _key(packet)
        if key is None:
            return self._error(packet, outbound)
        for state in self.living():
            if state.proto != packet.protocol:
                continue
            forth, back = (state.stack, state.wire) if state.out else (state.wire, state.stack)
            if state.out == outbound and key == forth:
                return self._with(packet, back, state)
            if state.out != outbound and key == _turned(back):
                return self._with(packet, _turned(forth), state)
        return None

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

    def _keep(self, before: Packet, after: Packet, outbound: bool) -> Packet:
        """Make a state of a packet's first look; an id that another flow has outside gives way to a free one."""
        first, then = _key(before), _key(after)
        if first is None or then is None:
            return after
        if outbound and first != then:
            taken = {state.wire for state in self.living() if state.proto == after.protocol}
            while then in taken:
                then = (then[0], then[1] + 1 & 0xFFFF, then[2], then[3] + (then[1] == then[3]) & 0xFFFF)
            after = _rekeyed(after, then)
        stack, wire = (first, then) if outbound else (then, first)
        until = self._clock.monotonic() + _LIFE
        self.states.append(State(after.protocol, outbound, stack, wire, until, after.tag))
        return after

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

    def _filtered(self, device: Device, packet: Packet, outbound: bool) -> tuple[Rule | None, Packet]:
        """The filter rule that decides, and the packet with the tags of all that matched."""
        decided, _, packet = self._walk("", device, packet, outbound)
        return decided, packet

    def _walk(self, anchor: str, device: Device, packet: Packet, outbound: bool) -> tuple[Rule | None, bool, Packet]:
        """The last rule that matches, whether the search is over, and the packet with its tags."""
        last: Rule | None = None
        for rule in self.matcher.setup.rulesets.get(anchor, Ruleset()).filter:
            if not self.matcher.matches(anchor, rule, device, packet, outbound):
                continue
            if rule.tag:
                packet = replace(packet, tag=rule.tag)
            if not rule.anchor:
                last = rule
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
