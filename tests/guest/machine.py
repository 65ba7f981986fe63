"""A guest: QEMU, which emulates a machine, on which a stock Debian kernel runs with files of this machine.

The kernel lies unpacked where tools/guest_kernel.sh puts it. Nothing of the guest outlives it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from archive import Archive

TOP = Path(__file__).parent.parent.parent
KERNEL = TOP / ".cache" / "guest-kernel"
QEMU = "qemu-system-x86_64"
MODULES = ("overlay", "veth", "bridge", "8021q", "sch_ingress", "cls_bpf", "bonding", "sch_netem")
"""What vjail needs of a stock kernel; on an installed machine they come by themselves."""
_ETC = (
    "passwd", "group", "shadow", "gshadow", "hosts", "services", "protocols", "nsswitch.conf", "login.defs",
    "os-release", "host.conf",
)  # fmt: skip
_PYTHON = (
    "_pytest", "pytest", "py.py", "pluggy", "iniconfig", "packaging", "pygments", "yaml", "_yaml",
)  # fmt: skip
"""What tests need of the Python they run in."""
_CPU = "max,-avx,-avx2,-la57,-smap,-smep,-pcid,-xsave"
"""Without what costs an emulator much: the same work took 22.4 s of processor time in place of 26.2."""
_COMMAND_LINE = (
    "console=ttyS0 panic=-1 reboot=t mitigations=off random.trust_cpu=on quiet transparent_hugepage=never nowatchdog "
    "rcupdate.rcu_cpu_stall_suppress=1"
)


@dataclass(frozen=True)
class Ended:
    """How a guest's command ended: its exit code (None: the guest died), all that was said on the console."""

    code: int | None
    said: str


def run(command: Sequence[str], *, timeout: float) -> Ended:
    """Start a guest that carries out one command in a copy of this project, and wait until it is off."""
    with tempfile.TemporaryDirectory(prefix="vjail-guest.") as folder:
        image = Path(folder) / "initramfs"
        with image.open("wb") as out:
            _root(command).write(out)
        line = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            QEMU,
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "2048",
            "-nodefaults",
        ]
        line += ["-display", "none", "-serial", "stdio", "-no-reboot"]
        line += ["-kernel", str(next(KERNEL.glob("boot/vmlinuz-*"))), "-initrd", str(image), "-append", _COMMAND_LINE]
        try:
            done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            return Ended(None, _text(error.stdout or b"") + f"\n{timeout} s are over")
    said = _text(done.stdout + done.stderr)
    found = re.search(r"^guest: exit (-?\d+)", said, re.MULTILINE)
    return Ended(int(found[1]) if found else None, said)


def _text(console: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|\r", "", console.decode(errors="replace"))


def _root(command: Sequence[str]) -> Archive:
    archive = Archive()
    for name in ("bin", "sbin", "lib", "lib64"):
        archive.link(f"/{name}", f"usr/{name}")
    for name in ("proc", "sys", "dev", "run", "tmp", "root", "home", "mnt", "var/tmp", "var/log"):
        archive.folder(f"/{name}")
    for name in _ETC:
        archive.add(Path("/etc") / name)
    archive.add_packages()
    archive.add_python("/usr/bin/python3")
    site = Path(next(path for path in sys.path if path.endswith("site-packages")))
    trees = [TOP / "src", TOP / "tests" / "real", *(site / name for name in _PYTHON if (site / name).is_dir())]
    # Nothing is compiled in the guest, which is slow.
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", *map(str, trees)], check=True)
    for name in _PYTHON:
        if (site / name).exists():
            archive.add_tree(site / name, f"/project/python/{name}")
    for name in ("src", "examples", "tests/real"):
        archive.add_tree(TOP / name, f"/project/{name}")
    for path in (TOP / "pyproject.toml", *(TOP / "tests").glob("*.py")):
        archive.add(path, f"/project/{path.relative_to(TOP)}")
    archive.add_libraries()
    modules = list(_modules())
    for path in modules:
        archive.add(path, f"/modules/{path.name}")
    archive.write_file("/modules/order", "".join(f"{path.name}\n" for path in modules).encode())
    archive.add(TOP / "tests" / "guest" / "init.py", "/sbin/guest-init")
    script = f"#!/bin/sh\nexec /usr/bin/python3 /usr/sbin/guest-init {shlex.join(command)}\n"
    archive.write_file("/init", script.encode(), 0o755)
    return archive


def _modules() -> Iterator[Path]:
    """The modules' files, each behind those it needs."""
    files = {path.stem.replace("-", "_"): path for path in KERNEL.glob("lib/modules/*/kernel/**/*.ko")}
    done: set[str] = set()

    def needs(name: str) -> Iterator[Path]:
        if name in done or name not in files:
            return
        done.add(name)
        said = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
        for other in said[1].decode().split(",") if said else ():
            yield from needs(other.replace("-", "_"))
        yield files[name]

    for name in MODULES:
        yield from needs(name)


def why_not() -> str:
    """What keeps this machine from running a guest, empty where nothing does."""
    if os.uname().machine != "x86_64":
        return "the guest is an x86_64 machine"
    if not any(os.access(f"{folder}/{QEMU}", os.X_OK) for folder in os.environ.get("PATH", "").split(":")):
        return f"no {QEMU} (Debian package qemu-system-x86)"
    if not any(KERNEL.glob("boot/vmlinuz-*")):
        return "no guest kernel; tools/guest_kernel.sh fetches one"
    return ""
