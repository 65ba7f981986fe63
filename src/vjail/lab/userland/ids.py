"""Which owners this process may give to files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ids:
    """The user and group ids that files may be given; none at all for an ordinary user."""

    uids: Sequence[range]
    gids: Sequence[range]

    @classmethod
    def of_this_process(cls) -> Ids:
        """Those mapped into this process's user namespace where it is root there, otherwise none."""
        if os.geteuid() != 0:
            return cls((), ())
        return cls(_mapped("uid"), _mapped("gid"))

    def may_give(self, uid: int, gid: int) -> bool:
        """Whether a file may belong to this user and group."""
        return any(uid in ids for ids in self.uids) and any(gid in ids for ids in self.gids)


def _mapped(kind: str) -> Sequence[range]:
    with open(f"/proc/self/{kind}_map") as file:
        lines = [[int(word) for word in line.split()] for line in file]
    return [range(first, first + count) for first, _, count in lines]
