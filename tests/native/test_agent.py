"""The agent: programs of system calls that it runs, and the conversations that tell of them."""

import asyncio
import errno
import os
import resource
import signal
import socket
import struct
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from native_support import Programs, eventually, is_gone

from vjail.kernel.linux import program as program_module
from vjail.kernel.linux.conversation import (
    DETACHED,
    FORKS,
    INTERACTIVE,
    Child,
    Conversation,
    ConversationClosed,
    ProgramError,
)
from vjail.kernel.linux.program import Fd, Program, Record, Register, Strings
from vjail.kernel.linux.syscalls import CLONE_NEWPID, CLONE_NEWUSER, CLONE_PARENT

CLOSE_RANGE_CLOEXEC = 4
ENVIRON = Strings(["PATH=/bin:/usr/bin"])


class Session:
    """An agent in a conversation that was begun for it, as a command's is; its streams are pipes."""

    def __init__(self, process: subprocess.Popen[bytes], conversation: Conversation) -> None:
        self.process = process
        self.conversation = conversation
        self.messages: list[tuple[bytes, bytes]] = []

    async def message(self, letter: bytes) -> bytes:
        """The next message of that kind which is no child's."""
        for _ in range(1000):
            for i, (found, body) in enumerate(self.messages):
                if found == letter:
                    del self.messages[i]
                    return body
            if self.conversation.closed.done():
                break
            await asyncio.sleep(0.01)
        raise AssertionError(f"no message {letter!r}; there were {self.messages!r}")

    async def output(self) -> bytes:
        """Everything it wrote, once it has ended."""
        assert self.process.stdout is not None
        return await asyncio.to_thread(self.process.stdout.read)

    async def status(self) -> int:
        return await asyncio.to_thread(self.process.wait, 10)


@pytest.fixture(autouse=True)
def numbers(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are made for the machine of the agent that runs them."""
    monkeypatch.setattr(program_module, "MACHINE", programs.machine)


@pytest.fixture
def talk(programs: Programs, tmp_path: Path) -> Callable[[Callable[[Session], Awaitable[None]]], None]:
    """Run a coroutine with a session."""

    def run(action: Callable[[Session], Awaitable[None]]) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            # An emulator does not give a program the name it is called by, so it is called by its own.
            agent = tmp_path / "vjail-agent"
            agent.symlink_to(programs.path("agent"))
            process = subprocess.Popen(
                [*([programs.emulator] if programs.emulator else []), agent, "session", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env={"PATH": "/bin:/usr/bin"},
            )
            theirs.close()
            messages: list[tuple[bytes, bytes]] = []
            conversation = Conversation(ours, on_message=lambda letter, body: messages.append((letter, body)))
            session = Session(process, conversation)
            session.messages = messages
            try:
                await asyncio.wait_for(action(session), 60)
            finally:
                conversation.close()
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout):
                    if stream is not None and not stream.closed:
                        stream.close()

        asyncio.run(main())

    return run


def shell(script: str) -> Program:
    """A program that becomes a shell with this script."""
    program = Program()
    program.call("execve", "/bin/sh", Strings(["sh", "-c", script]), ENVIRON)
    return program


async def ended(child: Child) -> int:
    """The exit code, negative for a signal."""
    code = os.waitstatus_to_exitcode(await child.ended)
    child.close()
    return code


# --- one program ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9)])
def test_a_program_becomes_its_executable_and_its_end_is_told(talk, script, code):
    async def check(session: Session) -> None:
        child = session.conversation.spawn(shell(script))
        await child.started
        assert child.pidfd >= 0
        assert await ended(child) == code

    talk(check)


def test_a_program_that_only_ends(talk):
    async def check(session: Session) -> None:
        program = Program()
        program.exit(7)
        child = session.conversation.spawn(program)
        assert await ended(child) == 7

    talk(check)


@pytest.mark.parametrize(
    ("steps", "name", "code"),
    [
        ([("chdir", "/"), ("chdir", "/nonexistent")], "chdir", errno.ENOENT),
        ([("chdir", "/"), ("execve", "/nonexistent", None, None)], "execve", errno.ENOENT),
        ([("close", 999)], "close", errno.EBADF),
        ([("execve", "/etc/passwd", Strings(["x"]), Strings([]))], "execve", errno.EACCES),
    ],
)
def test_the_step_that_failed_is_named(talk, steps, name, code):
    async def check(session: Session) -> None:
        program = Program()
        for step in steps:
            program.call(*step)
        child = session.conversation.spawn(program)
        with pytest.raises(ProgramError) as failure:
            await child.started
        assert (failure.value.step, failure.value.code) == (name, code)
        with pytest.raises(ProgramError):
            await child.ended

    talk(check)


def test_a_step_that_may_fail(talk):
    async def check(session: Session) -> None:
        program = Program()
        program.call("chdir", "/nonexistent", may_fail=True)
        program.call("execve", "/bin/sh", Strings(["sh", "-c", "exit 4"]), ENVIRON)
        assert await ended(session.conversation.spawn(program)) == 4

    talk(check)


def test_results_are_arguments_of_later_steps(talk, tmp_path):
    """A descriptor opened in one step is written to in another; structures are passed by address."""

    async def check(session: Session) -> None:
        program = Program()
        program.call("openat", -100, str(tmp_path / "file"), os.O_WRONLY | os.O_CREAT, 0o600, to=3)
        program.call("write", Register(3), b"by address", 10)
        program.call("prlimit64", 0, resource.RLIMIT_CORE, Record(struct.pack("=QQ", 1024, 4096)), None)
        program.call("execve", "/bin/sh", Strings(["sh", "-c", f"ulimit -c >{tmp_path}/limit"]), ENVIRON)
        assert await ended(session.conversation.spawn(program)) == 0
        assert (tmp_path / "file").read_bytes() == b"by address"
        assert (tmp_path / "limit").read_text() == "2\n", "in blocks of 512 bytes"

    talk(check)


def test_structures_with_addresses_in_them(talk, programs, tmp_path, monkeypatch):
    """As writev(2) takes them: addresses and sizes, and what they lead to."""
    monkeypatch.setitem(
        program_module.MACHINES[programs.machine], "writev", {"x86_64": 20, "aarch64": 66}[programs.machine]
    )

    async def check(session: Session) -> None:
        program = Program()
        program.call("openat", -100, str(tmp_path / "file"), os.O_WRONLY | os.O_CREAT, 0o600, to=3)
        pieces = Record(struct.pack("=QQQQ", 0, 3, 0, 4), ((0, b"one"), (16, b"-two")))
        program.call("writev", Register(3), pieces, 2)
        program.exit(0)
        assert await ended(session.conversation.spawn(program)) == 0
        assert (tmp_path / "file").read_bytes() == b"one-two"

    talk(check)


def test_descriptors_come_along(talk):
    async def check(session: Session) -> None:
        read, write = os.pipe()
        other_read, other_write = os.pipe()
        program = Program()
        program.call("dup3", Fd(write), 1, 0)
        program.call("dup3", Fd(other_write), 2, 0)
        program.call("close_range", 3, 0xFFFF_FFFF, CLOSE_RANGE_CLOEXEC)
        program.call("execve", "/bin/sh", Strings(["sh", "-c", "echo out; echo err >&2; ls /proc/self/fd"]), ENVIRON)
        child = session.conversation.spawn(program)
        os.close(write)
        os.close(other_write)
        await child.started
        with open(read, "rb") as out, open(other_read, "rb") as err:
            lines = (await asyncio.to_thread(out.read)).split()
            assert lines[0] == b"out"
            assert await asyncio.to_thread(err.read) == b"err\n"
        assert lines[1:] == [b"0", b"1", b"2", b"3"], "nothing of the agent's own (3 is ls's)"
        assert await ended(child) == 0

    talk(check)


# --- processes of a program -------------------------------------------------------------------------------------------


def test_reports_and_waits(talk):
    """A program tells how far it is, and waits for the word to go on."""

    async def check(session: Session) -> None:
        program = Program()
        program.call("getpid", to=2)
        first = program.report(Register(2))
        program.wait()
        second = program.report(42)
        program.exit(5)
        child = session.conversation.spawn(program)
        step, value, pid = await child.reported()
        assert step == first
        assert value == pid
        assert not child.ended.done()
        session.conversation.proceed(child)
        assert await child.reported() == (second, 42, pid)
        assert await ended(child) == 5

    talk(check)


def test_a_waiting_program_ends_with_its_agent(talk):
    async def check(session: Session) -> None:
        program = Program()
        program.report()
        program.wait()
        program.exit(0)
        child = session.conversation.spawn(program)
        _, _, pid = await child.reported()
        session.process.kill()
        session.process.wait()
        await asyncio.to_thread(eventually, lambda: is_gone(pid))
        with pytest.raises(ConversationClosed):
            await child.ended

    talk(check)


def test_a_failure_after_a_report_is_told_to_who_waits_for_another(talk):
    async def check(session: Session) -> None:
        program = Program()
        program.report()
        program.wait()
        program.call("chdir", "/nonexistent")
        program.report()
        child = session.conversation.spawn(program)
        await child.reported()
        waiting = asyncio.ensure_future(child.reported())
        await asyncio.sleep(0)
        session.conversation.proceed(child)
        with pytest.raises(ProgramError, match="chdir: No such file or directory"):
            await waiting

    talk(check)


def test_the_process_that_matters_may_be_a_grandchild(talk, programs):
    """With CLONE_PARENT it becomes the agent's own child, so that its end is told (jails are entered so)."""
    if programs.emulator:
        pytest.skip("the emulator refuses CLONE_PARENT")

    async def check(session: Session) -> None:
        program = Program()
        fork = program.fork(CLONE_PARENT)
        reported = program.report(9)
        program.call("execve", "/bin/sh", Strings(["sh", "-c", "exit 6"]), ENVIRON)
        program.parent_goes_on(fork)
        program.exit(0)
        child = session.conversation.spawn(program, flags=FORKS)
        step, value, pid = await child.reported()
        assert (step, value) == (reported, 9)
        await child.started
        assert child.pid == pid
        assert await ended(child) == 6

    talk(check)


def sends(pid: int) -> bool | None:
    """Whether a process waits for room to send in, or for something to come (False); None: neither yet."""
    waits = Path(f"/proc/{pid}/wchan").read_text()
    return True if "sock_alloc_send" in waits else False if "poll" in waits else None


def test_a_grandchild_may_report_itself_and_end_while_the_agent_is_held_up(talk, programs, tmp_path):
    """Between finding that nobody has said anything and looking who has ended, a busy machine may let much happen."""
    if programs.emulator:
        pytest.skip("the emulator refuses CLONE_PARENT")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    async def check(session: Session) -> None:
        conversation, agent = session.conversation, session.process.pid

        async def settled() -> bool:
            while (found := sends(agent)) is None:
                await asyncio.sleep(0.001)
            return found

        async def asked() -> bool:
            """Have it answer that there is no more input; whether that finds no room."""
            conversation.ask_input()
            await asyncio.sleep(0.005)
            return await settled()

        program = Program()
        fork = program.fork(CLONE_PARENT)
        program.call("openat", -100, str(fifo), os.O_RDONLY)
        program.report()
        program.call("execve", "/bin/sh", Strings(["sh", "-c", "exit 6"]), ENVIRON)
        program.parent_goes_on(fork)
        program.exit(0)
        child = conversation.spawn(program, flags=FORKS)
        children = Path(f"/proc/{agent}/task/{agent}/children")
        await asyncio.to_thread(eventually, lambda: len(children.read_text().split()) == 1)
        (grandchild,) = children.read_text().split()

        # So many answers that just one more finds no room: counted, taken, and given again.
        session.process.stdin.close()
        loop = asyncio.get_running_loop()
        loop.remove_reader(conversation._socket.fileno())
        room = 0
        while not await asked():
            room += 1
        conversation._readable()
        while await settled() or len(session.messages) <= room:
            conversation._readable()
        for _ in range(room):
            assert not await asked()
        session.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(eventually, lambda: sends(agent))
        with open(fifo, "w"):
            await asyncio.to_thread(eventually, lambda: is_gone(int(grandchild)))

        loop.add_reader(conversation._socket.fileno(), conversation._readable)
        await session.message(b"S")
        assert await asyncio.wait_for(ended(child), 30) == 6

    talk(check)


def test_a_fork_whose_parent_goes_on(talk, tmp_path):
    async def check(session: Session) -> None:
        program = Program()
        fork = program.fork()
        program.call("chdir", str(tmp_path))
        program.call("execve", "/bin/sh", Strings(["sh", "-c", "echo child >child"]), ENVIRON)
        program.parent_goes_on(fork)
        program.call("chdir", "/")
        program.call("execve", "/bin/sh", Strings(["sh", "-c", f"echo parent >{tmp_path}/parent; exit 2"]), ENVIRON)
        assert await ended(session.conversation.spawn(program)) == 2
        await asyncio.to_thread(eventually, (tmp_path / "child").exists)

    talk(check)


@pytest.mark.parametrize("ends", [True, False])
def test_an_init_reaps_and_ends_with_the_last_other(talk, programs, tmp_path, ends):
    if programs.emulator:
        pytest.skip("the emulator refuses CLONE_NEWPID")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    async def check(session: Session) -> None:
        program = Program()
        fork = program.fork(CLONE_NEWPID | (CLONE_NEWUSER if os.geteuid() else 0) | CLONE_PARENT)
        program.report()
        second = program.fork()
        # An orphan of an orphan, which PID 1 inherits.
        program.call("execve", "/bin/sh", Strings(["sh", "-c", f"(read line <{fifo} &) ; exit 1"]), ENVIRON)
        program.parent_goes_on(second)
        program.init(ends_when_empty=ends)
        program.parent_goes_on(fork)
        program.exit(0)
        child = session.conversation.spawn(program, flags=FORKS)
        _, _, pid = await child.reported()
        await child.started
        await asyncio.sleep(0.15)
        assert not child.ended.done()
        # The orphan opens it to read, or comes to that; it reads that there is nothing, and ends.
        await asyncio.to_thread(fifo.write_text, "")
        if ends:
            assert await ended(child) == 0
        else:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            await asyncio.to_thread(eventually, lambda: not children.read_text())
            await asyncio.sleep(0.1)
            assert not child.ended.done()
            os.kill(pid, signal.SIGKILL)
            assert await ended(child) == -9

    talk(check)


def test_a_detached_program_is_let_go(talk, tmp_path):
    async def check(session: Session) -> None:
        child = session.conversation.spawn(shell(f"sleep 0.2; echo done >{tmp_path}/done"), flags=DETACHED)
        await child.started
        assert await ended(session.conversation.spawn(shell("exit 0"))) == 0
        await asyncio.to_thread(eventually, (tmp_path / "done").exists)
        assert not child.ended.done()
        child.close()

    talk(check)


def test_signals_reach_a_program(talk, tmp_path):
    ready = tmp_path / "ready"

    async def check(session: Session) -> None:
        script = f"trap 'exit 12' USR1; >{ready}; while :; do sleep 0.05; done"
        child = session.conversation.spawn(shell(script))
        await asyncio.to_thread(eventually, ready.exists)
        session.conversation.kill(child, signal.SIGUSR1)
        assert await ended(child) == 12

    talk(check)


def test_many_at_once(talk):
    """Each gets its own end, in whatever order they end."""

    async def check(session: Session) -> None:
        children = [session.conversation.spawn(shell(f"exit {n % 50}")) for n in range(300)]
        assert [await ended(child) for child in children] == [n % 50 for n in range(300)]
        assert await ended(session.conversation.spawn(shell("exit 1"))) == 1

    talk(check)


def test_more_than_descriptors_allow_are_refused_and_the_others_go_on(talk, programs):
    if programs.emulator:
        pytest.skip("the emulator needs descriptors of its own")

    async def check(session: Session) -> None:
        limit, _ = resource.prlimit(session.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(session.process.pid, resource.RLIMIT_NOFILE, (64, limit))
        program = Program()
        program.report()
        program.wait()
        program.exit(0)
        children = [session.conversation.spawn(_same(program)) for _ in range(100)]
        results = await asyncio.gather(*(child.reported() for child in children), return_exceptions=True)
        refused = [result for result in results if isinstance(result, ProgramError)]
        assert 0 < len(refused) < 100
        assert {error.code for error in refused} == {errno.EMFILE}
        for child, result in zip(children, results, strict=True):
            if not isinstance(result, ProgramError):
                session.conversation.proceed(child)
                assert await ended(child) == 0
        assert await ended(session.conversation.spawn(shell("exit 8"))) == 8

    talk(check)


def _same(program: Program) -> Program:
    return Program(list(program.steps), [], list(program.names))


# --- a conversation ---------------------------------------------------------------------------------------------------


def test_output_arrives_whole_and_in_order(talk):
    async def check(session: Session) -> None:
        text = b"".join(b"%07d\n" % n for n in range(200_000))
        reading = asyncio.ensure_future(session.output())
        for at in range(0, len(text), 100_001):
            session.conversation.write(1, text[at : at + 100_001])
        session.conversation.exit(0)
        await session.conversation.drain()
        assert await reading == text
        assert await session.status() == 0

    talk(check)


def test_output_of_the_session_and_of_a_program_keep_their_order(talk):
    async def check(session: Session) -> None:
        reading = asyncio.ensure_future(session.output())
        for n in range(5):
            session.conversation.write(1, b"before %d\n" % n)
            assert await ended(session.conversation.spawn(shell(f"echo during {n}"))) == 0
            session.conversation.write(1, b"after %d\n" % n)
        session.conversation.exit(0)
        assert await reading == b"".join(b"before %d\nduring %d\nafter %d\n" % (n, n, n) for n in range(5))

    talk(check)


def test_a_reader_that_has_gone_is_told_of(talk):
    """As SIGPIPE would: the command on the server's side decides."""

    async def check(session: Session) -> None:
        assert session.process.stdout is not None
        session.process.stdout.close()
        session.conversation.write(1, b"to nobody")
        assert struct.unpack("=I", await session.message(b"S")) == (signal.SIGPIPE,)
        session.conversation.exit(0, signal.SIGPIPE)
        assert await session.status() == -signal.SIGPIPE

    talk(check)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_of_the_session_are_told(talk, number):
    async def check(session: Session) -> None:
        assert await ended(session.conversation.spawn(shell("exit 0"))) == 0
        session.process.send_signal(number)
        assert struct.unpack("=I", await session.message(b"S")) == (number,)
        session.conversation.exit(1, number)
        assert await session.status() == -number

    talk(check)


def test_signals_sent_to_it_alone_are_told_also_while_a_program_is_interactive(talk):
    """Those of the terminal, which reach the program as well, are not: tests/real/test_signals.py has one."""

    async def check(session: Session) -> None:
        child = session.conversation.spawn(shell("read line; exit 0"), flags=INTERACTIVE)
        await child.started
        for number in (signal.SIGINT, signal.SIGTERM):
            session.process.send_signal(number)
            assert struct.unpack("=I", await session.message(b"S")) == (number,)
        assert session.messages == []
        assert session.process.stdin is not None
        session.process.stdin.write(b"line\n")
        session.process.stdin.flush()
        assert await ended(child) == 0

    talk(check)


def test_input_is_read_when_it_is_asked_for(talk):
    async def check(session: Session) -> None:
        assert session.process.stdin is not None
        session.process.stdin.write(b"some")
        session.process.stdin.flush()
        session.conversation.ask_input()
        assert await session.message(b"I") == b"some"
        session.process.stdin.close()
        session.conversation.ask_input()
        assert await session.message(b"I") == b""

    talk(check)


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_the_exit_code_is_what_it_is_told(talk, code):
    async def check(session: Session) -> None:
        session.conversation.exit(code)
        assert await session.status() == code
        await session.conversation.closed

    talk(check)


def test_without_a_server_it_says_so_and_ends(talk):
    async def check(session: Session) -> None:
        session.conversation.close()
        assert await session.status() == 1

    talk(check)


@pytest.mark.parametrize("size", [1, 1000, 100_000, 190_000])
def test_programs_up_to_the_size_of_a_message(talk, size):
    """A long environment: as one string, and as many."""

    async def check(session: Session) -> None:
        for strings in ([f"A={'x' * min(size, 100_000)}"], [f"V{n}=y" for n in range(size // 20)]):
            program = Program()
            program.call("execve", "/bin/sh", Strings(["sh", "-c", "exit 3"]), Strings(strings))
            if len(program.encode()) < 200_000:
                assert await ended(session.conversation.spawn(program)) == 3

    talk(check)


def test_a_program_that_is_cut_short_does_not_run(talk):
    """What a message says of its own size is compared with the message."""

    async def check(session: Session) -> None:
        whole = shell("exit 0").encode()
        for cut in (17, len(whole) // 2, len(whole) - 1):
            child = session.conversation.spawn(_Raw(whole[:cut]))
            assert await ended(child) == 125
        assert await ended(session.conversation.spawn(shell("exit 2"))) == 2

    talk(check)


def test_a_program_too_large_for_a_message_fails_alone(talk):
    """A caller's environment may be of any size; nobody else's conversation must end by it."""

    async def check(session: Session) -> None:
        large = Program()
        large.call("execve", "/bin/sh", Strings(["sh", "-c", "exit 3"]), Strings(["A=" + "x" * 300_000]))
        child = session.conversation.spawn(large)
        with pytest.raises(ProgramError):
            await child.started
        assert await ended(session.conversation.spawn(shell("exit 2"))) == 2

    talk(check)


class _Raw(Program):
    """A program that is these bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._raw = data
        self.names.append("raw")

    def encode(self) -> bytes:
        return self._raw


# --- a command --------------------------------------------------------------------------------------------------------


def test_a_command_without_a_server_says_what_to_do(programs, tmp_path):
    if programs.emulator:
        pytest.skip("the emulator does not give a program the name it is called by")
    (tmp_path / "ifconfig").symlink_to(programs.path("agent"))
    done = subprocess.run(
        ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-n", tmp_path / "ifconfig", "lo0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "ifconfig: the lab's server does not answer; on the machine itself, `vjail ls` starts it again\n",
    )


def test_wrong_words(programs, tmp_path):
    agent = tmp_path / "vjail-agent"
    agent.symlink_to(programs.path("agent"))
    argv = [*([programs.emulator] if programs.emulator else []), agent, "nonsense"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (64, "usage: vjail-agent anchor | session FD\n")
