"""When jail(8) takes two parameter names for the same option: `persist` and `nopersist`, `allow.mount` and
`allow.nomount`.

The comparison is of text only, so `node` and `de` are the same option too. Source: equalopts() and bool_param() in
usr.sbin/jail/config.c.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable


@functools.lru_cache(maxsize=1024)
def spellings(name: str) -> tuple[str, ...]:
    """All names of the same option: the name, and it with `no` put before or taken from one dotted component."""
    found = [name]
    start = 0
    while True:
        if name.startswith("no", start):
            found.append(name[:start] + name[start + 2 :])
        found.append(f"{name[:start]}no{name[start:]}")
        start = name.find(".", start) + 1
        if start == 0:
            return tuple(found)


def match(name: str, known: Iterable[str]) -> str | None:
    """The first of the known names that is the same option as `name`."""
    candidates = spellings(name)
    return next((option for option in known if option in candidates), None)


def is_negated(name: str) -> bool:
    """Whether a boolean's name is read as its negation: `no` before its last component, as in `allow.nomount`."""
    return name.rpartition(".")[2].startswith("no")


def negate(name: str) -> str:
    """The negation of a boolean: `no` before its last component."""
    head, dot, last = name.rpartition(".")
    return f"{head}{dot}no{last}"


def without_no(name: str) -> str | None:
    """The boolean a negated name is about; None where the name is no negation."""
    head, dot, last = name.rpartition(".")
    return head + dot + last[2:] if last.startswith("no") else None
