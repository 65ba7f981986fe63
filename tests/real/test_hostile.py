"""Who talks to a lab's server without being asked to, or not as agreed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lives import install, outcome, server, until, vjail
from sandbox import NOBODY, Sandbox, interpreter

pytestmark = pytest.mark.real

_TALK = """
import array, os, socket, struct, sys
where, own = sys.argv[1], sys.argv[2:]
def call():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(0.02)
    if where == "vjail":
        s.connect("\\0vjail")
    else:
        os.chdir(where)
        s.connect("control")
    return s
def words(*texts):
    return b"A" + b"".join(text.encode() + b"\\0" for text in texts)
opened = [b"C\\7/\\0", words("ifconfig" if where == "vjail" else "vjail", *own), b"V\\0", b"G"]
some = [
    [b"\\xff" * 1000], [b"G"], [b"C"], [b"S"], [b"S\\1"], [b"N"], [b"N" * 21], [b"P"], [b"X" * 9], [b"F" * 13], [b"E"],
    [b"I" * 9] * 100, [b"A" + b"a" * 100_000] * 100, [words("vjail"), b"G"], [words("vjail", "up", "{"), b"G"],
    [words("vjail", "fly", "{}"), b"G"], [words("vjail", "exec", "[]"), b"G"], [words("\\xff\\udcff".encode("utf-8",
    "replace").decode()), b"G"], opened + [b"S\\2\\0\\0\\0"] * 3, opened + [b"C\\7/", b"G", b"A", b"Z"],
    [b"C\\7relative", *opened[1:]], [b"C\\7" + b"/x" * 3000, *opened[1:]],
]
for messages in some:
    for wait in (False, True):
        s = call()
        try:
            for message in messages:
                s.send(message)
            while wait and s.recv(1 << 18):
                pass
        except (ConnectionError, TimeoutError, BlockingIOError):
            pass
        s.close()
for count in range(20):
    s = call()
    null = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", null))]
    try:
        for message in opened[:count % 4] + [b"P" + struct.pack("=I", 1), b"Zzz"]:
            s.sendmsg([message], ancillary)
    except ConnectionError:
        pass
    for fd in null:
        os.close(fd)
    s.close()
held = []
try:
    while len(held) < 900:
        held.append(call())
except OSError:
    pass
"""


def folder(box: Sandbox) -> str:
    """The run-time folder of the only lab."""
    place = Path("/run/vjail" if box.uid == 0 else f"/tmp/vjail-{box.uid}")
    (name,) = os.listdir(f"/proc/{box.pid}/root{place}")
    return str(place / name)


def test_the_server_outlives_whatever_it_is_told(box: Sandbox) -> None:
    lab = install(box, "steps")
    assert box.vjail("up", lab).code == 0
    pid = server(box)
    box.vjail("ls", lab)
    before = len(os.listdir(f"/proc/{pid}/fd"))
    other = vjail(box, "exec", "-p", lab, "web", "ping", "-c", "20", "-i", "0.1", "10.0.0.2")
    outside = box.run(interpreter(), "-c", _TALK, folder(box), "ls", '{"json": true, "verbose": false}')
    assert (outside.code, outside.err) == (0, ""), outside
    shell = ("-m", "vjail", "shell", "-p", lab, "-c")
    in_host = box.run(interpreter(), *shell, f"python3 -c '{_TALK}' vjail -a")
    assert (in_host.code, in_host.err) == (0, ""), in_host
    code, out, _ = outcome(other)
    assert (code, "20 packets received" in out) == (0, True), "others have not noticed"
    assert server(box) == pid
    until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= before)
    assert box.vjail("exec", "-p", lab, "web", "ifconfig", "-l").out == "lo0 epair0a\n"
    assert box.vjail("down", lab).code == 0


def test_a_jail_acts_in_itself_only(box: Sandbox) -> None:
    """Its root talks to the server as it likes, and what it says acts in that jail."""
    lab = install(box, "steps")
    conf = box.folder / lab / "jail.conf"
    conf.write_text(conf.read_text() + "\nshared { path = /jails/shared; persist; mount.devfs; ip4 = inherit; }\n")
    assert box.vjail("up", lab).code == 0
    pid = server(box)
    for jail in ("web", "shared"):
        done = box.vjail("exec", "-p", lab, jail, "python3", "-c", _TALK, "vjail", "-a")
        assert (done.code, done.err) == (0, ""), done
        assert server(box) == pid
        for line, text in (
            ("ifconfig epair0b down", "ifconfig: "),
            ("jexec shared true", "jexec: "),
            ("jail -r web", "jail: "),
            ("mount -t tmpfs x /tmp", "mount: "),
            ("devfs rule -s 9 add path zero hide", "devfs rule: "),
            ("kldload pf", "kldload: "),
        ):
            done = box.vjail("exec", "-p", lab, jail, *line.split())
            assert done.code != 0, (jail, line, done)
            assert text in done.out + done.err, (jail, line, done)
        assert box.vjail("exec", "-p", lab, jail, "jls", "name").out == ""
        hidden = box.vjail("exec", "-p", lab, jail, "ls", folder(box))
        assert "No such file" in hidden.err, hidden
    assert box.shell("jls name; ifconfig -l; hostname", lab).out.split() == [
        "web", "shared", "vtnet0", "lo0", "epair0b", "fbsd",
    ]  # fmt: skip
    assert box.vjail("down", lab).code == 0


@pytest.mark.root
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_another_user_is_refused(box: Sandbox) -> None:
    lab = install(box, "steps")
    assert box.vjail("up", lab).code == 0
    other = Sandbox(box.init, box.program, NOBODY - 1)
    tried = f"import os, socket; os.chdir({folder(box)!r}); socket.socket(1, 5).connect('control')"
    done = other.run(interpreter(), "-c", tried)
    assert "PermissionError" in done.err, done
    ls = other.vjail("ls", lab)
    assert (ls.code, "is not up" in ls.err) == (1, True), ls
    assert box.vjail("down", lab).code == 0
    # A folder that somebody else has put where a user's labs are kept is not trusted.
    assert other.run("mkdir", "-m", "777", f"/tmp/vjail-{NOBODY}").code == 0
    user = Sandbox(box.init, box.program, NOBODY)
    for command in ("up", "ls", "down"):
        refused = user.vjail(command, lab)
        text = f"vjail: /tmp/vjail-{NOBODY}: belongs to another user; set XDG_RUNTIME_DIR to a folder of yours\n"
        assert (refused.code, refused.err) == (1, text)
    assert other.run("rmdir", f"/tmp/vjail-{NOBODY}").code == 0
