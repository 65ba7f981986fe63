"""Numbers as C reads them: strtol(3) takes a prefix, says where it ended, and clamps."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)", re.ASCII)
_LONG_MAX = 2**63 - 1
_DIGITS = 19


def strtol(text: str) -> tuple[int, int]:
    """The number a text begins with, in the range of a C long, and where it ends; (0, 0) where there is none."""
    match = _NUMBER.match(text)
    if match is None:
        return 0, 0
    digits = match.group(1)
    sign = -1 if digits[0] == "-" else 1
    digits = digits.lstrip("+-").lstrip("0") or "0"
    size = int(digits) if len(digits) <= _DIGITS else _LONG_MAX + 1
    return max(-_LONG_MAX - 1, min(_LONG_MAX, sign * size)), match.end()


def is_number(text: str) -> bool:
    """Whether all of a text is a number, blanks before it allowed; an empty text is not."""
    end = strtol(text)[1]
    return end > 0 and end == len(text)


def as_int(number: int) -> int:
    """A number cut down to a C int, as an assignment does."""
    return (number + 2**31) % 2**32 - 2**31
