"""Limits of states on the model: what rules with limits count, and what becomes of who exceeds them.

Source: pf_create_state(), pf_insert_src_node(), pf_src_connlimit(), pf_add_threshold() of FreeBSD 13.2
sys/netpfil/pf/pf.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vjail.conf.pf.rules import Rule
from vjail.kernel.model.packets import IP

_SCALE = 1000
"""What one connection adds to a rate's count (PF_THRESHOLD_MULT)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A filter rule where it stands: its anchor, and its number there."""

    anchor: str
    number: int
    rule: Rule


@dataclass(slots=True)
class Tracked:
    """What a state has to do with the limits of the rule that made it, for the packet's source as the rule saw it.

    `answered`: who was called has answered; `established`: the handshake is done, the connection counts.
    """

    place: Place
    source: IP
    answered: bool = False
    established: bool = False


@dataclass(slots=True)
class _Rate:
    """Connections in a while: a count that falls evenly, in whole seconds."""

    last: int
    count: int = 0

    def exceeds(self, limit: int, seconds: int, now: int) -> bool:
        """Whether one more now is too many in so many seconds."""
        passed = now - self.last
        self.count = 0 if passed >= seconds else self.count - self.count * passed // seconds
        self.count += _SCALE
        self.last = now
        return self.count > limit * _SCALE


@dataclass(slots=True)
class Limits:
    """Counts of one ruleset's rules. `tracked` are always the living states of the rule that is asked about."""

    _rates: dict[tuple[Place, IP], _Rate] = field(default_factory=dict)

    @staticmethod
    def refuse(place: Place, source: IP, tracked: Sequence[Tracked]) -> bool:
        """Whether the rule may not make one more state for a source."""
        options = place.rule.state_options
        if options.max and len(tracked) >= options.max:
            return True
        sources = [each.source for each in tracked]
        if source not in sources:
            return bool(options.max_src_nodes) and len(set(sources)) >= options.max_src_nodes
        return bool(options.max_src_states) and sources.count(source) >= options.max_src_states

    def establish(self, new: Tracked, tracked: Sequence[Tracked], now: float) -> bool:
        """A handshake is done; whether that is one connection too many of its source."""
        new.established = True
        options = new.place.rule.state_options
        held = sum(each.established and each.source == new.source for each in tracked)
        limit, seconds = options.max_src_conn_rate
        rate = self._rates.setdefault((new.place, new.source), _Rate(int(now)))
        too_fast = bool(limit) and rate.exceeds(limit, seconds, int(now))
        return too_fast or 0 < options.max_src_conn < held
