"""`vjail base` at the keyboard: a whole base or nothing, and one line about it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

VJAIL = (sys.executable, "-m", "vjail", "base")


def base(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*VJAIL, *words], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_a_base_from_this_machine_and_one_from_that(tmp_path: Path) -> None:
    first = base(tmp_path, "one")
    assert (first.returncode, first.stdout) == (0, "")
    told = re.fullmatch(r"one is a base of (\d+) files, (\d+) MB \(\d+\.\d s\)\n", first.stderr)
    assert told, first
    second = base(tmp_path, "--from", "one", "deep/two")
    assert second.returncode == 0, second
    assert re.fullmatch(rf"deep/two is a base of {told[1]} files, {told[2]} MB \(\d+\.\d s\)\n", second.stderr), second
    assert sorted(os.listdir(tmp_path / "deep/two")) == sorted(os.listdir(tmp_path / "one"))


def test_an_empty_directory_stays_the_same_one(tmp_path: Path) -> None:
    """A shell may be in it."""
    (tmp_path / "here").mkdir(0o750)
    before = (tmp_path / "here").stat()
    assert base(tmp_path / "here", ".").returncode == 0
    after = (tmp_path / "here").stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert (tmp_path / "here/bin/sh").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["full"], 1, "full: is there already, and no empty directory; name another, or remove it"),
        (
            ["--from", "gone", "new"],
            1,
            "gone: no such file or directory; give a directory, a tarball or an OCI image layout",
        ),
        (
            ["--from", "full/file", "new"],
            1,
            "full/file: is no tar archive that can be read (file could not be opened successfully)",
        ),
        (
            ["--from", "full", "full/new"],
            1,
            "full/new: is inside full, which is to be copied; name a directory outside it",
        ),
        (["full/file/new"], 1, "{here}/full/file: file exists; name a directory that you may write to"),
        (["/proc/new/base"], 1, "/proc/new: no such file or directory; name a directory that you may write to"),
        (
            ["--full", "--from", "full", "new"],
            2,
            "base: --full is of this machine, and --from is not; give one of them",
        ),
        (["--fll", "new"], 2, "base: there is no option --fll; did you mean --full?; see `vjail base --help`"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("no archive")
    done = base(tmp_path, *words)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"vjail: {said.format(here=tmp_path)}\n")
    assert os.listdir(tmp_path) == ["full"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    started = subprocess.Popen([*VJAIL, "--full", "deep/base"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("deep/.base.*/usr/bin")) and time.monotonic() < deadline:
        time.sleep(0.01)
    started.send_signal(number)
    _, said = started.communicate(timeout=30)
    assert (started.returncode, said) == (128 + number, "vjail: deep/base: interrupted; nothing of it is left\n")
    assert os.listdir(tmp_path) == []


def test_progress_is_one_line_of_a_terminal(tmp_path: Path) -> None:
    control, terminal = pty.openpty()
    done = subprocess.Popen([*VJAIL, "new"], cwd=tmp_path, stderr=terminal)
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(control, 4096):
            shown += piece
    except OSError:
        pass  # the end of a terminal that nobody holds any more
    os.close(control)
    assert done.wait() == 0
    assert re.fullmatch(
        rb"\r\x1b\[Kcopying from this machine(\r\x1b\[Kcopying [^\r]*)*\r\x1b\[Knew is a base of [^\n]*\r\n", shown
    )
