"""A lab from a path: a folder with a jail.conf and its host's other files, or one with a small lab file.

What a lab file (`vjail.yml`) says is lab/file's business.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vjail.lab import nics
from vjail.lab.model import CONFIGURATION, HostFile, Lab, LabError, LabHostSpec, Problem

if TYPE_CHECKING:
    from vjail.lab.file.topology import Topology

LAB_FILE = "vjail.yml"
JAIL_CONF = "jail.conf"
_ONE_HOST = "fbsd"
_IN_ETC = ("jail.conf.d/*.conf", "jail.*.conf", "fstab.*")


def load(path: Path) -> Lab:
    """The lab at `path`: a lab file, a jail.conf, or a folder that holds one. Raises LabError."""
    path = find(path)
    if path.suffix in (".yml", ".yaml"):
        from vjail.lab.file.lab import lab_of  # YAML, which takes its time, is not needed otherwise

        return lab_of(path, _read, _host_files)
    return _from_folder(path.parent, path.name)


def etc(path: Path) -> Lab:
    """As `load`; a jail.conf is taken to lie in a host's /etc, with what else tells of jails there. Raises LabError.

    That is jail.conf.d, jail.NAME.conf and fstab.NAME.
    """
    lab = load(path)
    origin = find(path)
    if origin.name != JAIL_CONF:
        return lab
    host = lab.hosts[_ONE_HOST]
    beside = [each for pattern in _IN_ETC for each in sorted(origin.parent.glob(pattern)) if each.is_file()]
    files = {f"{each.relative_to(origin.parent)}": HostFile(each, _read(each)) for each in beside}
    return _of_one_host(origin.parent, {**host.files, **files}, host.tree) if files else lab


def topology(path: Path) -> Topology | None:
    """What a lab file comes to; None where `path` is none. Raises LabError."""
    path = find(path)
    if path.suffix not in (".yml", ".yaml"):
        return None
    from vjail.lab.file.lab import topology as resolved

    return resolved(path, _read)[0]


def keep(path: Path) -> None:
    """Write down what a lab file's `auto` was given (vjail.lock), so that it stays. Raises LabError, OSError."""
    path = find(path)
    if path.suffix in (".yml", ".yaml"):
        from vjail.lab.file import lock
        from vjail.lab.file.lab import topology

        lock.write(path, topology(path, _read)[1])


def find(path: Path) -> Path:
    """The lab file or jail.conf that `path` means: its own, or that in the folder it names. Raises LabError."""
    if not os.path.lexists(path):
        raise LabError(
            Problem(str(path), "no such file or folder", hint="name a lab file, a jail.conf or their folder")
        )
    if not path.is_dir():
        return path
    for name in (LAB_FILE, JAIL_CONF):
        if os.path.lexists(path / name):
            return path / name
    hint = f"a lab is a folder with a {JAIL_CONF} or a {LAB_FILE}"
    raise LabError(Problem(str(path), f"there is neither a {JAIL_CONF} nor a {LAB_FILE} in it", hint=hint))


def _read(path: Path) -> bytes:
    """The bytes of a file, of what is one. Raises LabError."""
    hint = "it must be a file that you may read"
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise LabError(Problem(str(path), "is no file", hint=hint))
        content = path.read_bytes()
    except OSError as error:
        raise LabError(Problem(str(path), (error.strerror or "cannot be read").lower(), hint=hint)) from None
    _check_text(path, content)
    return content


def _from_folder(folder: Path, jail_conf: str) -> Lab:
    return _of_one_host(folder, *_host_files(folder, jail_conf))


def _of_one_host(folder: Path, files: dict[str, HostFile], tree: Path | None) -> Lab:
    texts = [_text(file) for name, file in files.items() if name == "rc.conf" or "jail." in name]
    cards = nics.named(*texts, *(() if tree is None else _pieces(tree)))
    wires = tuple(f"{_ONE_HOST}-{card}" for card in cards)
    host = LabHostSpec(_ONE_HOST, dict(zip(cards, wires, strict=True)), files, tree)
    return Lab(folder.resolve().name, folder, {host.name: host}, wires)


_PIECES = (
    "etc/rc.conf.local", "etc/rc.conf.d/**/*", "usr/local/etc/rc.conf.d/**/*", "etc/jail.*.conf",
    "etc/jail.conf.d/*.conf",
)  # fmt: skip
"""Files of a host's tree that say what stands in rc.conf and jail.conf otherwise."""


def _pieces(tree: Path) -> Iterator[str]:
    for pattern in _PIECES:
        for path in sorted(tree.glob(pattern)):
            if path.is_file():
                yield _read(path).decode()


def _host_files(folder: Path, jail_conf: str = JAIL_CONF) -> tuple[dict[str, HostFile], Path | None]:
    files: dict[str, HostFile] = {}
    problems: list[Problem] = []
    for name in CONFIGURATION:
        origin = folder / (jail_conf if name == JAIL_CONF else name)
        if not os.path.lexists(origin):
            continue
        try:
            files[name] = HostFile(origin, _read(origin))
        except LabError as error:
            problems.extend(error.problems)
    if problems:
        raise LabError(*problems)
    tree = folder / "files"
    return files, tree if tree.is_dir() else None


def _check_text(origin: Path, content: bytes) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        start = content.rfind(b"\n", 0, error.start) + 1
        column = len(content[start : error.start].decode(errors="replace")) + 1
        text = f"byte 0x{content[error.start]:02x} is no UTF-8"
        raise LabError(Problem(str(origin), text, line, column, "save the file as UTF-8")) from None


def _text(file: HostFile) -> str:
    return file.content.decode()
