"""Shells and commands at a terminal and in pipes: job control, keys, window sizes, exit codes, bytes as they are."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from types import TracebackType

import pytest
from sandbox import Result, Sandbox, interpreter

pytestmark = pytest.mark.real

LAB = "lab"
CONF = """\
j {
	path = /jails/j;
	host.hostname = j.example;
	vnet;
	mount.devfs;
	persist;
	allow.raw_sockets;
	exec.start = "ifconfig lo0 127.0.0.1/8";
}
"""
INTERRUPT, SUSPEND, END = "\x03", "\x1a", "\x04"
PATIENCE = 20.0


class Terminal:
    """`vjail WORDS` at a terminal of its own."""

    def __init__(self, box: Sandbox, *words: str) -> None:
        self._terminal, inside = os.openpty()
        self.resize(30, 100)
        # The session begins inside: one that began outside has no number there.
        line = box.command("setsid", "--ctty", "--wait", interpreter(), "-m", "vjail", *words)
        environ = {**box.environ, "TERM": "vt220"}
        self._process = subprocess.Popen(line, stdin=inside, stdout=inside, stderr=inside, env=environ)
        os.close(inside)
        self._read = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._terminal)
        self._process.wait(timeout=PATIENCE)

    def resize(self, rows: int, columns: int) -> None:
        """Give the window another size."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def keys(self, keys: str) -> None:
        """Press keys."""
        os.write(self._terminal, keys.encode())

    def until(self, pattern: str) -> str:
        """All that is shown until something matches, which is the end of it."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self._read)):
            assert select.select([self._terminal], [], [], deadline - time.monotonic())[0], self._read
            try:
                self._read += os.read(self._terminal, 4096).decode().replace("\r\n", "\n")
            except OSError:
                raise AssertionError(f"it ended: {self._read!r}") from None
        shown, self._read = self._read[: found.end()], self._read[found.end() :]
        return shown

    def type(self, line: str, prompt: str = r"[#$>] $") -> str:
        """Type a line; what it says until the prompt is there again."""
        self.keys(f"{line}\n")
        return self.until(prompt).partition("\n")[2].rpartition("\n")[0]

    def code(self) -> int:
        """Its exit code, at the end."""
        return self._process.wait(timeout=PATIENCE)


@pytest.fixture
def lab(box: Sandbox) -> Iterator[Sandbox]:
    """A sandbox with a lab that is up: one jail with a network of its own."""
    (box.folder / LAB).mkdir()
    (box.folder / LAB / "jail.conf").write_text(CONF)
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    yield box
    down = box.vjail("down", LAB)
    assert down.code == 0, down


def test_a_console_is_a_terminal_like_any_other(lab: Sandbox) -> None:
    with Terminal(lab, "console", "-p", LAB, "j") as terminal:
        assert re.fullmatch(r"root@j\S*:\S+ # ", terminal.until(r"# $"))
        assert terminal.type('echo "$TERM $HOME $USER"; stty size') == "vt220 /root root\n30 100"
        terminal.resize(50, 120)
        assert terminal.type("stty size") == "50 120"

        # An interrupt ends the command and leaves the shell, be the command vjail's own or a program.
        terminal.keys("ping 127.0.0.1\n")
        terminal.until("icmp_seq=0")
        terminal.keys(INTERRUPT)
        assert "1 packets transmitted, 1 packets received, 0.0% packet loss" in terminal.until(r"# $")
        terminal.keys("cat\nread\n")
        terminal.until("read\nread\n")
        terminal.keys(INTERRUPT)
        terminal.until(r"# $")
        assert terminal.type("echo $?") == "130"

        # Jobs are stopped, listed, brought to the front again.
        for command, keys, shown in (("cat", "a\n", "a\na\n"), ("ping -i 0.1 127.0.0.1", "", r"icmp_seq=\d+")):
            terminal.keys(f"{command}\n{keys}")
            terminal.until(shown)
            terminal.keys(SUSPEND)
            terminal.until(r"# $")
            assert re.search(f"(Stopped|Suspended).*{command}", terminal.type("jobs"))
            terminal.keys("fg\n")
            terminal.until(f"\n{command}\n")
            terminal.keys(keys)
            terminal.until(shown)
            terminal.keys(INTERRUPT)
            terminal.until(r"# $")
        terminal.keys("exit 3\n")
        assert terminal.code() == 3


def test_the_end_of_input_ends_a_shell(lab: Sandbox) -> None:
    with Terminal(lab, "shell", "-p", LAB) as terminal:
        assert re.fullmatch(r"root@fbsd:\S+ # ", terminal.until(r"# $"))
        assert terminal.type("jexec j sh -c 'stty size; exit 4'; echo $?") == "30 100\n4"
        terminal.keys("cat\n")
        terminal.keys("a line\n")
        terminal.until("a line\na line\n")
        terminal.keys(END)
        terminal.until(r"# $")
        terminal.type("(exit 5)")
        terminal.keys(END)
        assert terminal.code() == 5


def test_a_command_at_a_terminal(lab: Sandbox) -> None:
    with Terminal(lab, "exec", "-p", LAB, "j", "ping", "127.0.0.1") as terminal:
        terminal.until("icmp_seq=0")
        terminal.keys(INTERRUPT)
        terminal.until("round-trip")
        assert terminal.code() == 0
    with Terminal(lab, "exec", "-p", LAB, "j", "sh", "-c", "echo; exec cat") as terminal:
        terminal.until("\n")
        terminal.keys(INTERRUPT)
        assert terminal.code() == 130


WORDS = (
    (("shell",), "echo $0; hostname\nexit 3\n", "/bin/sh\nfbsd\n", "", 3),
    (("shell",), "", "", "", 0),
    (("shell", "-c", "echo one; false"), None, "one\n", "", 1),
    (("console", "j"), "hostname\nexit 9", "j.example\n", "", 9),
    (("exec", "j", "cat"), "no newline", "no newline", "", 0),
    (
        ("exec", "j", "sh", "-c", 'printf "<%s>" "$@"', "sh", "a  b", "", "*", "-v", "$HOME"),
        None,
        "<a  b><><*><-v><$HOME>",
        "",
        0,
    ),
    (("exec", "j", "--", "echo", "--", "-n"), None, "-- -n\n", "", 0),
    (("exec", "j", "ls", "-p", "/etc/passwd"), None, "/etc/passwd\n", "", 0),
    (
        ("exec", "j", "nosuch"),
        None,
        "",
        "vjail: j: nosuch: No such file or directory; is it in the jail's base? `vjail base` makes one\n",
        127,
    ),
    (("exec", "j", "/etc/passwd"), None, "", "vjail: j: /etc/passwd: Permission denied\n", 126),
    (("exec", "j", "sh", "-c", "kill -TERM $$"), None, "", "", 143),
    (("exec", "j", "sh", "-c", "kill -KILL $$"), None, "", "", 137),
    (("exec", "j", "ifconfig", "-l"), None, "lo0\n", "", 0),
    (("exec", "j", "ifconfig", "em0"), None, "", "ifconfig: interface em0 does not exist\n", 1),
    (("exec", "1", "hostname"), None, "j.example\n", "", 0),
    (("exec", "fbsd:j", "sh", "-c", "hostname; pwd"), None, "j.example\n/\n", "", 0),
)


def test_words_pipes_and_codes(lab: Sandbox) -> None:
    for (command, *words), given, out, err, code in WORDS:
        done = lab.vjail(command, "-p", LAB, *words, input=given)
        assert done == Result(code, out, err), words


def test_megabytes_go_both_ways_unchanged(lab: Sandbox) -> None:
    data = os.urandom(1 << 20) * 4 + b"\r\n\0\xff\x03\x04\x1a"
    line = lab.command(interpreter(), "-m", "vjail", "exec", "-p", LAB, "j", "cat")
    done = subprocess.run(line, input=data, capture_output=True, env=lab.environ, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_who_reads_no_more_and_who_was_never_there(lab: Sandbox) -> None:
    vjail = f"{interpreter()} -m vjail exec -p {LAB} j"
    assert lab.run("sh", "-c", f"{vjail} yes | head -1") == Result(0, "y\n", "")
    assert (
        lab.run("sh", "-c", f"{vjail} cat <&-; {vjail} echo said nowhere >&-; {vjail} nosuch 2>&-; echo $?").out
        == "127\n"
    )


def test_a_signal_reaches_the_command(lab: Sandbox) -> None:
    started = lab.start(interpreter(), "-m", "vjail", "exec", "-p", LAB, "j", "sh", "-c", "echo $$; exec sleep 100")
    assert started.stdout is not None
    started.stdout.readline()
    lab.kill(started, signal.SIGTERM)
    assert lab.vjail("exec", "-p", LAB, "j", "ps", "-ax").out.count("sleep") == 0
