"""Every real test runs once as root, where this is root, and once as an ordinary user, each in a sandbox of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sandbox import NOBODY, Sandbox, interpreter, sandbox

TOP = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def program() -> Iterator[Path]:
    """A copy of vjail that every user may read, outside anyone's home."""
    place = Path(tempfile.mkdtemp(prefix="vjail-test."))
    place.chmod(0o755)
    skipped = shutil.ignore_patterns("*.pyc.*")
    shutil.copytree(TOP / "src", place / "src", ignore=skipped)
    shutil.copytree(Path(yaml.__file__).parent, place / "src" / "yaml", ignore=skipped)
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() or (os.access(path, os.X_OK) and path.stat().st_mode & 0o100) else 0o644)
    # Not everybody may write what Python keeps of its modules there.
    subprocess.run([interpreter(), "-m", "compileall", "-q", str(place / "src")], check=True)
    yield place
    shutil.rmtree(place)


@pytest.fixture(params=[pytest.param(0, id="root", marks=pytest.mark.root), pytest.param(NOBODY, id="user")])
def uid(request: pytest.FixtureRequest) -> int:
    """Who runs vjail in the test."""
    chosen: int = request.param
    if chosen == 0 and os.geteuid() != 0:
        pytest.skip("needs root")
    return chosen if os.geteuid() == 0 else os.geteuid()


@pytest.fixture
def box(program: Path, uid: int) -> Iterator[Sandbox]:
    """A sandbox with a fresh copy of `examples/`; it must be clean when the test is over."""
    work = program / "work"
    shutil.copytree(TOP / "examples", work)
    try:
        for path in (work, *work.rglob("*")):
            os.chown(path, uid, uid)
        with sandbox(program, uid) as made:
            yield made
    finally:
        shutil.rmtree(work)


@pytest.fixture(scope="session")
def printed_a1() -> bytes:
    """The jail.conf that document 1 prints."""
    return (TOP / "tests" / "data" / "documents" / "A1.jail.conf").read_bytes()
