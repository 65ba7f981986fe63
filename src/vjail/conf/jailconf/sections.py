"""Sections: the blocks of a configuration and the parameters outside them, in the order that decides what wins.

Also which wildcard sections apply to a jail. Source: load_config(), wild_jail_name() and wild_jail_match() in
usr.sbin/jail/config.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vjail.conf.jailconf.syntax import Parameter
from vjail.conf.position import Located

GLOBAL = "*"
"""The name of the section that parameters outside blocks form."""


@dataclass(slots=True)
class Section:
    """A block, or a run of parameters outside blocks; `place` is the block, or the first of those parameters."""

    name: str
    name_place: Located
    place: Located
    parameters: list[Parameter] = field(default_factory=list)

    @property
    def is_wildcard(self) -> bool:
        """Whether it gives parameters to jails and is none itself: a component of its name is `*`."""
        return "*" in self.name.split(".")


class Wildcards:
    """The wildcard sections of a configuration, found by the jail names they match.

    A `*` at the end of a pattern matches one component or more, another exactly one. Patterns are kept as a tree of
    their components, so that looking up a jail takes no longer for more patterns that do not match it.
    """

    def __init__(self, sections: Sequence[Section]) -> None:
        self._root = _Node()
        for index, section in enumerate(sections):
            if section.is_wildcard:
                node = self._root
                for component in section.name.split("."):
                    node = node.children.setdefault(component, _Node())
                node.sections.append(index)

    def matching(self, name: str) -> list[int]:
        """The indexes of the sections that apply to a jail, in order."""
        components = name.split(".")
        found: set[int] = set()
        nodes = [self._root]
        for component in components:
            for node in nodes:
                rest = node.children.get("*")
                if rest is not None:
                    found.update(rest.sections)
            nodes = [child for node in nodes for child in _children(node, component)]
        for node in nodes:
            found.update(node.sections)
        return sorted(found)


@dataclass(slots=True)
class _Node:
    sections: list[int] = field(default_factory=list)
    children: dict[str, _Node] = field(default_factory=dict)


def _children(node: _Node, component: str) -> Iterator[_Node]:
    for key in {component, "*"}:
        if key in node.children:
            yield node.children[key]
