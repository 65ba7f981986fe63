"""The files of /etc: FreeBSD's as vjail ships them, users and groups, and what this machine's programs look for there.

Nothing that is there already is changed. `pristine` gives what a tree's own `make distribution` installs.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from vjail.conf.devfs_rules import default_rules
from vjail.lab.userland import libraries
from vjail.lab.userland.accounts import Accounts
from vjail.lab.userland.source import Source
from vjail.lab.userland.toolkit import Toolkit, home
from vjail.lab.userland.tree import Tree

_SHIPPED = Path(__file__).parent.parent / "etc"
_FROM_MACHINE = ("localtime", "protocols", "services")
"""Files that the machine's are better than those shipped."""
_DIRECTORIES = (
    "alternatives", "crypto-policies", "ld.so.conf.d", "pam.d", "pki/ca-trust/extracted", "pki/tls", "security", "ssl",
    "terminfo",
)  # fmt: skip
"""Directories that programs of the machine's /usr cannot do without, private keys left out."""
_FILES = ("ld.so.conf", "login.defs", "mime.types", "rpc")
_SECRET = ("private",)


def pristine(accounts: Accounts) -> Mapping[str, tuple[bytes, int]]:
    """Content and mode of every file that does not depend on the machine's own /etc, by its path below /etc."""
    files = {name: (content, 0o644) for name, content in _shipped()}
    files["defaults/devfs.rules"] = (default_rules().encode(), 0o644)
    for name, text, mode in (
        ("passwd", accounts.passwd(), 0o644),
        ("group", accounts.group(), 0o644),
        ("master.passwd", accounts.master_passwd(), 0o600),
        ("shadow", accounts.shadow(), 0o600),
    ):
        files[name] = (text.encode(errors="surrogateescape"), mode)
    return files


def write(tree: Tree, source: Source, toolkit: Toolkit, machine: str) -> None:
    """Put into a tree's /etc what it lacks."""
    for name in _FROM_MACHINE:
        _copy(tree, source, name)
    for name, (content, mode) in pristine(accounts(source)).items():
        tree.put(f"/etc/{name}", content, mode)
    for name in _FILES:
        _copy(tree, source, name)
    for name in _DIRECTORIES:
        found = source.resolve(f"/etc/{name}")
        if found is not None and os.path.isdir(source.path(found)):
            tree.fill(source.path(found), at=f"/etc/{name}", without=_SECRET)
    _write_cache(tree, source, toolkit, machine)


def accounts(source: Source) -> Accounts:
    """The users and groups of a tree made from `source`."""
    return Accounts.of(_text(source, "/etc/passwd"), _text(source, "/etc/group"))


def _shipped() -> Iterator[tuple[str, bytes]]:
    for path in sorted(_SHIPPED.rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            yield path.relative_to(_SHIPPED).as_posix(), path.read_bytes()


def _copy(tree: Tree, source: Source, name: str) -> None:
    found = source.file(f"/etc/{name}")
    if found is not None:
        tree.copy(f"/etc/{name}", found, 0o644)


def _text(source: Source, path: str) -> str:
    found = source.file(path)
    return Path(found).read_text(errors="surrogateescape") if found is not None else ""


def _write_cache(tree: Tree, source: Source, toolkit: Toolkit, machine: str) -> None:
    """Say where the libraries of bin and sbin are: not every loader looks in the tree's lib by itself."""
    found = source.file("/etc/ld.so.cache")
    if found is None:
        return
    place = home(toolkit.root)
    moved = {name: posixpath.join("/", place, name) for name in toolkit.root.libraries}
    cache = libraries.cache(Path(found).read_bytes(), moved, machine)
    if cache is not None:
        tree.put("/etc/ld.so.cache", cache)
