"""ps: what was recorded on FreeBSD 13.2, then its selections, orders and columns."""

import calendar
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from vjail.command.ps import USAGE, ps
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Jail
from vjail.session import ProcessInfo, Session, run_named

RECORDINGS = Path(__file__).parent.parent / "data" / "freebsd-13.2"
NOW = calendar.timegm((2026, 11, 22, 8, 32, 41))
MEBIBYTE = 1 << 20

PLAIN = ProcessInfo(
    pid=1,
    ppid=0,
    jid=0,
    name="init",
    command=("/sbin/init",),
    uid=0,
    user="root",
    tty=None,
    state="ILs",
    start=NOW - 100,
    time=0.0,
    rss=MEBIBYTE,
    vsz=12 * MEBIBYTE,
)


class Machine:
    """As much of a Session as ps sees."""

    def __init__(
        self,
        line: str,
        processes: Sequence[ProcessInfo],
        jails: Mapping[str, int],
        environ: Mapping[str, str],
        uid: int,
        passwd: str | None,
        memory: int | None,
    ) -> None:
        self.argv = line.split()
        self.environ = environ
        self.uid = uid
        self.files = self
        self.system = self
        self.output = ""
        self.errors = ""
        self._processes = processes
        self._jails = jails
        self._passwd = passwd
        self._memory = memory

    def out(self, text: str) -> None:
        self.output += text

    def err(self, text: str) -> None:
        self.errors += text

    def time(self) -> float:
        return NOW + 0.5

    def processes(self) -> Sequence[ProcessInfo]:
        return self._processes

    def jails(self) -> Sequence[Jail]:
        return [Jail(jid, name, "/", False, 0) for name, jid in self._jails.items()]

    def sysctl(self, name: str) -> Sequence[tuple[str, str]]:
        assert name == "hw.physmem"
        if self._memory is None:
            raise KernelError(Errno.ENOENT)
        return [(name, str(self._memory))]

    def read(self, path: str) -> bytes:
        if path != "/etc/passwd" or self._passwd is None:
            raise KernelError(Errno.ENOENT)
        return self._passwd.encode()


@dataclass
class Outcome:
    code: int
    out: str
    err: str


def run(
    line: str,
    processes: Sequence[ProcessInfo] = (),
    *,
    jails: Mapping[str, int] | None = None,
    environ: Mapping[str, str] | None = None,
    uid: int = 0,
    passwd: str | None = None,
    memory: int | None = 1000 * MEBIBYTE,
) -> Outcome:
    machine = Machine(line, processes, jails or {}, environ or {}, uid, passwd, memory)
    code = run_named(cast(Session, machine), ps)
    return Outcome(code, machine.output, machine.errors)


def recorded(name: str, command: str) -> tuple[str, int]:
    """What a recording shows of a command: its output (errors marked `2> `) and exit code."""
    text = (RECORDINGS / name).read_text()
    found = re.search(rf"^# {re.escape(command)}\n(.*?)^\[exit (\d+)\]$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1], int(found[2])


def test_recorded_jail_that_is_not_there() -> None:
    out, code = recorded("observed/b1_two_jails.txt", "ps axo jid,pid,command -J jail_01")
    outcome = run("ps axo jid,pid,command -J jail_01", [PLAIN])
    assert (outcome.out, f"2> {outcome.err}", outcome.code) == ("", out, code)


def test_recorded_jail_without_processes() -> None:
    out, code = recorded("observed/b2_service_jail.txt", "ps axo jid,pid,command -J jail_01")
    outcome = run("ps axo jid,pid,command -J jail_01", [PLAIN], jails={"jail_01": 20})
    assert (outcome.out, outcome.err, outcome.code) == (out, "", code)


def test_recorded_host() -> None:
    out, code = recorded("observed/b1_two_jails.txt", "ps -J 0 -axo jid,pid,comm")
    rows = [line.split(None, 2) for line in out.splitlines()[1:]]
    terminals = iter(["ttyu0", *(f"ttyv{number}" for number in range(8))])
    processes = [
        replace(PLAIN, pid=int(pid), name=name, tty=next(terminals) if name == "getty" else None)
        for _, pid, name in rows
    ]
    in_jail = replace(PLAIN, pid=9, jid=3)
    outcome = run("ps -J 0 -axo jid,pid,comm", [*reversed(processes), in_jail])
    assert (outcome.out, outcome.err, outcome.code) == (out, "", code)
    assert len(rows) > 20


def test_recorded_inside_a_jail() -> None:
    out, code = recorded("observed/b2_service_jail.txt", "jexec jail_01 ps ax")
    itself = replace(PLAIN, pid=5023, jid=20, name="ps", command=("ps", "ax"), state="RJ", time=0.14)
    outcome = run("ps ax", [itself])
    assert (outcome.out, outcome.err, outcome.code) == (out, "", code)


def test_recorded_names() -> None:
    out, code = recorded("replay/documents-A1.txt", "jexec jail_01 sh -c 'ps -axo comm | sort -u | head -20'")
    names = ["syslogd", "cron", "sh", "ps", "sort", "cron"]
    outcome = run("ps -axo comm", [replace(PLAIN, pid=pid, name=name) for pid, name in enumerate(names)])
    assert outcome.out.splitlines() == ["COMMAND", *names]
    assert sorted(set(outcome.out.splitlines())) == out.splitlines()
    assert outcome.code == code


INIT = PLAIN
SHELL = replace(
    PLAIN, pid=70, ppid=1, name="sh", command=("-sh",), tty="pts/0", state="Is+", start=NOW - 200000, time=1.5
)
WEB = replace(
    PLAIN,
    pid=1200,
    ppid=1,
    jid=2,
    name="nginx",
    command=("/usr/local/sbin/nginx", "-g", "daemon off;"),
    uid=80,
    user="www",
    state="SJ",
    start=NOW - 50,
    time=25.004,
    rss=100 * MEBIBYTE,
    vsz=205 * MEBIBYTE + 1023,
)
KERNEL = replace(
    PLAIN, pid=12, name="intr", command=(), state="WL", time=3600 * 100, start=NOW - 8 * 86400, rss=0, vsz=0
)
ALL = [WEB, SHELL, KERNEL, INIT]


@pytest.mark.parametrize(
    ("line", "out"),
    [
        (
            "ps ax",
            """\
 PID TT  STAT       TIME COMMAND
   1  -  ILs     0:00.00 /sbin/init
  12  -  WL   6000:00.00 [intr]
1200  -  SJ      0:25.00 /usr/local/sbin/nginx -g daemon off;
  70  0  Is+     0:01.50 -sh (sh)
""",
        ),
        (
            "ps",
            """\
PID TT  STAT    TIME COMMAND
 70  0  Is+  0:01.50 -sh (sh)
""",
        ),
        (
            "ps aux",
            """\
USER  PID %CPU %MEM    VSZ    RSS TT  STAT STARTED       TIME COMMAND
root   12 52.1  0.0      0      0  -  WL   14Nov26 6000:00.00 [intr]
www  1200 49.5 10.0 209920 102400  -  SJ   08:31      0:25.00 /usr/local/sbin/nginx -g daemon off;
root   70  0.0  0.1  12288   1024  0  Is+  Fri00      0:01.50 -sh (sh)
root    1  0.0  0.1  12288   1024  -  ILs  08:31      0:00.00 /sbin/init
""",
        ),
        (
            "ps -axo pid,ppid,jid,uid,tty,lstart",
            """\
 PID PPID JID UID TTY   STARTED
   1    0   0   0 -     Sun Nov 22 08:31:01 2026
  12    0   0   0 -     Sat Nov 14 08:32:41 2026
1200    1   2  80 -     Sun Nov 22 08:31:51 2026
  70    1   0   0 pts/0 Fri Nov 20 00:59:21 2026
""",
        ),
        (
            "ps -p 1200 -o command,args,stat",
            """\
COMMAND          COMMAND          STAT
/usr/local/sbin/ /usr/local/sbin/ SJ
""",
        ),
        ("ps -c -p 1200 -o command,comm,pid", "COMMAND COMMAND  PID\nnginx   nginx   1200\n"),
        ("ps -c -p 1200 -o args,pid", "COMMAND           PID\n/usr/local/sbin/ 1200\n"),
        ("ps -A -c -o comm,pid -J 2", "COMMAND  PID\nnginx   1200\n"),
        (
            "ps -p 1200 -O user",
            """\
 PID USER TT  STAT    TIME COMMAND
1200 www   -  SJ   0:25.00 /usr/local/sbin/nginx -g daemon off;
""",
        ),
        ("ps 1 -o pid", "PID\n  1\n"),
        (
            "ps 1200,1",
            """\
 PID TT  STAT    TIME COMMAND
   1  -  ILs  0:00.00 /sbin/init
1200  -  SJ   0:25.00 /usr/local/sbin/nginx -g daemon off;
""",
        ),
        ("ps -o pid 1200 1", " PID\n   1\n1200\n"),
        ("ps -J 2 -o pid", " PID\n1200\n"),
        ("ps -J web -o pid", " PID\n1200\n"),
        ("ps -J 2 -X -o pid", "PID\n"),
        ("ps -U www -o pid", " PID\n1200\n"),
        ("ps -U 80,root -o pid", " PID\n   1\n  12\n1200\n  70\n"),
        ("ps -J 2 -p 1 -o pid", " PID\n   1\n1200\n"),
        ("ps -CSg -x -o pid", "PID\n  1\n 12\n 70\n"),
        ("ps -x -o pid", "PID\n  1\n 12\n 70\n"),
        ("ps -a -o pid", "PID\n 70\n"),
        ("ps -A -m -o pid,vsz", " PID    VSZ\n1200 209920\n   1  12288\n  70  12288\n  12      0\n"),
        ("ps -A -r -o pid", " PID\n  12\n1200\n  70\n   1\n"),
        ("ps -p 1 -o pid= -o comm=", "1 init\n"),
        ("ps -p 1 -o pid=NUMBER -o comm", "NUMBER COMMAND\n     1 init\n"),
        ("ps -p 1 -o pid,pcpu,pmem,vsize,cputime", "PID %CPU %MEM   VSZ    TIME\n  1  0.0  0.1 12288 0:00.00\n"),
    ],
)  # fmt: skip
def test_output(line: str, out: str) -> None:
    passwd = "# comment\nroot:*:0:0:Charlie &:/root:/bin/csh\nwww:*:80:80::/nonexistent:/usr/sbin/nologin\n"
    outcome = run(line, ALL, jails={"web": 2}, passwd=passwd)
    assert (outcome.out, outcome.err) == (out, "")
    assert outcome.code == (1 if out.count("\n") == 1 and not out.startswith("1 ") else 0)


@pytest.mark.parametrize(
    ("line", "err", "code"),
    [
        ("ps -J nowhere,2,gone", "ps: Invalid jail id: nowhere\nps: Invalid jail id: gone\n", 1),
        ("ps -J 1,", "ps: Invalid (zero-length) jail id\n", 1),
        ("ps -p x", "ps: Invalid process id: x\n", 1),
        ("ps -p 1,,2", "ps: Invalid (zero-length) process id\n", 1),
        ("ps -U nobody", "ps: No user named 'nobody'\n", 1),
        ("ps -U ,", "ps: Invalid (zero-length) user name\n" * 2, 1),
        ("ps -U 77", "ps: No user name or ID matches '77'\n", 1),
        ("ps -% x", f"ps: illegal option -- %\n{USAGE}", 1),
        ("ps -j", USAGE, 1),
        ("ps ax foo", f"ps: illegal argument: foo\n\n{USAGE}", 1),
        ("ps -ax -o pid,colour", "ps: colour: keyword not found\n", 1),
    ],
)
def test_refused(line: str, err: str, code: int) -> None:
    outcome = run(line, ALL)
    assert (outcome.err, outcome.code) == (err, code)
    assert outcome.out == (" PID\n   1\n  12\n1200\n  70\n" if "colour" in line else "")


def test_no_keyword_at_all_lists_those_there_are() -> None:
    outcome = run("ps -o colour", ALL)
    assert outcome.err == "ps: colour: keyword not found\nps: no valid keywords; valid keywords:\n"
    assert outcome.out.startswith("%cpu %mem args comm command cputime ")
    assert outcome.code == 1


@pytest.mark.parametrize(
    ("columns", "options", "shown"),
    [
        ("41", "", "1200  -  SJ   0:25.00 /usr/local/sbin/ngi"),
        ("41", "-w", "1200  -  SJ   0:25.00 /usr/local/sbin/nginx -g daemon off;"),
        ("20", "", "1200  -  SJ   0:25.00 /usr/local/sbin/nginx -g daemon off;"),
        ("0", "", "1200  -  SJ   0:25.00 /usr/local/sbin/nginx -g daemon off;"),
    ],
)
def test_the_last_column_ends_with_the_line(columns: str, options: str, shown: str) -> None:
    outcome = run(f"ps {options} -p 1200", ALL, environ={"COLUMNS": columns})
    assert outcome.out.splitlines()[1] == shown


@pytest.mark.parametrize(
    ("process", "shown"),
    [
        (replace(PLAIN, state="Z", command=()), "<defunct>"),
        (replace(PLAIN, command=("init", "a\tb", "c\nd", "e\\f", "\x01\x7f", "")), r"init a^Ib c\nd e\\f \^A\^?"),
        (replace(PLAIN, command=("/rescue/init",)), "/rescue/init"),
        (replace(PLAIN, command=("sshd: root@pts/0",), name="sshd"), "sshd: root@pts/0 (sshd)"),
    ],
)
def test_command_lines(process: ProcessInfo, shown: str) -> None:
    assert run("ps -p 1 -o command", [process]).out == f"COMMAND\n{shown}\n"


def test_the_share_of_memory_is_0_where_the_memory_is_not_known() -> None:
    assert run("ps -p 1200 -o pmem", ALL, memory=None).out == "%MEM\n 0.0\n"


def test_terminals_stand_in_the_order_of_their_devices() -> None:
    terminals = [None, "ttyu0", "ttyv1", "pts/2", "pts/10"]
    processes = [replace(SHELL, pid=90 - number, tty=tty) for number, tty in enumerate(terminals)]
    assert run("ps -ax -o tty", processes[::-1]).out.split() == ["TTY", "-", "ttyu0", "ttyv1", "pts/2", "pts/10"]


def test_a_command_of_another_user_sees_its_own() -> None:
    ours = replace(SHELL, pid=71, uid=1001, user="alice", tty="ttyv0")
    outcome = run("ps", [*ALL, ours], uid=1001)
    assert outcome.out == "PID TT  STAT    TIME COMMAND\n 71 v0  Is+  0:01.50 -sh (sh)\n"
