"""The exceptions of this package. Files, however broken, raise none: what is wrong with them is data (messages.py).

JailConfError       anything this package raises by its own will
└── Unprintable     asked to print what no jail.conf can say; `.what` is the text or name in question
"""

from __future__ import annotations


class JailConfError(Exception):
    """The base of all exceptions of this package."""


class Unprintable(JailConfError, ValueError):
    """No jail.conf reads back as this: a NUL byte, or two parameters of one jail that jail(8) takes for the same."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what!r}: {why}")
        self.what = what
