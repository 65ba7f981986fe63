"""Which FreeBSD is meant: the few releases whose behaviour differs, by major number.

Nothing here knows *what* differs; each module that needs to asks `release >= Release.V15`.
"""

from __future__ import annotations

import enum


class Release(enum.IntEnum):
    """A FreeBSD release by its major number."""

    V12 = 12
    V13 = 13
    V14 = 14
    V15 = 15
    V16 = 16

    @classmethod
    def parse(cls, text: str) -> Release:
        """Read `13`, `13.2` or `13.2-RELEASE`; raises ValueError, naming the known ones, for anything else."""
        major = text.strip().split("-")[0].split(".")[0]
        for release in cls:
            if major == str(release.value):
                return release
        known = ", ".join(str(r.value) for r in cls)
        raise ValueError(f"not a FreeBSD release vjail knows: {text!r} (known: {known})")


DEFAULT = Release.V13
"""The release meant when nothing says otherwise."""
