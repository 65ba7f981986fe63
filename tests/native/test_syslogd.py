"""syslogd: what is logged arrives in /var/log/messages, as FreeBSD's daemon writes it."""

import fcntl
import os
import re
import signal
import socket
import stat
import sys
import termios
import time
from pathlib import Path

import pytest
from native_support import System, eventually, is_gone


def send(system: System, message: bytes, place: str = "/var/run/log", *, until_received: bool = False) -> None:
    """As syslog(3) does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        folder = os.open(system.path(place).parent, os.O_PATH)
        client.connect(f"/proc/self/fd/{folder}/{Path(place).name}")
        client.send(message)
        os.close(folder)
        if until_received:
            eventually(lambda: unread(client) == 0)


def unread(client: socket.socket) -> int:
    """How much of what a socket sent waits at the receiver, in bytes."""
    return int.from_bytes(fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def texts(system: System) -> list[str]:
    """What is logged, without time and host."""
    return [re.sub(r"^\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ ", "", line) for line in system.log()]


def test_it_listens_when_the_start_returns(system: System):
    done = system.daemon("syslogd", "-s", "-s")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for place in ("/var/run/log", "/dev/log"):
        status = system.path(place).stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o666, "whatever the umask"
    pid = system.pid("syslogd")
    assert system.path("/var/run/syslog.pid").read_text() == f"{pid}\n"
    if system.programs.emulator is None:
        assert Path(f"/proc/{pid}/comm").read_text() == "syslogd\n"
        assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"/usr/sbin/syslogd\0-s\0-s\0"
    assert os.getsid(pid) == pid
    assert os.readlink(f"/proc/{pid}/cwd") == str(system.root)


def test_a_line_has_the_time_in_utc_the_host_and_the_text(system: System):
    system.daemon("syslogd")
    before = time.time()
    send(system, b"<13>Feb 29 23:59:59 tag[12]: hello")
    eventually(system.log)
    after = time.time()
    stamps = {time.strftime("%b %e %H:%M:%S", time.gmtime(second)) for second in range(int(before), int(after) + 1)}
    host = os.uname().nodename.split(".")[0]
    assert system.log()[0] in {f"{stamp} {host} tag[12]: hello" for stamp in stamps}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"<13>Nov 23 07:00:00 a: b\n", "a: b"),
        (b"<191>Nov  3 07:00:00 a: b", "a: b"),
        (b"no header", "no header"),
        (b"<x>odd", "<x>odd"),
        (b"<13", "<13"),
        (b"<99999999999999>big", "<99999999999999>big"),
        (b"<13>Nov 23 07:00 a: b", "Nov 23 07:00 a: b"),
        (b"<13>two\nlines\0\0", "two lines"),
        (b"<13>tab\there bell\x07 del\x7f esc\x1b[0m", "tab\there bell^G del^? esc^[[0m"),
        ("<13>föö".encode(), "föö"),
        (b"<13>" + b"x" * 8000, "x" * 8000),
    ],
)
def test_messages(system: System, message: bytes, text: str):
    system.daemon("syslogd")
    send(system, b"<13>")
    send(system, b"")
    send(system, message, "/dev/log")
    eventually(system.log)
    assert texts(system) == [text]


def test_many_at_once_arrive_in_order(system: System):
    system.daemon("syslogd")
    for n in range(1000):
        send(system, f"<13>line {n}".encode())
    eventually(lambda: len(system.log()) == 1000)
    assert texts(system) == [f"line {n}" for n in range(1000)]


def test_programs_of_the_machine_log_to_it(system: System):
    system.daemon("syslogd")
    if not system.path("/usr/bin/logger").exists():
        pytest.skip("this machine has no logger(1)")
    done = system.run("logger", "-t", "tag", "-p", "daemon.notice", "by syslog(3)")
    assert done.returncode == 0, done.stderr
    eventually(system.log)
    assert texts(system) == ["tag: by syslog(3)"]


def test_hup_opens_the_file_anew(system: System):
    system.daemon("syslogd")
    send(system, b"<13>first")
    eventually(system.log)
    messages = system.path("/var/log/messages")
    messages.rename(messages.with_suffix(".0"))
    send(system, b"<13>second")
    eventually(lambda: "second" in messages.with_suffix(".0").read_text())
    assert not messages.exists()
    os.kill(system.pid("syslogd"), signal.SIGHUP)
    eventually(messages.exists)
    send(system, b"<13>third")
    eventually(lambda: texts(system) == ["third"])
    assert stat.S_IMODE(messages.stat().st_mode) == 0o644


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_at_its_end_it_takes_its_own_away(system: System, number: int):
    system.daemon("syslogd")
    send(system, b"<13>last words")
    pid = system.pid("syslogd")
    os.kill(pid, number)
    eventually(lambda: is_gone(pid))
    assert texts(system) == ["last words", f"syslogd: exiting on signal {int(number)}"]
    assert not system.path("/var/run/log").exists()
    assert not system.path("/dev/log").exists()
    assert not system.path("/var/run/syslog.pid").exists()


def test_at_its_end_it_leaves_what_is_anothers(system: System):
    """A jail that shares the directory may have put its own there meanwhile."""
    system.daemon("syslogd")
    pid = system.pid("syslogd")
    for path in ("/var/run/log", "/var/run/syslog.pid"):
        system.path(path).unlink()
        system.path(path).write_text("another's")
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: is_gone(pid))
    for path in ("/var/run/log", "/var/run/syslog.pid"):
        assert system.path(path).read_text() == "another's"


def test_a_second_one_does_not_start(system: System):
    system.daemon("syslogd")
    pid = system.pid("syslogd")
    done = system.daemon("syslogd")
    assert done.returncode == 1
    assert done.stderr == f"syslogd: syslogd already running, pid: {pid}\n"
    send(system, b"<13>still there")
    eventually(system.log)
    assert system.path("/var/run/syslog.pid").read_text() == f"{pid}\n"


def test_what_a_dead_one_left_is_taken_over(system: System):
    system.daemon("syslogd")
    system.end("syslogd", signal.SIGKILL)
    assert system.path("/var/run/log").exists()
    system.daemon("syslogd")
    send(system, b"<13>again")
    eventually(lambda: texts(system) == ["again"])


def test_one_place_is_enough(system: System):
    """In a jail whose /dev nothing can be made in, /var/run/log serves; and the other way round."""
    system.path("/dev/log").mkdir()
    system.path("/dev/log/taken").touch()
    assert system.daemon("syslogd").returncode == 0
    send(system, b"<13>one")
    eventually(system.log)
    system.end("syslogd")
    assert system.path("/dev/log/taken").exists()
    system.path("/var/run/log").write_text("a file, and no socket")
    done = system.daemon("syslogd")
    assert (done.returncode, done.stderr) == (1, "syslogd: can listen neither at /var/run/log nor at /dev/log\n")
    assert system.path("/var/run/log").read_text() == "a file, and no socket"


def test_without_a_place_for_the_log_nothing_stops(system: System):
    """A log directory that comes later, or a full disk, is no reason to end."""
    system.path("/var/log").rmdir()
    assert system.daemon("syslogd").returncode == 0
    send(system, b"<13>lost", until_received=True)
    time.sleep(0.1)
    system.path("/var/log").mkdir()
    send(system, b"<13>found")
    eventually(lambda: texts(system) == ["found"])
