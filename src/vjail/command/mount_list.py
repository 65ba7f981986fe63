"""How mount(8) shows mounted file systems, and which of them `-t` means. Used by mount and umount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vjail.kernel.observed import Mounted

_FSTAB_WORDS = (
    ("synchronous", "sync"),
    ("noexec", "noexec"),
    ("nosuid", "nosuid"),
    ("union", "union"),
    ("asynchronous", "async"),
    ("noatime", "noatime"),
    ("nosymfollow", "nosymfollow"),
)


@dataclass(frozen=True, slots=True)
class TypeList:
    """The argument of `-t`: file systems meant, or with a leading `no` those not meant."""

    names: tuple[str, ...] = ()
    excluded: bool = False

    @classmethod
    def parse(cls, text: str) -> TypeList:
        """Read `nullfs,tmpfs` or `nodevfs,procfs`."""
        excluded = text.startswith("no")
        return cls(tuple(text.removeprefix("no").split(",")) if excluded else tuple(text.split(",")), excluded)

    def __contains__(self, fstype: object) -> bool:
        """Whether a file system of that name is meant; an empty list means all."""
        return not self.names or (fstype in self.names) is not self.excluded


ALL_TYPES = TypeList()
"""What no `-t` means."""


def describe(mount: Mounted, *, verbose: bool) -> str:
    """`/n/src on /n/ro (nullfs, local, noatime, read-only)`, with `verbose` its fsid too."""
    words = [mount.fstype, *mount.options]
    if verbose and mount.fsid:
        words.append(f"fsid {mount.fsid}")
    return f"{mount.source} on {mount.target} ({', '.join(words)})\n"


def fstab_line(mount: Mounted, freq: int, passno: int) -> str:
    """The line of `mount -p`, columns by tabs."""
    source = mount.source
    if source.startswith(("<below>:", "<above>:")):
        source = source[len("<below>:") :]
    options = fstab_options(mount.options)
    options += "\t" if len(options) < 8 else " "
    return f"{_column(source)}{_column(mount.target)}{mount.fstype}\t{options}\t{freq} {passno}\n"


def fstab_options(options: Sequence[str]) -> str:
    """mount(8)'s words as fstab(5) writes them."""
    words = ["ro" if "read-only" in options else "rw"]
    words += [written for shown, written in _FSTAB_WORDS if shown in options]
    return ",".join(words)


def _column(text: str) -> str:
    """The text and the tabs to the next column, 24 wide."""
    return text + ("\t" * (3 - len(text) // 8) or " ")
