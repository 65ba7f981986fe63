"""A folder of exported files: whose they are, and which, so that a later export replaces just these.

`.vjail-export` in the folder says it. A folder without it that holds anything, and one with another lab's, is refused;
what somebody else has put beside the files of the same lab stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vjail.lab.model import LabError, Problem

RECORD = ".vjail-export"
_VERSION = 1


Content = bytes | Path
"""What a path is to hold: bytes, or what it is a copy of (a file, a link, a directory)."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What an export left: the way from the folder to its lab, and its files and directories below the folder."""

    lab: str
    paths: tuple[str, ...]

    def text(self) -> str:
        content = {"version": _VERSION, "lab": self.lab, "paths": sorted(self.paths)}
        return json.dumps(content, indent=1) + "\n"


def replace(directory: Path, origin: Path, contents: Mapping[str, Content]) -> None:
    """Make a folder hold these files of the lab at `origin`, and none of those it had of that lab before.

    Raises LabError where it is another's or something else is in the way, with nothing changed; OSError.
    """
    lab = os.path.relpath(origin.resolve(), directory.resolve())
    if os.path.lexists(directory) and not directory.is_dir():
        raise LabError(Problem(str(directory), "is no folder", hint="name a folder, or one that is to be made"))
    old = _read(directory)
    if old is None and directory.is_dir() and any(directory.iterdir()):
        text = "is there already and was not made by an export"
        raise LabError(Problem(str(directory), text, hint="name another folder"))
    if old is not None and old.lab != lab:
        where = os.path.normpath(directory / old.lab)
        hint = "name another folder, or delete this one first"
        raise LabError(Problem(str(directory), f"holds what was exported of {where}", hint=hint))
    mine = old.paths if old is not None else ()
    _refuse_others(directory, contents, {*mine})
    directory.mkdir(parents=True, exist_ok=True)
    # Until all is done, both what was and what is to be there is this lab's.
    record = directory / RECORD
    record.write_text(_Record(lab, tuple({*mine, *contents})).text())
    _remove(directory, mine)
    for path, content in contents.items():
        _write(directory / path, content)
    for path, content in reversed(list(contents.items())):
        if isinstance(content, Path) and _is_directory(content):
            shutil.copystat(content, directory / path)
    record.write_text(_Record(lab, tuple(contents)).text())


def _read(directory: Path) -> _Record | None:
    """What the last export left; None where there was none."""
    try:
        content = json.loads((directory / RECORD).read_text())
        lab, paths = content["lab"], content["paths"]
        if content["version"] == _VERSION and isinstance(lab, str) and all(_is_below(path) for path in paths):
            return _Record(lab, tuple(paths))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        pass
    text = "is no record of an export's"
    raise LabError(Problem(str(directory / RECORD), text, hint="name another folder, or delete this one first"))


def _is_below(path: object) -> bool:
    return isinstance(path, str) and not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _refuse_others(directory: Path, contents: Mapping[str, Content], mine: set[str]) -> None:
    """Refuse to write over what is not this lab's."""
    for path, content in contents.items():
        place = directory / path
        ours = path in mine or not os.path.lexists(place)
        joined = isinstance(content, Path) and _is_directory(content) and _is_directory(place)
        if not ours and not joined:
            text = "is there already, and was not made by this lab's export"
            raise LabError(Problem(str(place), text, hint="move it away, or name another folder"))
        for parent in _above(PurePosixPath(path)):
            above = directory / parent
            if os.path.lexists(above) and not _is_directory(above) and str(parent) not in mine:
                text = f"is no folder, and {path} is to be in it"
                raise LabError(Problem(str(above), text, hint="move it away, or name another folder"))


def _remove(directory: Path, paths: Iterable[str]) -> None:
    """Remove an export's files, and its directories where nothing else is in them."""
    known = {PurePosixPath(path) for path in paths}
    for path in sorted(known.union(*(_above(path) for path in known)), reverse=True):
        place = directory / path
        if any((directory / parent).is_symlink() for parent in _above(path)):
            continue
        if _is_directory(place):
            with contextlib.suppress(OSError):
                place.rmdir()
        else:
            place.unlink(missing_ok=True)


def _write(place: Path, content: Content) -> None:
    if isinstance(content, bytes):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    elif _is_directory(content):
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(content, place, follow_symlinks=False)


def _above(path: PurePosixPath) -> list[PurePosixPath]:
    """The folders that a path below the export's folder is in."""
    return list(path.parents)[:-1]


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
