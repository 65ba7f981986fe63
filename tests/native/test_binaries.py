"""The programs that are shipped are those of the sources that are here."""

import hashlib
import re
import shutil
import subprocess

import pytest
from native_support import NATIVE, SHIPPED

NAMES = ("agent", "syslogd", "cron")
MACHINES = {"x86_64": 62, "aarch64": 183}


def digest(name: str) -> str:
    """As build.sh computes it."""
    parts = [(NATIVE / part).read_bytes() for part in ("build.sh", "sys.h", "daemon.h", f"{name}.c")]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_program_was_built_from_these_sources(name: str, machine: str):
    """If not: run native/build.sh where both compilers are."""
    content = (SHIPPED / f"{name}-{machine}").read_bytes()
    assert re.findall(rb"vjail-sources:([0-9a-f]{64})", content) == [digest(name).encode()]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_program_needs_nothing(name: str, machine: str):
    """It runs in whatever is in a jail: 64 bit, of its machine, static, small, without an executable stack."""
    content = (SHIPPED / f"{name}-{machine}").read_bytes()
    assert content[:7] == b"\x7fELF\x02\x01\x01"
    assert int.from_bytes(content[18:20], "little") == MACHINES[machine]
    start, count = int.from_bytes(content[32:40], "little"), int.from_bytes(content[56:58], "little")
    headers = [content[start + 56 * i : start + 56 * (i + 1)] for i in range(count)]
    kinds = {int.from_bytes(header[:4], "little"): int.from_bytes(header[4:8], "little") for header in headers}
    assert 2 not in kinds, "no dynamic section"
    assert 3 not in kinds, "no interpreter"
    assert not kinds.get(0x6474E551, 0) & 1
    assert len(content) < 20_000


def test_what_is_built_here_says_so_too(programs):
    for name in NAMES:
        assert f"vjail-sources:{digest(name)}".encode() in programs.path(name).read_bytes()


def test_the_script_says_what_it_cannot_build(tmp_path):
    tools, out = tmp_path / "tools", tmp_path / "out"
    tools.mkdir()
    for tool in ("dirname", "mkdir", "cat", "sha256sum", "cut"):
        (tools / tool).symlink_to(shutil.which(tool))
    done = subprocess.run(
        ["/bin/sh", NATIVE / "build.sh", out], env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines(), list(out.iterdir())) == (
        0,
        [f"no {machine}-linux-gnu-gcc: {machine} not built" for machine in MACHINES],
        [],
    )
