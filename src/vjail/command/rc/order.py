"""rcorder(8): scripts in an order in which each comes after what it requires.

Pure. Source: rcorder(8), its blocks of PROVIDE, REQUIRE, BEFORE and KEYWORD comments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = re.compile(r"#\s*(PROVIDES?|REQUIRES?|BEFORE|KEYWORDS?):\s*(.*)")


@dataclass(frozen=True, slots=True)
class Node:
    """A script: `path` names it, the words are those of its comments."""

    path: str
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


def read_header(path: str, text: str) -> Node:
    """The comments of a script; it provides its file's name where it says nothing."""
    words: dict[str, list[str]] = {"PROVIDE": [], "REQUIRE": [], "BEFORE": [], "KEYWORD": []}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found:
            key = found.group(1)
            words[key if key == "BEFORE" else key.removesuffix("S")] += found.group(2).split()
    provides = words["PROVIDE"] or [path.rsplit("/", 1)[-1]]
    return Node(path, tuple(provides), tuple(words["REQUIRE"]), tuple(words["BEFORE"]), tuple(words["KEYWORD"]))


def ordered(nodes: Sequence[Node]) -> Sequence[Node]:
    """The nodes, each after those it requires and those that say they come before it; else in the order given.

    What nobody provides is not waited for; of a circle one requirement is dropped.
    """
    providers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.provides:
            providers.setdefault(name, []).append(node)
    earlier: dict[str, list[Node]] = {
        node.path: [first for name in node.requires for first in providers.get(name, [])] for node in nodes
    }
    for node in nodes:
        for name in node.before:
            for later in providers.get(name, []):
                earlier[later.path].append(node)
    result: list[Node] = []
    entered: set[str] = set()

    def visit(node: Node) -> None:
        if node.path in entered:
            return
        entered.add(node.path)
        for first in earlier[node.path]:
            visit(first)
        result.append(node)

    for node in nodes:
        visit(node)
    return result
