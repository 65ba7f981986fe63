"""mount(8), mount_nullfs(8) and their like: what is mounted, and mounting.

Sources: mount(8), sbin/mount, sbin/mount_nullfs of FreeBSD 13.2, observed/g_nullfs.txt, f_devfs.txt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vjail.command.getopt import BadOption, Getopt
from vjail.command.mount_list import ALL_TYPES, TypeList, describe, fstab_line
from vjail.command.paths import PathError, resolve, resolve_directory
from vjail.command.privilege import apply_as_caller
from vjail.conf.fstab import Entry, Fstab, FstabType, parse
from vjail.conf.position import Source
from vjail.kernel.errno import KernelError
from vjail.kernel.observed import Mounted
from vjail.kernel.operations import Mount
from vjail.session import FileKind, Quit, Session, run_named

FSTAB = "/etc/fstab"
_USAGE_ERROR = 64
_BY_PROGRAM = {"nullfs", "unionfs"}
_PROGRAM_MISSING = {"cd9660", "mfs", "msdosfs", "nfs", "nfs4", "ntfs", "nwfs", "portalfs", "smbfs", "udf"}
_NOT_FOR_THE_KERNEL = ("noauto", "late", "failok", "userquota", "groupquota")
_TO_BE_MOUNTED = (FstabType.RW, FstabType.RO, FstabType.RQ)


@dataclass(slots=True)
class _Line:
    """The options of one mount(8) command line."""

    all: bool = False
    debug: bool = False
    late: bool = False
    update: bool = False
    fstab: str = FSTAB
    fstab_style: bool = False
    verbose: bool = False
    options: list[str] = field(default_factory=list)
    types: TypeList = ALL_TYPES
    fstype: str | None = None


def mount(session: Session) -> int:
    """mount(8), or under the name mount_FS the program for one file system."""
    name = session.argv[0]
    if name == "mount":
        return run_named(session, _mount)
    return run_named(session, lambda session: _mount_program(session, name.removeprefix("mount_"), session.argv[1:]))


def read_fstab(session: Session, path: str) -> Fstab | None:
    """The file, its bad lines reported as getfsent(3) does; None, with its message, where it cannot be read."""
    try:
        data = session.files.read(path)
    except KernelError as error:
        session.err(f"fstab: {path}:0: {error.errno.text}\n")
        return None
    fstab = parse(Source(path, data))
    for bad in fstab.bad:
        session.err(f"{bad}\n")
    return fstab


def _mount(session: Session) -> int:
    line, operands = _parse(session)
    match len(operands):
        case 0 if line.all:
            return _mount_all(session, line)
        case 0:
            return _list(session, line)
        case 1 if line.fstype is None and not line.update:
            entry = _entry_for(session, line, operands[0])
            return _mount_one(session, line, entry.vfstype, entry.spec, entry.file, (*entry.options, *line.options))
        case 1 if line.fstype is None:
            return _update(session, line, operands[0])
        case 2:
            fstype = line.fstype or _guessed_type(operands[0])
            return _mount_one(session, line, fstype, operands[0], operands[1], line.options)
        case _:
            raise _usage(session)


def _parse(session: Session) -> tuple[_Line, Sequence[str]]:
    line = _Line()
    options = Getopt(session.argv[1:], "adF:fLlno:prt:uvw")
    for option in options:
        if isinstance(option, BadOption):
            session.err(f"mount: {option.text}\n")
            raise _usage(session)
        argument = option.argument or ""
        match option.letter:
            case "a":
                line.all = True
            case "d":
                line.debug = True
            case "F":
                line.fstab = argument
            case "f":
                line.options.append("force")
            case "l":
                line.late = True
            case "o":
                line.options += [word for word in argument.split(",") if word]
            case "p":
                line.fstab_style = line.verbose = True
            case "r":
                line.options.append("ro")
            case "t":
                if line.fstype is not None:
                    raise Quit("only one -t option may be specified")
                line.fstype, line.types = argument, TypeList.parse(argument)
            case "u":
                line.update = True
            case "v":
                line.verbose = True
            case "w":
                line.options.append("noro")
    return line, options.operands


def _usage(session: Session) -> Quit:
    session.err(
        "usage: mount [-adflpruvw] [-F fstab] [-o options] [-t ufs | external_type]\n"
        "       mount [-dfpruvw] special | node\n"
        "       mount [-dfpruvw] [-o options] [-t ufs | external_type] special node\n"
    )
    return Quit(None)


def _guessed_type(special: str) -> str:
    """ufs, or nfs where the name looks like a file system of another host."""
    return "nfs" if "@" in special or ":" in special else "ufs"


# --- showing ---------------------------------------------------------------------------------------------------------


def _list(session: Session, line: _Line) -> int:
    shown = [mounted for mounted in session.system.mounts() if mounted.fstype in line.types]
    fstab = _quiet_fstab(session, line.fstab) if line.fstab_style else None
    for mounted in shown:
        _show(session, line, mounted, fstab)
    return 0


def _quiet_fstab(session: Session, path: str) -> Fstab | None:
    try:
        return parse(Source(path, session.files.read(path)))
    except KernelError:
        return None


def _show(session: Session, line: _Line, mounted: Mounted, fstab: Fstab | None) -> None:
    if line.fstab_style:
        session.out(fstab_line(mounted, *_freq_and_pass(mounted, fstab)))
    else:
        session.out(describe(mounted, verbose=line.verbose))


def _freq_and_pass(mounted: Mounted, fstab: Fstab | None) -> tuple[int, int]:
    """What fstab(5) says of it; else what a ufs gets by habit."""
    for entry in fstab.entries if fstab else ():
        if entry.spec == mounted.source or entry.file == mounted.target:
            return entry.freq, entry.passno
    if mounted.fstype == "ufs":
        return (1, 1) if mounted.target == "/" else (2, 2)
    return 0, 0


# --- mounting --------------------------------------------------------------------------------------------------------


def _mount_all(session: Session, line: _Line) -> int:
    fstab = read_fstab(session, line.fstab)
    code = 0
    for entry in fstab.entries if fstab else ():
        skipped = entry.has("noauto") or (entry.has("late") and not line.late)
        if entry.type not in _TO_BE_MOUNTED or entry.vfstype not in line.types or skipped:
            continue
        if _is_mounted(session, entry):
            continue
        if _mount_one(session, line, entry.vfstype, entry.spec, entry.file, (*entry.options, *line.options)):
            code = 1
    return code


def _is_mounted(session: Session, entry: Entry) -> bool:
    try:
        target = session.files.realpath(entry.file)
    except KernelError:
        target = entry.file
    return any(mounted.target == target for mounted in session.system.mounts())


def _entry_for(session: Session, line: _Line, name: str) -> Entry:
    """The fstab line of a mount point or of a special file."""
    name = name.rstrip("/") or "/"
    fstab = read_fstab(session, line.fstab)
    entries = fstab.entries if fstab else ()
    entry = next((each for each in entries if each.file == name), None)
    entry = entry or next((each for each in entries if each.spec == name), None)
    if entry is None:
        raise Quit(f"{name}: unknown special file or file system")
    if entry.type not in _TO_BE_MOUNTED:
        raise Quit(f"{name} has unknown file system type")
    return entry


def _update(session: Session, line: _Line, name: str) -> int:
    """`mount -u`: the file system mounted there, with other options."""
    found = [each for each in session.system.mounts() if name in (each.target, each.source)]
    if not found:
        raise Quit(f"not currently mounted {name}")
    return _mount_one(session, line, found[-1].fstype, found[-1].source, found[-1].target, (*line.options, "update"))


def _mount_one(session: Session, line: _Line, fstype: str, special: str, node: str, options: Sequence[str]) -> int:
    """Mount one file system as mount(8) does it itself or lets mount_FS do it."""
    try:
        target = resolve(session, node)
    except PathError as error:
        session.err(f"mount: {error}\n")
        return 1
    words = [word for word in options if word.split("=")[0] not in _NOT_FOR_THE_KERNEL]
    if line.update and "update" not in words:
        words.append("update")
    program = fstype in _BY_PROGRAM
    if line.debug:
        shown = "".join(f" -o {word}" for word in words)
        session.out(f"{f'exec: mount_{fstype}' if program else f'mount -t {fstype}'}{shown} {special} {target}\n")
        return 0
    if fstype in _PROGRAM_MISSING:
        raise Quit(f"exec mount_{fstype} not found: No such file or directory")
    if program:
        code = _run_program(session, fstype, [item for word in words for item in ("-o", word)] + [special, target])
    else:
        code = _mount_fs(session, "mount", fstype, special, target, words)
    if code == 0 and line.verbose:
        _show(session, line, session.system.mounts()[-1], None)
    return code


def _run_program(session: Session, fstype: str, words: Sequence[str]) -> int:
    """mount_FS as a process of its own: its messages bear its own name, its failure is its exit code."""
    try:
        return _mount_program(session, fstype, words)
    except Quit as leave:
        if leave.text is not None:
            session.err(f"mount_{fstype}: {leave.text}\n")
        return leave.code


def _mount_program(session: Session, fstype: str, words: Sequence[str]) -> int:
    """mount_nullfs(8), mount_unionfs(8), …: `[-o options] source mount-point`."""
    options: list[str] = []
    parsed = Getopt(words, "bo:" if fstype == "unionfs" else "o:")
    for option in parsed:
        if isinstance(option, BadOption):
            session.err(f"mount_{fstype}: {option.text}\n")
            raise _program_usage(session, fstype)
        options += ["below"] if option.letter == "b" else [word for word in (option.argument or "").split(",") if word]
    if len(parsed.operands) != 2:
        raise _program_usage(session, fstype)
    source, node = parsed.operands
    if fstype not in _BY_PROGRAM:
        return _mount_fs(session, f"mount_{fstype}", fstype, source, node, options)
    try:
        source = resolve(session, source)
        node = resolve(session, node)
    except PathError as error:
        raise Quit(str(error), _USAGE_ERROR) from None
    if (session.files.kind(source) is FileKind.DIRECTORY) is not (session.files.kind(node) is FileKind.DIRECTORY):
        raise Quit(f"{node}: must be same type as {source} (file or directory)", _USAGE_ERROR)
    try:
        apply_as_caller(session, Mount(fstype, source, node, tuple(options)))
    except KernelError as error:
        raise Quit(f"{node}: {_reason(error)}") from None
    return 0


def _program_usage(session: Session, fstype: str) -> Quit:
    session.err(f"usage: mount_{fstype} [-o options] target mount-point\n")
    return Quit(None)


def _mount_fs(session: Session, program: str, fstype: str, special: str, node: str, options: Sequence[str]) -> int:
    """A file system without a program of its own; the message names what was given as special."""
    try:
        target = resolve_directory(session, node)
        apply_as_caller(session, Mount(fstype, special, target, tuple(options)))
    except PathError as error:
        session.err(f"{program}: {error}\n")
        return 1
    except KernelError as error:
        session.err(f"{program}: {special}: {_reason(error)}\n")
        return 1
    return 0


def _reason(error: KernelError) -> str:
    """What the kernel says of a refused mount, then the error."""
    return f"{error.message}: {error.errno.text}" if error.message else error.errno.text
