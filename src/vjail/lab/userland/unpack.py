"""Unpacks archives and copies directories into a tree, as root file systems: links as they are, nothing outside.

tarfile's own `data` filter refuses the absolute links that every root file system has; here a link's text is kept, and
what is written through it stays in the tree all the same (tree.py). Of what the filter does the rest is done too: no
devices, no set-id bits. Owners are kept as far as this process may give them away.
"""

from __future__ import annotations

import lzma
import os
import posixpath
import stat
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import IO

from vjail.lab.userland.errors import UserlandError
from vjail.lab.userland.ids import Ids
from vjail.lab.userland.tree import Tree

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MOUNTED = ("dev", "proc", "sys")


@dataclass(slots=True)
class LeftOut:
    """What was not taken over, by number."""

    owners: int = 0
    set_ids: int = 0
    devices: int = 0
    unreadable: int = 0

    def notes(self) -> list[str]:
        """A line for the user about each that there was."""
        told = (
            (self.owners, "files that belong to other users belong to you here; as root they would keep their owners"),
            (self.set_ids, "files lost their set-user-id or set-group-id bits"),
            (self.devices, "devices and sockets were left out; a jail's /dev comes from devfs"),
            (self.unreadable, "files that you may not read were left out; as root they would be there"),
        )
        return [f"{count} {text}" for count, text in told if count]


@dataclass(slots=True)
class Unpacker:
    """Puts archives into `tree`, one over the other; `finish` at the end."""

    tree: Tree
    ids: Ids
    left_out: LeftOut = field(default_factory=LeftOut)
    _modes: dict[str, int] = field(default_factory=dict)

    def archive(self, path: str, *, layer: bool = False) -> None:
        """Unpack the tar archive `path` of this machine, over what is there.

        As a `layer` of an image its whiteouts remove what earlier ones had. Raises UserlandError.
        """
        with open(path, "rb") as file:
            if file.read(4) == _ZSTD and "zst" not in tarfile.TarFile.OPEN_METH:
                text = "is compressed with zstd, which Python reads from 3.14 on"
                raise UserlandError(path, text, "uncompress it with `zstd -d`, or have it packed with gzip or xz")
            file.seek(0)
            try:
                with tarfile.open(fileobj=file, mode="r:*") as members:
                    self._members(members, _Layer(self.tree) if layer else None)
            except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
                why = str(error).partition("\n")[0].rstrip(":")
                raise UserlandError(path, f"is no tar archive that can be read ({why})") from error

    def _members(self, members: tarfile.TarFile, layer: _Layer | None) -> None:
        for member in members:
            path = _inside(member.name)
            if path == "/":
                continue
            if layer is not None and layer.take(path):
                continue
            self._member(members, member, path)

    def _member(self, members: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if member.isdir():
            self.directory(path, member.mode)
        else:
            self.tree.remove_all(path)
            if member.issym():
                self.tree.link(path, member.linkname)
            elif member.islnk():
                self.tree.same(path, _inside(member.linkname))
                return
            elif member.isreg():
                content = members.extractfile(member)
                assert content is not None
                self.file(path, content, member.mode)
                self.tree.set_time(path, member.mtime)
            elif member.isfifo():
                self.tree.fifo(path, member.mode & 0o777)
            else:
                self.left_out.devices += 1
                return
        self.owner(path, member.uid, member.gid)

    def copy(self, source: str) -> None:
        """Copy the root file system in the directory `source` of this machine, but for what is mounted in one."""
        self._copy(source, "/", {})

    def _copy(self, source: str, at: str, seen: dict[tuple[int, int], str]) -> None:
        with os.scandir(source) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            path, status = posixpath.join(at, entry.name), entry.stat(follow_symlinks=False)
            if entry.is_symlink():
                self.tree.link(path, os.readlink(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                self.directory(path, status.st_mode)
                if not (at == "/" and entry.name in _MOUNTED):
                    self._enter(entry.path, path, seen)
            elif not stat.S_ISREG(status.st_mode):
                self.left_out.devices += 1
                continue
            elif first := seen.get((status.st_dev, status.st_ino)):
                self.tree.same(path, first)
                continue
            elif not self._copy_file(entry.path, path, status.st_mode):
                continue
            if status.st_nlink > 1:
                seen[status.st_dev, status.st_ino] = path
            self.owner(path, status.st_uid, status.st_gid)

    def _enter(self, source: str, path: str, seen: dict[tuple[int, int], str]) -> None:
        try:
            self._copy(source, path, seen)
        except PermissionError:
            self.left_out.unreadable += 1

    def _copy_file(self, source: str, path: str, mode: int) -> bool:
        try:
            with open(source, "rb") as content:
                self.file(path, content, mode)
        except PermissionError:
            self.left_out.unreadable += 1
            return False
        return True

    # --- one entry ----------------------------------------------------------------------------------------------------

    def directory(self, path: str, mode: int) -> None:
        """A directory; its mode is set at the end, since one without w could not be filled."""
        if not self.tree.is_directory(path):
            self.tree.remove_all(path)
        self.tree.directory(path)
        self._modes[path] = stat.S_IMODE(mode) & 0o1777

    def file(self, path: str, content: IO[bytes], mode: int) -> None:
        """A file."""
        if mode & (stat.S_ISUID | stat.S_ISGID):
            self.left_out.set_ids += 1
        self.tree.write(path, content, stat.S_IMODE(mode) & 0o777)

    def owner(self, path: str, uid: int, gid: int) -> None:
        """The owner of what has just been made."""
        if self.ids.may_give(uid, gid):
            self.tree.own(path, uid, gid)
        elif (uid, gid) not in ((0, 0), (os.geteuid(), os.getegid())):
            self.left_out.owners += 1

    def finish(self) -> None:
        """Set what had to wait."""
        for path, mode in sorted(self._modes.items(), reverse=True):
            if self.tree.is_directory(path):
                os.fchmod(self.tree.directory(path), mode)
        self._modes.clear()


class _Layer:
    """The whiteouts of one layer of an image: they remove what earlier layers had, never what this one brought."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._brought: set[str] = set()

    def take(self, path: str) -> bool:
        """Note a member; carry it out and say so where it is a whiteout."""
        above, name = posixpath.split(path)
        if name == _OPAQUE:
            for entry in self._tree.names(above):
                if posixpath.join(above, entry) not in self._brought:
                    self._tree.remove_all(posixpath.join(above, entry))
            return True
        if name.startswith(_WHITEOUT):
            hidden = posixpath.join(above, name.removeprefix(_WHITEOUT))
            if hidden not in self._brought:
                self._tree.remove_all(hidden)
            return True
        while path != "/" and path not in self._brought:
            self._brought.add(path)
            path = posixpath.dirname(path)
        return False


def _inside(name: str) -> str:
    """A member's path in the tree. Raises UserlandError where it leads out of it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UserlandError(name, "is the name of a file in the archive, and leads out of it")
    return "/" + "/".join(parts)
