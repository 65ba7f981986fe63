"""What the userland's tests share: ELF files made up, mounters that only note, namespaces to mount in for real."""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vjail.kernel.linux.syscalls import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MACHINE,
    MS_PRIVATE,
    MS_REC,
    PR_SET_DUMPABLE,
    call,
    mount,
    unshare,
)
from vjail.lab.userland import Extent, Mounter, Natives, Source, Userland, Writer

NOBODY = 65534


# --- made-up programs -------------------------------------------------------------------------------------------------

_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_NEEDED, _STRTAB, _STRSZ, _RPATH, _RUNPATH = 1, 5, 10, 15, 29
_NUMBERS = {"x86_64": 62, "aarch64": 183}


def elf_file(
    *,
    needed: Sequence[str] = (),
    interpreter: str | None = None,
    rpath: str | None = None,
    runpath: str | None = None,
    machine: str = "x86_64",
) -> bytes:
    """An ELF file that says this, loaded at an address that is not its offset."""
    base = 0x40_0000
    strings = bytearray(b"\0")

    def place(text: str) -> int:
        at = len(strings)
        strings.extend(os.fsencode(text) + b"\0")
        return at

    entries = [(_NEEDED, place(name)) for name in needed]
    entries += [(tag, place(text)) for tag, text in ((_RPATH, rpath), (_RUNPATH, runpath)) if text is not None]
    interp = os.fsencode(interpreter) + b"\0" if interpreter is not None else b""
    count = 2 + (interpreter is not None)
    start = 64 + 56 * count
    text_at = start + len(interp)
    dynamic_at = text_at + len(strings) + 8
    entries += [(_STRTAB, base + text_at), (_STRSZ, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    size = dynamic_at + len(dynamic)
    segments = [(_LOAD, 0, base, size), (_DYNAMIC, dynamic_at, base + dynamic_at, len(dynamic))]
    if interpreter is not None:
        segments.append((_INTERP, start, base + start, len(interp)))
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, _NUMBERS[machine], 1, base, 64, 0, 0, 64, 56, count, 0, 0, 0
    )
    table = b"".join(
        struct.pack("<IIQQQQQQ", kind, 5, offset, address, address, length, length, 8)
        for kind, offset, address, length in segments
    )
    return header + table + interp + bytes(strings) + bytes(8) + dynamic


def program(path: Path, content: bytes) -> None:
    """Put an executable file there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)


def distribution(
    root: Path, *, directory: str, loader: str, libc: str = "libc.so.6", machine: str = "x86_64"
) -> Source:
    """A made-up machine with a merged /usr: sh, ls, env and a C library in `directory` (`lib/x86_64-linux-gnu`)."""
    libraries = root / "usr" / directory
    name = Path(loader).name
    program(libraries / name, elf_file(machine=machine))
    program(libraries / libc, elf_file(needed=[name], machine=machine))
    for link in ("bin", "sbin", directory.split("/")[0]):
        (root / "usr" / link).mkdir(exist_ok=True)
        if not (root / link).exists():
            (root / link).symlink_to(f"usr/{link}")
    if not (root / loader.lstrip("/")).exists():
        (root / loader.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / loader.lstrip("/")).symlink_to(f"/usr/{directory}/{name}")
    for command in ("sh", "ls", "env", "mount"):
        program(
            root / "usr/bin" / command, elf_file(needed=[libc], interpreter=loader, machine=machine) + command.encode()
        )
    (root / "etc").mkdir(exist_ok=True)
    return Source(str(root))


# --- mounting ---------------------------------------------------------------------------------------------------------


@dataclass
class NotedMounter:
    """Notes what it is asked for, and refuses what it is told to."""

    refuses: Callable[[str], bool] = lambda target: False
    overlays: list[tuple[tuple[str, ...], str, str, bool]] = field(default_factory=list)
    binds: list[tuple[str, str, bool]] = field(default_factory=list)

    def overlay(self, lower: Sequence[str], upper: str, work: str, target: str, *, userxattr: bool) -> None:
        if self.refuses(target):
            raise OSError(22, "Invalid argument")
        assert os.listdir(work) == []
        self.overlays.append((tuple(lower), upper, target, userxattr))

    def bind(self, source: str, target: str, *, read_only: bool) -> None:
        self.binds.append((source, target, read_only))


class NoMounter:
    """For a kernel without overlays."""

    def overlay(self, lower: Sequence[str], upper: str, work: str, target: str, *, userxattr: bool) -> None:
        raise OSError(19, "No such device")

    def bind(self, source: str, target: str, *, read_only: bool) -> None:
        raise OSError(1, "Operation not permitted")


def userland(
    store: Path,
    mounter: Mounter,
    *,
    extent: Extent = Extent.WHOLE,
    source: Source | None = None,
    userxattr: bool = False,
) -> Userland:
    """A userland of this machine, or of a made-up one, with vjail's own native programs."""
    writer = Writer(source or Source.machine(), MACHINE, Natives.shipped(MACHINE))
    store.mkdir(exist_ok=True)
    return Userland(writer, extent, mounter=mounter, store=str(store), userxattr=userxattr)


# --- for real ---------------------------------------------------------------------------------------------------------


def isolated(action: Callable[[Path], None], *, one_id: bool, prepare: Callable[[], None] = lambda: None) -> None:
    """Call `action` in a process of its own, in a mount namespace of its own, with the path of an empty tmpfs.

    With `one_id` in a user namespace as well in which one user id is mapped and everybody else is nobody. `prepare` is
    called before that, as root in a mount namespace of its own. Raises AssertionError with the traceback if it fails.
    """
    place = Path(tempfile.mkdtemp(prefix="vjail-test-", dir="/tmp"))
    told, tell = os.pipe()
    try:
        if os.geteuid() == 0 and one_id:
            os.chown(place, NOBODY, NOBODY)
        child = os.fork()
        if child == 0:
            os.close(told)
            _in_child(action, place, one_id, prepare, tell)
        os.close(tell)
        with open(told, "rb") as pipe:
            failure = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        assert not failure, failure
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        shutil.rmtree(place)


def _in_child(
    action: Callable[[Path], None], place: Path, one_id: bool, prepare: Callable[[], None], tell: int
) -> None:
    code = 1
    try:
        if os.geteuid() == 0:
            unshare(CLONE_NEWNS)
            mount(None, "/", None, MS_REC | MS_PRIVATE)
            prepare()
        _separate(one_id)
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        mount("tmpfs", str(place), "tmpfs", 0, "mode=755")
        action(place)
        code = 0
    except BaseException:
        os.write(tell, traceback.format_exc().encode()[-60000:])
    finally:
        sys.stdout.flush()
        os._exit(code)


def _separate(one_id: bool) -> None:
    if not one_id:
        return
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)
    uid, gid = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path(f"/proc/self/{name}").write_text(text)


def run_inside(root: Path, script: str, *, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and output, both streams, of /bin/sh -c SCRIPT with `root` as its root."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(write, 1)
            os.dup2(write, 2)
            os.closerange(3, 256)
            os.chroot(root)
            os.chdir("/")
            os.execve("/bin/sh", ["sh", "-c", script], environ or {"PATH": "/sbin:/bin:/usr/sbin:/usr/bin"})
        except OSError as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(126)
    os.close(write)
    with open(read, "rb") as pipe:
        output = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), output
