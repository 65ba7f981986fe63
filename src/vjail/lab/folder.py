"""A lab from a path: a folder with a jail.conf and its host's other files, or one with a small lab file.

The lab file (`vjail.yml`) names hosts and wires; each host names the folder its files are in. It is read as YAML's node
tree, so that every mistake is told with its place, all of them at once, and scalars are text until the schema says
otherwise.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import yaml

from vjail.lab import nics
from vjail.lab.model import CONFIGURATION, HostFile, Lab, LabError, LabHostSpec, Problem
from vjail.release import DEFAULT, Release

LAB_FILE = "vjail.yml"
JAIL_CONF = "jail.conf"
_ONE_HOST = "fbsd"
_NAME = (
    re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"),
    "letters, digits, and `-`, `_` and `.` between them, 63 at most",
)
_CARD = (
    re.compile(r"(?!(?:bridge|epair|lo|pflog|tap|vlan)\d)[A-Za-z][A-Za-z0-9_.-]{0,14}"),
    "a card's name as FreeBSD's drivers give them (vtnet0, em1), 15 characters at most",
)
_LAB_KEYS, _HOST_KEYS = ("freebsd", "hosts", "wires"), ("files", "nics", "userland")


def load(path: Path) -> Lab:
    """The lab at `path`: a lab file, a jail.conf, or a folder that holds one. Raises LabError."""
    path = find(path)
    if path.suffix in (".yml", ".yaml"):
        return _from_lab_file(path)
    return _from_folder(path.parent, path.name)


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
    files, tree = _host_files(folder, jail_conf)
    cards = nics.named(*(_text(file) for name, file in files.items() if name in ("rc.conf", "jail.conf")))
    wires = tuple(f"{_ONE_HOST}-{card}" for card in cards)
    host = LabHostSpec(_ONE_HOST, dict(zip(cards, wires, strict=True)), files, tree)
    return Lab(folder.resolve().name, folder, {host.name: host}, wires)


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


# --- the lab file -----------------------------------------------------------------------------------------------------


def _from_lab_file(path: Path) -> Lab:
    return _LabFile(path).lab()


class _LabFile:
    """Reads one lab file; problems are gathered, and raised at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[Problem] = []

    def lab(self) -> Lab:
        top = self._mapping(self._compose(), "the lab file", _LAB_KEYS)
        wires = tuple(key for key, _ in self._entries(top.get("wires"), "wires", _NAME))
        hosts = {n: self._host(n, node, wires) for n, node in self._entries(top.get("hosts"), "hosts", _NAME)}
        release = self._release(top.get("freebsd"))
        if not hosts and not self._problems:
            self._problem(None, "no hosts are given", "add `hosts:` with one entry a machine")
        if self._problems:
            raise LabError(*self._problems)
        folder = self._path.parent
        return Lab(folder.resolve().name, self._path, hosts, wires, release)

    def _compose(self) -> yaml.Node | None:
        content = _read(self._path)
        try:
            return yaml.compose(content.decode(), Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            text = " ".join((error.problem or error.context or "it cannot be read").split())
            raise LabError(Problem(str(self._path), f"not YAML: {text}", *place)) from None
        except (yaml.YAMLError, RecursionError) as error:
            text = " ".join(str(error).split())
            raise LabError(Problem(str(self._path), f"not YAML: {text}")) from None

    def _host(self, name: str, node: yaml.Node, wires: tuple[str, ...]) -> LabHostSpec:
        fields = self._mapping(node, f"host {name}", _HOST_KEYS)
        cards: dict[str, str] = {}
        for card, wire in self._entries(fields.get("nics"), "nics", _CARD):
            cards[card] = self._scalar(wire, "the name of a wire")
            if cards[card] not in wires:
                self._problem(
                    wire, f"there is no wire {cards[card]!r}", _nearest(cards[card], wires) or "add it to `wires:`"
                )
        files: dict[str, HostFile] = {}
        tree: Path | None = None
        if "files" in fields:
            folder = self._path.parent / self._scalar(fields["files"], "a folder")
            if not folder.is_dir():
                self._problem(fields["files"], f"{folder} is no folder", "it holds the host's rc.conf, jail.conf, …")
            else:
                try:
                    files, tree = _host_files(folder)
                except LabError as error:
                    self._problems.extend(error.problems)
        userland = self._scalar(fields["userland"], "machine, minimal or a path") if "userland" in fields else "machine"
        if userland not in ("machine", "minimal"):
            userland = str((self._path.parent / userland).resolve())
            if not os.path.isdir(userland):
                self._problem(fields["userland"], f"{userland} is no folder", "`vjail base` makes one")
        return LabHostSpec(name, cards, files, tree, userland)

    def _release(self, node: yaml.Node | None) -> Release:
        if node is None:
            return DEFAULT
        try:
            return Release.parse(self._scalar(node, "a release"))
        except ValueError as error:
            self._problem(node, str(error), "")
            return DEFAULT

    def _mapping(self, node: yaml.Node | None, what: str, keys: tuple[str, ...]) -> dict[str, yaml.Node]:
        found: dict[str, yaml.Node] = {}
        for key, value in self._entries(node, what):
            if key in keys:
                found[key] = value
            else:
                assert isinstance(node, yaml.MappingNode)
                where = next(k for k, v in node.value if v is value)
                hint = _nearest(key, keys) or f"known here: {', '.join(keys)}"
                self._problem(where, f"{key!r} is not known in {what}", hint)
        return found

    def _entries(
        self, node: yaml.Node | None, what: str, form: tuple[re.Pattern[str], str] | None = None
    ) -> Iterator[tuple[str, yaml.Node]]:
        """The names in a mapping, each once, with what belongs to them; `form` is what they must be like."""
        if node is None or (isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null")):
            return
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, f"{what} must be a mapping (`key: value`)", "")
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = self._scalar(key, "a name")
            if name in seen:
                self._problem(key, f"{name!r} is given twice", "keep one of them")
            elif form is not None and not form[0].fullmatch(name):
                self._problem(key, f"{name!r} cannot be a name in {what}", form[1])
            seen.add(name)
            yield name, value

    def _scalar(self, node: yaml.Node, what: str) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._problem(node, f"{what} is expected here", "")
        return ""

    def _problem(self, node: yaml.Node | None, text: str, hint: str) -> None:
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node is not None else (0, 0)
        self._problems.append(Problem(str(self._path), text, line, column, hint))


def _nearest(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]!r}?" if close else ""
