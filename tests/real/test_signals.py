"""Ctrl-C, SIGTERM and a terminal that goes away, while vjail is at work."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lives import command, install, outcome, until, vjail
from sandbox import Sandbox, interpreter

pytestmark = pytest.mark.real

NOTHING = "vjail: interrupted; nothing of the lab is left"


def said(stderr: str) -> list[str]:
    """What was said besides the progress."""
    return [line for line in stderr.splitlines() if line.startswith("vjail: ")]


def sleeps(box: Sandbox, lab: str, phase: str) -> None:
    """Let a phase of the jail take long."""
    conf = box.folder / lab / "jail.conf"
    conf.write_text(conf.read_text().replace("\n}", f'\n    {phase} += "sleep 1000";\n}}'))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_that_is_interrupted_leaves_nothing(box: Sandbox, number: signal.Signals) -> None:
    lab = install(box, "steps")
    for step in ("host fbsd", "mount.devfs"):
        up = vjail(box, "up", "-v", lab)
        assert up.stderr is not None
        while step not in up.stderr.readline():
            pass
        for _ in range(1 + (step == "mount.devfs")):  # a second one does no harm
            os.kill(command(up), number)
        code, _, err = outcome(up)
        assert (code, said(err)) == (128 + number, [NOTHING]), (step, err)
        box.assert_clean()


def test_up_that_is_interrupted_takes_back_what_had_begun(box: Sandbox) -> None:
    """Where the lab was up before, that stays."""
    lab = install(box, "steps")
    sleeps(box, lab, "exec.start")
    assert box.vjail("up", "--no-jails", lab).code == 0
    before = sorted(box.shell("mount; ifconfig -l", lab).out.split())
    up = vjail(box, "up", lab)
    until(lambda: bool(box.running("sleep", "1000")))
    os.kill(command(up), signal.SIGTERM)
    code, _, err = outcome(up)
    assert (code, said(err)[-1]) == (143, "vjail: interrupted; what was up stays"), err
    assert sorted(box.shell("mount; ifconfig -l", lab).out.split()) == before
    assert not box.running("sleep", "1000")
    assert box.vjail("down", lab).code == 0


def test_down_that_is_interrupted_can_be_repeated(box: Sandbox) -> None:
    lab = install(box, "steps")
    sleeps(box, lab, "exec.stop")
    assert box.vjail("up", lab).code == 0
    down = vjail(box, "down", lab)
    until(lambda: bool(box.running("sleep", "1000")))
    os.kill(command(down), signal.SIGINT)
    code, _, err = outcome(down)
    text = "vjail: interrupted; what was not stopped yet is up; `vjail down --now` ends it at once"
    assert (code, said(err)) == (130, [text]), err
    assert "web" in box.shell("jls name", lab).out
    assert box.vjail("down", "--now", lab).code == 0


def test_what_exec_runs_has_its_signals(box: Sandbox) -> None:
    lab = install(box, "steps")
    assert box.vjail("up", lab).code == 0
    ping = vjail(box, "exec", "-p", lab, "web", "ping", "10.0.0.2")
    assert ping.stdout is not None
    for _ in range(2):
        ping.stdout.readline()
    os.kill(command(ping), signal.SIGINT)
    code, out, _ = outcome(ping)
    assert code == 0
    assert "0.0% packet loss" in out, "ping(8) sums up"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        running = vjail(box, "exec", "-p", lab, "web", "sleep", "1000")
        until(lambda: bool(box.running("sleep", "1000")))
        os.kill(command(running), number)
        assert outcome(running)[0] == 128 + number
    # Started in the background of a shell that has no job control, it does not heed the terminal's interrupts.
    nohup = box.start("sh", "-c", f"trap '' HUP; exec {interpreter()} -m vjail exec -p {lab} web sleep 1")
    until(lambda: bool(box.running("sleep", "1")))
    os.kill(command(nohup), signal.SIGHUP)
    assert outcome(nohup)[0] == 0
    assert box.vjail("down", lab).code == 0


@contextmanager
def on_a_terminal(box: Sandbox, *words: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run vjail on a terminal of its own, which goes away at the end: the terminal's other end, and the command."""
    terminal, inside = os.openpty()
    # The session begins inside: one that began outside has no number there.
    line = box.command("setsid", "--ctty", "--wait", interpreter(), "-m", "vjail", *words)
    running = subprocess.Popen(line, stdin=inside, stdout=inside, stderr=inside, env=box.environ)
    os.close(inside)
    try:
        yield terminal, running
    finally:
        os.close(terminal)
        running.wait(20)


def test_ctrl_c_on_a_terminal(box: Sandbox) -> None:
    lab = install(box, "steps")
    sleeps(box, lab, "exec.start")
    with on_a_terminal(box, "up", lab) as (terminal, up):
        until(lambda: bool(box.running("sleep", "1000")))
        os.write(terminal, b"\x03")
        assert up.wait(20) == 130
        shown = b""
        while not shown.endswith(b"left\r\n"):
            shown += os.read(terminal, 4096)
        assert NOTHING.encode() in shown, shown
    box.assert_clean()
    with on_a_terminal(box, "up", lab) as (_, up):
        until(lambda: bool(box.running("sleep", "1000")))
    assert up.returncode == 129, "the terminal has gone"
    box.assert_clean()


def test_a_suspended_command_does_not_hold_a_jail(box: Sandbox) -> None:
    """Only who started a process can let it go; while that is stopped the jail could not end."""
    lab = install(box, "steps")
    assert box.vjail("up", lab).code == 0
    for words in (("stop", "-p", lab, "web"), ("down", lab), ("down", "--now", lab)):
        assert box.vjail("up", lab).code == 0
        suspended = vjail(box, "exec", "-p", lab, "web", "sleep", "1000")
        until(lambda: bool(box.running("sleep", "1000")))
        os.kill(command(suspended), signal.SIGSTOP)
        began = time.monotonic()
        ended = box.vjail(*words)
        assert ended.code == 0, ended
        assert time.monotonic() - began < 4
        os.kill(suspended.pid, signal.SIGCONT)  # nsenter(1) stops with what it runs
        assert outcome(suspended)[0] in (128 + signal.SIGTERM, 128 + signal.SIGKILL)
    assert not box.running("sleep", "1000")


def test_exec_on_a_terminal_that_goes_away(box: Sandbox) -> None:
    lab = install(box, "steps")
    assert box.vjail("up", lab).code == 0
    with on_a_terminal(box, "exec", "-p", lab, "web", "sleep", "1000") as (terminal, running):
        until(lambda: bool(box.running("sleep", "1000")))
        os.write(terminal, b"\x03")
        assert running.wait(20) == 130
    with on_a_terminal(box, "exec", "-p", lab, "web", "sleep", "1000") as (_, running):
        until(lambda: bool(box.running("sleep", "1000")))
    until(lambda: not box.running("sleep", "1000"))
    began = time.monotonic()
    assert box.vjail("down", lab).code == 0
    assert time.monotonic() - began < 10
