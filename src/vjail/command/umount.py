"""umount(8). Sources: umount(8), sbin/umount of FreeBSD 13.2, observed/g_nullfs.txt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vjail.command.getopt import BadOption, Getopt
from vjail.command.mount import FSTAB, read_fstab
from vjail.command.mount_list import ALL_TYPES, TypeList
from vjail.command.privilege import apply_as_caller
from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Mounted
from vjail.kernel.operations import Unmount
from vjail.session import FileKind, Quit, Session, run_named


@dataclass(slots=True)
class _Line:
    """The options of one command line."""

    all: bool = False
    every: bool = False
    fstab: str = FSTAB
    force: bool = False
    types: TypeList = ALL_TYPES
    typed: bool = False
    verbose: bool = False


def umount(session: Session) -> int:
    """umount(8)."""
    return run_named(session, _umount)


def _umount(session: Session) -> int:
    line, operands = _parse(session)
    if bool(operands) == (line.all or line.every):
        raise _usage(session)
    if line.every:
        chosen = reversed(session.system.mounts()[1:])
        results = [
            _unmount(session, line, each) for each in chosen if each.fstype in line.types and each.target != "/dev"
        ]
    else:
        names = _fstab_names(session, line) if line.all else operands
        results = [_by_name(session, line, name) for name in names]
    return 0 if all(results) else 1


def _parse(session: Session) -> tuple[_Line, Sequence[str]]:
    line = _Line()
    options = Getopt(session.argv[1:], "AaF:fnt:vN")
    for option in options:
        if isinstance(option, BadOption):
            session.err(f"umount: {option.text}\n")
            raise _usage(session)
        match option.letter:
            case "A":
                line.every = True
            case "a":
                line.all = True
            case "F":
                line.fstab = option.argument or ""
            case "f":
                line.force = True
            case "t":
                if line.typed:
                    raise Quit("only one -t option may be specified")
                line.types, line.typed = TypeList.parse(option.argument or ""), True
            case "v":
                line.verbose = True
    return line, options.operands


def _usage(session: Session) -> Quit:
    session.err(
        "usage: umount [-fNnv] special ... | node ... | fsid ...\n"
        "       umount -a | -A [-F fstab] [-fnv] [-h host] [-t type]\n"
    )
    return Quit(None)


def _fstab_names(session: Session, line: _Line) -> Sequence[str]:
    """The mount points of fstab(5), last first, without the root."""
    fstab = read_fstab(session, line.fstab)
    if fstab is None:
        raise Quit("fstab reading failure")
    return [entry.file for entry in reversed(fstab.entries) if entry.file != "/" and entry.vfstype in line.types]


def _by_name(session: Session, line: _Line, name: str) -> bool:
    mounted = _find(session, name)
    if mounted is None:
        return False
    return mounted.fstype in line.types and _unmount(session, line, mounted)


def _find(session: Session, name: str) -> Mounted | None:
    """The file system meant: by its fsid, its mount point, or what is mounted; else by where the path leads."""
    plain = name.rstrip("/") or "/"
    return session.system.mounted(plain) or _find_by_path(session, plain)


def _find_by_path(session: Session, path: str) -> Mounted | None:
    try:
        real = session.files.realpath(path)
    except KernelError as error:
        session.err(f"umount: {path}: statfs: {error.errno.text}\n")
        session.err(f"umount: {path}: unknown file system\n")
        return None
    found = session.system.mounted(real)
    if found is not None and found.target != real:
        found = None
    if found is None and session.files.kind(real) is FileKind.DIRECTORY:
        session.err(f"umount: {path}: not a file system root directory\n")
    elif found is None:
        session.err(f"umount: {path}: unknown file system\n")
    return found


def _unmount(session: Session, line: _Line, mounted: Mounted) -> bool:
    try:
        apply_as_caller(session, Unmount(mounted.target, force=line.force))
    except KernelError as error:
        session.err(f"umount: unmount of {mounted.target} failed: {error.errno.text}\n")
        return False
    if line.verbose:
        session.out(f"{mounted.source}: unmount from {mounted.target}\n")
    return True
