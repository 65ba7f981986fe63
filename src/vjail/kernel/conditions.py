"""What a wire does to the frames that cross it besides carrying them: it delays, loses and limits them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

_TIMES = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_RATES = {"bit": 1, "kbit": 1_000, "Mbit": 1_000_000, "Gbit": 1_000_000_000}
_MILLION = 1_000_000
LONGEST_DELAY, LOWEST_RATE, HIGHEST_RATE = 10 * _TIMES["s"], _RATES["kbit"], 100 * _RATES["Gbit"]

DELAY = r"[0-9]+(\.[0-9]+)? ?(us|ms|s)"
LOSS = r"[0-9]+(\.[0-9]+)? ?%"
RATE = r"[0-9]+(\.[0-9]+)? ?[kMG]?bit"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What each frame meets on its way from one card to another.

    `delay` in nanoseconds; `loss`: so many frames of a million; `rate` in bits a second, for each card what is sent to
    it. 0: none of that.
    """

    delay: int = 0
    loss: int = 0
    rate: int = 0

    def __bool__(self) -> bool:
        return bool(self.delay or self.loss or self.rate)

    def __str__(self) -> str:
        return ", ".join(self.words()) or "nothing"

    def words(self) -> Iterator[str]:
        """Those that there are, in words."""
        shown = self.shown()
        return (f"{shown[name]} loss" if name == "loss" else shown[name] for name in self.names())

    def shown(self) -> dict[str, str]:
        """Each in words that no other value has, by the name that lab files have for it."""
        return {
            "delay": _shown(self.delay, {"µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}) if self.delay else "none",
            "loss": f"{_decimal(Fraction(self.loss, _MILLION // 100))} %" if self.loss else "none",
            "rate": f"{_shown(self.rate, _RATES)}/s" if self.rate else "none",
        }

    def names(self) -> tuple[str, ...]:
        """The names of those that there are, as lab files have them."""
        return tuple(name for name in ("delay", "loss", "rate") if getattr(self, name))

    def without(self, *keys: str) -> Conditions:
        """The same without some of them."""
        return Conditions(**{name: getattr(self, name) for name in self.names() if name not in keys})

    def as_record(self) -> dict[str, int]:
        """It as JSON has it."""
        return {"delay": self.delay, "loss": self.loss, "rate": self.rate}

    @classmethod
    def of_record(cls, record: Mapping[str, object]) -> Conditions:
        """The opposite of `as_record`. Raises TypeError, ValueError."""
        return cls(**{name: int(str(value)) for name, value in record.items()})


def read_delay(text: str) -> int:
    """Nanoseconds of a text like DELAY. Raises ValueError."""
    delay = _read(text, _TIMES)
    if delay > LONGEST_DELAY:
        raise ValueError("no wire takes longer than 10s")
    return delay


def read_loss(text: str) -> int:
    """Millionths of a text like LOSS. Raises ValueError."""
    loss = Fraction(text.removesuffix("%").rstrip()) * (_MILLION // 100)
    if loss >= _MILLION:
        raise ValueError("a wire that carries nothing is one with `cut: true`")
    if 0 < loss < 1:
        raise ValueError("less than 0.0001% is not to be had")
    return round(loss)


def read_rate(text: str) -> int:
    """Bits a second of a text like RATE. Raises ValueError."""
    rate = _read(text, _RATES)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError("not between 1kbit and 100Gbit")
    return rate


def write_delay(delay: int) -> str:
    """The opposite of `read_delay`."""
    return _shown(delay, _TIMES).replace(" ", "")


def write_loss(loss: int) -> str:
    """The opposite of `read_loss`."""
    return f"{_decimal(Fraction(loss, _MILLION // 100))}%"


def write_rate(rate: int) -> str:
    """The opposite of `read_rate`."""
    return _shown(rate, _RATES).replace(" ", "")


def _read(text: str, units: Mapping[str, int]) -> int:
    found = re.fullmatch(r"([0-9.]+) ?([A-Za-z]+)", text)
    if found is None or found[2] not in units:
        raise ValueError(f"no number with one of {', '.join(units)}")
    return math.ceil(Fraction(found[1]) * units[found[2]])


def _shown(number: int, units: Mapping[str, int]) -> str:
    """In the largest unit of which there is one at least; `units` begin with the smallest."""
    fitting = [(unit, size) for unit, size in units.items() if size <= number]
    unit, size = fitting[-1] if fitting else next(iter(units.items()))
    return f"{_decimal(Fraction(number, size))} {unit}"


def _decimal(number: Fraction) -> str:
    """A number that has few decimals, with all of them that tell."""
    return f"{float(number):.9f}".rstrip("0").rstrip(".")
