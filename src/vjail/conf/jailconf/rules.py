"""How the releases read jail.conf(5) differently: every difference has a name here and is asked for by that name.

Sources: FreeBSD 13.2 and a stable/15 tree, usr.sbin/jail/{jaillex.l,jailparse.y,config.c}. `.include` came with 14.0;
in which release the other changes came was not determined, so 14 reads as 13 does, with `.include`.
"""

from __future__ import annotations

from dataclasses import dataclass

from vjail.release import Release


@dataclass(frozen=True, slots=True)
class Rules:
    """What one release's parser does."""

    includes: bool
    """`.include "FILE";` reads a file."""
    nested_blocks: bool
    """A block may stand in a block."""
    carriage_return_is_space: bool
    """A carriage return is white space; otherwise it is a character that fits nowhere."""
    one_global_section: bool
    """All parameters outside blocks form one section, at the place of the first; otherwise each run is one."""
    implied_name: bool
    """A jail whose block name is a number gets that as `name` too, where nothing else sets it."""
    comment_error_at_end: bool
    """An unterminated comment is reported with the last line; otherwise with the line it begins in."""

    @classmethod
    def of(cls, release: Release) -> Rules:
        """The rules of a release."""
        if release >= Release.V15:
            return _V15
        return _V14 if release >= Release.V14 else _V13


_V13 = Rules(
    includes=False,
    nested_blocks=False,
    carriage_return_is_space=False,
    one_global_section=False,
    implied_name=False,
    comment_error_at_end=False,
)
_V14 = Rules(
    includes=True,
    nested_blocks=False,
    carriage_return_is_space=False,
    one_global_section=False,
    implied_name=False,
    comment_error_at_end=False,
)
_V15 = Rules(
    includes=True,
    nested_blocks=True,
    carriage_return_is_space=True,
    one_global_section=True,
    implied_name=True,
    comment_error_at_end=True,
)
