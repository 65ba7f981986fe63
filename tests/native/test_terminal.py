"""Terminals and job control: what an agent starts in another process namespace has the terminal, and gives it back."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from native_support import Programs, eventually

from vjail.kernel.linux import program as program_module
from vjail.kernel.linux.conversation import FORKS, INTERACTIVE, Conversation
from vjail.kernel.linux.program import Program, Strings
from vjail.kernel.linux.syscalls import CLONE_NEWPID, CLONE_NEWUSER, CLONE_PARENT

_LEADER = "import fcntl, os, signal, sys, termios\n" + (
    # The leader of the session stands for the shell: it owns the terminal, and its job is the agent.
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
    "job = os.fork()\n"
    "if job == 0:\n"
    "    os.setpgid(0, 0)\n"
    "    if sys.argv[1] == 'foreground':\n"
    "        os.tcsetpgrp(0, os.getpid())\n"
    "    signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
    "    os.execv(sys.argv[2], sys.argv[2:])\n"
    "while True:\n"
    "    _, status = os.waitpid(job, os.WUNTRACED)\n"
    "    print('stopped' if os.WIFSTOPPED(status) else 'ended', flush=True)\n"
    "    if not os.WIFSTOPPED(status):\n"
    "        break\n"
    "    os.tcsetpgrp(0, os.getpid())\n"
    "    sys.stdin.readline()\n"
    "    os.tcsetpgrp(0, job)\n"
    "    os.killpg(job, signal.SIGCONT)\n"
)


@dataclass
class Job:
    """An agent that is the foreground job of a terminal; `terminal` is the terminal's other end."""

    conversation: Conversation
    terminal: int
    leader: subprocess.Popen[str]
    agent: int

    def foreground(self) -> int:
        """The process group that has the terminal."""
        return os.tcgetpgrp(self.terminal)

    async def said(self) -> str:
        """What the leader says of its job."""
        assert self.leader.stdout is not None
        return (await asyncio.to_thread(self.leader.stdout.readline)).strip()


@contextmanager
def _job(programs: Programs, folder: Path, where: str) -> Iterator[Job]:
    agent = folder / "vjail-agent"
    agent.symlink_to(programs.path("agent"))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    terminal, inside = pty.openpty()
    leader = subprocess.Popen(
        [sys.executable, "-c", _LEADER, where, agent, "session", str(theirs.fileno())],
        stdin=inside,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[theirs.fileno()],
        start_new_session=True,
    )
    theirs.close()
    os.close(inside)
    conversation = Conversation(ours)
    try:
        eventually(lambda: _children(leader.pid) and os.getpgid(_children(leader.pid)[0]) != leader.pid)
        if where == "foreground":
            eventually(lambda: os.tcgetpgrp(terminal) == _children(leader.pid)[0])
        yield Job(conversation, terminal, leader, _children(leader.pid)[0])
    finally:
        conversation.close()
        os.close(terminal)
        leader.kill()
        leader.communicate()


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def job(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a coroutine with a job in the foreground, or in the background."""
    if programs.emulator:
        pytest.skip("the emulator refuses CLONE_PARENT")
    monkeypatch.setattr(program_module, "MACHINE", programs.machine)

    def run(action: Callable[[Job], Awaitable[None]], where: str = "foreground") -> None:
        async def main() -> None:
            with _job(programs, tmp_path, where) as job:
                await asyncio.wait_for(action(job), 30)

        asyncio.run(main())

    return run


def _elsewhere(*argv: str) -> Program:
    """A program that becomes `argv` in a process namespace of its own, with the terminal."""
    program = Program()
    fork = program.fork(CLONE_NEWPID | (CLONE_NEWUSER if os.geteuid() else 0) | CLONE_PARENT)
    program.report()
    program.terminal()
    program.call("execve", argv[0], Strings(argv), Strings(["PATH=/bin:/usr/bin"]))
    program.parent_goes_on(fork)
    program.exit(0)
    return program


_SEES = "import os, sys; sys.exit(7 if os.tcgetpgrp(0) == os.getpgrp() == os.getpid() else 1)"


def test_it_has_the_terminal_by_a_number_of_its_own(job):
    """A shell that reads 0 there puts 0 back at its end, and fails by that."""

    async def check(job: Job) -> None:
        for argv, code in (((sys.executable, "-c", _SEES), 7), (("/bin/sh", "-ic", "exit 3"), 3)):
            child = job.conversation.spawn(_elsewhere(*argv), flags=INTERACTIVE | FORKS)
            assert os.waitstatus_to_exitcode(await child.ended) == code
            assert job.foreground() == job.agent, "it came back"

    job(check)


def test_the_terminal_comes_back_when_there_is_no_such_program(job):
    async def check(job: Job) -> None:
        child = job.conversation.spawn(_elsewhere("/nonexistent"), flags=INTERACTIVE | FORKS)
        await asyncio.wait([child.ended])
        await asyncio.to_thread(eventually, lambda: job.foreground() == job.agent)

    job(check)


def test_who_does_not_ask_for_it_does_not_get_it(job):
    async def check(job: Job) -> None:
        child = job.conversation.spawn(_elsewhere("/bin/sleep", "10"), flags=FORKS)
        await child.started
        assert job.foreground() == job.agent
        os.kill(child.pid, signal.SIGKILL)
        await child.ended

    job(check)


def test_it_stops_and_goes_on_as_one_job(job):
    """^Z stops the job that the shell knows, `fg` lets it go on, with the terminal again."""

    async def check(job: Job) -> None:
        child = job.conversation.spawn(
            _elsewhere("/bin/sh", "-c", "trap '' HUP; read line; exit 5"), flags=INTERACTIVE | FORKS
        )
        await child.started
        assert job.foreground() == child.pid
        for _ in range(2):
            # PID 1 of a namespace heeds no signal of its own terminal; from outside it is stopped all the same.
            os.kill(child.pid, signal.SIGSTOP)
            assert await job.said() == "stopped"
            await asyncio.to_thread(eventually, lambda: job.foreground() == job.leader.pid)
            os.write(job.terminal, b"fg\n")
            await asyncio.to_thread(eventually, lambda: job.foreground() == child.pid)
        os.write(job.terminal, b"line\n")
        assert os.waitstatus_to_exitcode(await child.ended) == 5
        assert job.foreground() == job.agent

    job(check)


def test_in_the_background_it_stays_without(job):
    async def check(job: Job) -> None:
        child = job.conversation.spawn(_elsewhere("/bin/sh", "-c", "exit 4"), flags=INTERACTIVE | FORKS)
        assert os.waitstatus_to_exitcode(await child.ended) == 4
        assert job.foreground() == job.leader.pid

    job(check, "background")
