"""What is wrong with a lab, or with words, is said in one line with its place and what to do; nothing is half done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandbox import Result, Sandbox

pytestmark = pytest.mark.real

LEFT = "vjail: nothing of the lab is left; --keep leaves what came up\n"
FILE = "it must be a file that you may read"
NAME = "letters, digits, and `-`, `_` and `.` between them, 63 at most"
CARD = "a card's name as FreeBSD's drivers give them (vtnet0, em1), 15 characters at most"


@dataclass(frozen=True)
class Case:
    """A lab folder (`lab`) with these files, and what `vjail up lab` says of it. None as content: a directory."""

    files: dict[str, bytes | None]
    said: str
    make: Callable[[Path], object] = lambda folder: None


JAIL = b"j { path = /j; persist; }\n"

REFUSED = {
    "no such path": Case({}, "lab: no such file or folder; name a lab file, a jail.conf or their folder"),
    "an empty folder": Case(
        {"readme": b""},
        "lab: there is neither a jail.conf nor a vjail.yml in it; a lab is a folder with a jail.conf or a vjail.yml",
    ),
    "a directory for a jail.conf": Case({"jail.conf": None}, f"lab/jail.conf: is a directory; {FILE}"),
    "a directory for an rc.conf": Case({"jail.conf": JAIL, "rc.conf": None}, f"lab/rc.conf: is a directory; {FILE}"),
    "a pipe": Case({}, f"lab/jail.conf: is no file; {FILE}", lambda folder: os.mkfifo(folder / "jail.conf")),
    "a link to nowhere": Case(
        {},
        f"lab/jail.conf: no such file or directory; {FILE}",
        lambda folder: (folder / "jail.conf").symlink_to("gone"),
    ),
    "a jail.conf in Latin 1": Case(
        {"jail.conf": b'j {\n\tpath = /j;\n\thost.hostname = "\xfcber";\n}\n'},
        "lab/jail.conf:3:19: byte 0xfc is no UTF-8; save the file as UTF-8",
    ),
    "an rc.conf in Latin 1": Case(
        {"jail.conf": JAIL, "rc.conf": b'hostname="a"\nx="\xff"\n'},
        "lab/rc.conf:2:4: byte 0xff is no UTF-8; save the file as UTF-8",
    ),
    "a vjail.yml in Latin 1": Case(
        {"vjail.yml": b"hosts: \xff\n"}, "lab/vjail.yml:1:8: byte 0xff is no UTF-8; save the file as UTF-8"
    ),
    "no YAML": Case(
        {"vjail.yml": b"hosts: {a: {nics: {vtnet0: w0}\n"},
        "lab/vjail.yml:2:1: not YAML: expected ',' or '}', but got '<stream end>'; close the bracket",
    ),
    "unknown keys": Case(
        {"vjail.yml": b"hosts:\n  a:\n    nic: {vtnet0: w0}\nwire: {}\n"},
        "lab/vjail.yml:3:5: 'nic' is not known in a host; did you mean 'nics'?\n"
        "vjail: lab/vjail.yml:4:1: 'wire' is not known in the lab file; did you mean 'wires'?",
    ),
    "a key twice": Case(
        {"vjail.yml": b"hosts: {a: {}, a: {}}\n"}, "lab/vjail.yml:1:16: 'a' is given twice; keep one of them"
    ),
    "a list for hosts": Case(
        {"vjail.yml": b"hosts: [a]\n"},
        "lab/vjail.yml:1:8: a mapping is expected here (`name: value`); expected: names: a host",
    ),
    "an empty lab file": Case(
        {"vjail.yml": b""}, "lab/vjail.yml: no hosts are given; add `hosts:` with one entry a machine, or `jails:`"
    ),
    "a wire that is not there": Case(
        {"vjail.yml": b"hosts:\n  a:\n    nics: {vtnet0: w0}\nwires: {w1: {}}\n"},
        "lab/vjail.yml:3:20: there is no wire 'w0'; add it to `wires:`",
    ),
    "a host with a slash": Case(
        {"vjail.yml": b"hosts: {a/b: {}}\n"}, f"lab/vjail.yml:1:9: 'a/b' cannot be a name here; expected: {NAME}"
    ),
    "a host outside": Case(
        {"vjail.yml": b"hosts: {..: {}}\n"}, f"lab/vjail.yml:1:9: '..' cannot be a name here; expected: {NAME}"
    ),
    "a card's name too long": Case(
        {"vjail.yml": b"hosts: {a: {nics: {averyverylongname0: w}}}\nwires: {w: {}}\n"},
        f"lab/vjail.yml:1:20: 'averyverylongname0' cannot be a name here; expected: {CARD}",
    ),
    "a release nobody knows": Case(
        {"vjail.yml": b"freebsd: 99\nhosts: {a: {}}\n"},
        "lab/vjail.yml:1:10: '99': not a FreeBSD release vjail knows: '99' (known: 12, 13, 14, 15, 16); "
        "expected: 12, 13, 14, 15 or 16",
    ),
    "no folder for files": Case(
        {"vjail.yml": b"hosts: {a: {files: gone}}\n"},
        "lab/vjail.yml:1:20: lab/gone is no folder; it holds the host's rc.conf, jail.conf, …",
    ),
    "no userland": Case(
        {"vjail.yml": b"hosts: {a: {userland: /gone}}\n"},
        "lab/vjail.yml:1:23: /gone is no folder; `vjail base` makes one",
    ),
}
"""What is found before anything is made."""

FAILING = {
    "a syntax error": Case(
        {"jail.conf": b"j {\n\tpath = /j\n}\n"},
        "lab/jail.conf:2:11: }: syntax error; ';' is missing before '}'",
    ),
    "an unknown parameter": Case(
        {"jail.conf": b"j {\n\tpath = /j;\n\tvnet.interfce = em0;\n\tpersist;\n}\n"},
        "lab/jail.conf:3:2: j: unknown parameter: vnet.interfce; did you mean 'vnet.interface'?",
    ),
    "a file that includes itself": Case(
        {"jail.conf": b'.include "/etc/jail.conf";\n', "vjail.yml": b"freebsd: 15\nhosts: {a: {files: .}}\n"},
        "lab/jail.conf:1:10: maximum include depth exceeded; a file includes itself, perhaps by way of others",
    ),
    "a path that is a file": Case(
        {"jail.conf": b"j {\n\tpersist;\n\tpath = /etc/passwd;\n}\n"},
        "lab/jail.conf:1:1: j: /etc/passwd is a file, and must be a directory: it is the jail's root",
    ),
    "a relative path": Case(
        {"jail.conf": b"j { path = j; persist; }\n"},
        "lab/jail.conf:1:1: j: create: path j: not an absolute pathname; begin it with /",
    ),
    "a mount point that is not there": Case(
        {"jail.conf": b'j { path = /j; persist; mount = "/usr /gone/usr nullfs ro 0 0"; }\n'},
        "lab/jail.conf:1:33: j: mount: mount: /gone: No such file or directory (/sbin/mount -t nullfs -o ro /usr "
        "/gone/usr: failed); make /gone on the host, or put it in `files/`",
    ),
    "half of an epair that is not there": Case(
        {"jail.conf": b"j { path = /j; persist; vnet; vnet.interface = epair3b; }\n"},
        "lab/jail.conf:1:48: j: vnet.interface: ifconfig: interface epair3b does not exist "
        "(/sbin/ifconfig epair3b vnet j: failed); "
        'nothing in the lab makes it; cloned_interfaces="epair3" in rc.conf does',
    ),
    "an interface's name too long": Case(
        {"jail.conf": b"j { path = /j; persist; vnet; vnet.interface = averyverylongname9; }\n"},
        "lab/jail.conf:1:48: j: vnet.interface: ifconfig: interface averyverylongname9 does not exist "
        "(/sbin/ifconfig averyverylongname9 vnet j: failed); the host has vtnet0, lo0",
    ),
    "a command that is not there": Case(
        {"jail.conf": b"j { path = /j; persist; exec.start = nosuch; }\n"},
        "lab/jail.conf:1:38: j: exec.start: nosuch: No such file or directory (nosuch: failed); "
        "is nosuch in the jail's base?",
    ),
    "no jail to depend on": Case(
        {"jail.conf": b"j { path = /j; persist; depend = k; }\n"},
        "lab/jail.conf:1:34: j: not started: it depends on k, which is no jail; there are: j",
    ),
    "jails that wait for each other": Case(
        {"jail.conf": b"j { path = /j; persist; depend = k; }\nk { path = /k; persist; depend = j; }\n"},
        "lab/jail.conf:2:34: j: not started: it waits for itself (j -> k -> j); one `depend` of these has to go\n"
        "vjail: lab/jail.conf:1:34: k: not started: it waits for itself (k -> j -> k); "
        "one `depend` of these has to go",
    ),
}
"""What only FreeBSD's own commands find, or whoever looks into the host."""


def lay(box: Sandbox, case: Case) -> None:
    folder = box.folder / "lab"
    shutil.rmtree(folder, ignore_errors=True)
    if not case.files and case.said.startswith("lab: no such"):
        return
    folder.mkdir()
    for name, content in case.files.items():
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
    case.make(folder)


def test_what_is_found_before_anything_is_made(box: Sandbox) -> None:
    for name, case in REFUSED.items():
        lay(box, case)
        assert box.vjail("up", "lab") == Result(1, "", f"vjail: {case.said}\n"), name
    box.assert_clean()


def test_what_is_found_while_a_lab_comes_up(box: Sandbox) -> None:
    for name, case in FAILING.items():
        lay(box, case)
        assert box.vjail("up", "lab") == Result(1, "", f"vjail: {case.said}\n{LEFT}"), name
        box.assert_clean()


def test_a_file_that_may_not_be_read(box: Sandbox, uid: int) -> None:
    """Root may read everything."""
    lay(box, Case({"jail.conf": JAIL}, ""))
    (box.folder / "lab/jail.conf").chmod(0)
    up = box.vjail("up", "lab")
    if uid == 0:
        assert up.code == 0, up
        assert box.vjail("down", "lab").code == 0
    else:
        assert up == Result(1, "", f"vjail: lab/jail.conf: permission denied; {FILE}\n")


def test_a_failure_can_be_mended_while_the_lab_stays(box: Sandbox) -> None:
    lay(box, Case({"jail.conf": b"j { path = /j }\n"}, ""))
    for _ in range(2):
        up = box.vjail("up", "--keep", "lab")
        assert up == Result(1, "", "vjail: lab/jail.conf:1:14: }: syntax error; ';' is missing before '}'\n")
    (box.folder / "lab/jail.conf").write_bytes(JAIL)
    assert box.vjail("up", "lab").code == 0
    other = box.vjail("up", "--freebsd", "15", "lab")
    assert other == Result(1, "", "vjail: lab: the lab is up as FreeBSD 13; `vjail down lab` first\n")
    assert box.vjail("down", "lab").code == 0


def test_words_that_are_wrong_in_a_lab_that_is_up(box: Sandbox) -> None:
    conf = b"j { path = /j; persist; exec.stop = nosuch; }\nk { path = /k; persist; }\n"
    lay(box, Case({"jail.conf": conf}, ""))
    not_up = "vjail: lab: the lab is not up; `vjail up lab` brings it up\n"
    for words in (("ls",), ("ls", "--json"), ("exec", "j", "true"), ("console", "j"), ("shell",), ("stop", "j")):
        assert box.vjail(words[0], "-p", "lab", *words[1:]) == Result(1, "", not_up)
    assert box.vjail("down", "lab") == Result(0, "", ""), "what is not up is down"
    assert box.vjail("up", "lab").code == 0
    for words, code, said in (
        (("start", "j"), 1, "j is running already; `vjail stop j` stops it"),
        (("start", "fbsd:j"), 1, "fbsd:j is running already; `vjail stop fbsd:j` stops it"),
        (("start", "z"), 1, "lab: no jail is called z; there are: j, k"),
        (("stop", "z"), 1, "no jail z is running; running: j, k"),
        (("down", "--jail", "z"), 1, "no jail z is running; running: j, k"),
        (("up", "--jail", "z"), 1, "lab: no jail is called z; there are: j, k"),
        (("exec", "z", "true"), 1, "no jail z is running; running: j, k"),
        (("exec", "elsewhere:j", "true"), 1, "no jail elsewhere:j is running; running: j, k"),
        (("exec", "j"), 2, "exec j: which command? `vjail console j` gives a shell"),
        (("exec", "-u", "who", "j", "id"), 1, "the jail has no user who; its /etc/passwd says which there are"),
        (("console", "z"), 1, "no jail z is running; running: j, k"),
        (("shell", "z"), 1, "no host is called z; there are: fbsd"),
        (
            ("stop", "j"),
            1,
            "fbsd:/etc/jail.conf:1:37: j: exec.stop: nosuch: No such file or directory (nosuch: failed); "
            "is nosuch in the jail's base?",
        ),
        (("ls", "--jsn"), 2, "ls: there is no option --jsn; did you mean --json?; see `vjail ls --help`"),
    ):
        assert box.vjail(words[0], "-p", "lab", *words[1:]) == Result(code, "", f"vjail: {said}\n"), words
    up = box.vjail("up", "lab")
    assert (up.code, up.out) == (0, ""), up
    assert box.vjail("stop", "-p", "lab", "k") == Result(0, "", "k: stopped\n")
    assert "no jail k is running; running: j" in box.vjail("exec", "-p", "lab", "k", "true").err
    assert box.vjail("down", "--now", "lab") == Result(0, "", "")


@pytest.mark.parametrize("uid", [pytest.param(0, id="root", marks=pytest.mark.root)], indirect=True)
def test_a_full_disk(box: Sandbox) -> None:
    """What does not fit is not there at all. Only root can make a small disk here."""
    (box.folder / "small").mkdir()
    assert box.run("mount", "-t", "tmpfs", "-o", "size=4m", "small", "small").code == 0
    made = box.vjail("base", "small/base")
    assert (made.code, made.out) == (1, ""), made
    assert made.err.endswith(": no space left on device\n"), made
    assert made.err.count("\n") == 1, made
    assert box.run("ls", "-A", "small") == Result(0, "", "")
    assert box.run("umount", "small").code == 0
    assert box.run("rm", "-r", "/run/mount").code == 0, "mount(8) of this machine made it"
