"""kldload(8), kldstat(8), kldunload(8). Sources: their manual pages and sbin/kld* of 13.2, replay/documents-C.txt."""

from __future__ import annotations

from collections.abc import Sequence

from vjail.command.getopt import BadOption, Getopt
from vjail.command.privilege import apply_as_caller
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import KernelFile
from vjail.kernel.operations import LoadModule, UnloadModule
from vjail.session import Quit, Session, run_named

_USAGE_ERROR = 64


def kldload(session: Session) -> int:
    """kldload(8)."""
    return run_named(session, _kldload)


def kldstat(session: Session) -> int:
    """kldstat(8)."""
    return run_named(session, _kldstat)


def kldunload(session: Session) -> int:
    """kldunload(8)."""
    return run_named(session, _kldunload)


def _options(session: Session, letters: str, usage: str, code: int = 1) -> tuple[dict[str, str], Sequence[str]]:
    """The options given, with their arguments, and the operands."""
    parsed = Getopt(session.argv[1:], letters)
    found: dict[str, str] = {}
    for option in parsed:
        if isinstance(option, BadOption):
            session.err(f"{session.argv[0]}: {option.text}\n{usage}")
            raise Quit(None, code)
        found[option.letter] = option.argument or ""
    return found, parsed.operands


def _kldload(session: Session) -> int:
    usage = "usage: kldload [-nqv] file ...\n"
    options, names = _options(session, "nqv", usage)
    if not names:
        session.err(usage)
        return 1
    return 1 if [name for name in names if not _load(session, name, options)] else 0


def _load(session: Session, name: str, options: dict[str, str]) -> bool:
    try:
        apply_as_caller(session, LoadModule(name))
    except KernelError as error:
        if error.errno is Errno.EEXIST and "n" in options:
            if "v" in options:
                session.out(f"{name} is already loaded\n")
            return True
        reason = "module already loaded or in kernel" if error.errno is Errno.EEXIST else error.errno.text
        session.err(f"kldload: can't load {name}: {reason}\n")
        return False
    if "v" in options:
        session.out(f"Loaded {name}, id={session.system.kernel_files()[-1].id}\n")
    return True


def _kldstat(session: Session) -> int:
    usage = "usage: kldstat [-hqv] [-i id] [-n filename]\n       kldstat [-q] [-m modname]\n"
    options, operands = _options(session, "hi:m:n:qv", usage)
    if operands or not options.get("i", "0").isdecimal():
        session.err(usage)
        return 1
    files = session.system.kernel_files()
    if "m" in options:
        return _show_module(session, files, options["m"], quiet="q" in options)
    if "n" in options:
        files = [file for file in files if options["n"] in (file.name, file.name.removesuffix(".ko"))]
        if not files:
            raise Quit(f"can't find file {options['n']}: {Errno.ENOENT.text}")
    if "i" in options:
        files = [file for file in files if file.id == int(options["i"])]
        if not files:
            raise Quit(f"can't stat file id {options['i']}: {Errno.ENOENT.text}")
    size = "Size".rjust(5 if "h" in options else 8)
    session.out(f"Id Refs Address{' ' * 11} {size} Name\n")
    for file in files:
        _show_file(session, file, options)
    return 0


def _show_file(session: Session, file: KernelFile, options: dict[str, str]) -> None:
    size = _human(file.size).rjust(5) if "h" in options else f"{file.size:8x}"
    shown = f"{file.id:2} {file.refs:4} 0x{file.address:x} {size} {file.name}"
    if "v" not in options:
        session.out(f"{shown}\n")
        return
    modules = "".join(f"\t\t{number:2} {name}\n" for number, name in file.modules)
    session.out(f"{shown} ({file.path})\n\tContains modules:\n\t\t Id Name\n{modules}")


def _show_module(session: Session, files: Sequence[KernelFile], name: str, *, quiet: bool) -> int:
    found = next((number for file in files for number, known in file.modules if known == name), None)
    if found is None:
        if not quiet:
            session.err(f"kldstat: can't find module {name}: {Errno.ENOENT.text}\n")
        return 1
    if not quiet:
        session.out(f"Id  Refs Name\n{found:3} {1:4} {name}\n")
    return 0


def _human(size: int) -> str:
    """humanize_number(3) in five columns: 3.1K, 32M."""
    scaled = float(size)
    for suffix in ("B", "K", "M", "G"):
        if scaled < 1024 or suffix == "G":
            return f"{scaled:.1f}{suffix}" if scaled < 10 and suffix != "B" else f"{scaled:.0f}{suffix}"
        scaled /= 1024
    raise AssertionError(size)


def _kldunload(session: Session) -> int:
    usage = "usage: kldunload [-fv] -i id ...\n       kldunload [-fv] [-n] name ...\n"
    options, names = _options(session, "finv", usage, _USAGE_ERROR)
    if not names:
        session.err(usage)
        return _USAGE_ERROR
    for name in names:
        _unload(session, name, options)
    return 0


def _unload(session: Session, name: str, options: dict[str, str]) -> None:
    by_id = "i" in options
    for file in session.system.kernel_files():
        if (by_id and name == str(file.id)) or (not by_id and name in (file.name, file.name.removesuffix(".ko"))):
            break
    else:
        raise Quit("can't unload file: No such file or directory" if by_id else f"can't find file {name}")
    if "v" in options:
        session.out(f"Unloading {file.name}, id={file.id}\n")
    try:
        apply_as_caller(session, UnloadModule(file.name))
    except KernelError as error:
        raise Quit(f"can't unload file: {error.errno.text}") from None
