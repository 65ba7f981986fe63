"""Several commands at once, several labs at once."""

from __future__ import annotations

import pytest
from lives import install, kill, outcome, until, vjail
from sandbox import NOBODY, Sandbox

pytestmark = pytest.mark.real

BUSY = "vjail: another `vjail up` or `vjail down` is busy with this lab; waiting for it"


def test_up_twice_at_once(box: Sandbox) -> None:
    lab = install(box, "steps")
    both = [vjail(box, "up", lab) for _ in range(2)]
    ended = [outcome(each) for each in both]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert sum(err.count("web: started") for _, _, err in ended) == 1, ended
    assert sum(BUSY in err for _, _, err in ended) == 1, ended
    assert all(err.splitlines()[-1].startswith(f"{lab} is up: 1 host, 1 jail") for _, _, err in ended)
    assert box.vjail("down", lab).code == 0


def test_up_and_down_at_once(box: Sandbox) -> None:
    """Each does what it says: where `down` was last the lab is gone, where `up` was it is there."""
    lab = install(box, "steps")
    up = vjail(box, "up", lab)
    until(lambda: bool(box.find("vjail.server")))
    down = vjail(box, "down", lab)
    code, _, err = outcome(down)
    assert (code, BUSY in err) == (0, True), err
    assert outcome(up)[0] == 0
    box.assert_clean()
    assert box.vjail("up", lab).code == 0
    both = [vjail(box, word, lab) for word in ("down", "up", "down", "up")]
    ended = [outcome(each) for each in both]
    assert [code for code, _, _ in ended] == [0, 0, 0, 0], ended
    assert box.vjail("up", lab).code == 0
    assert box.vjail("down", lab).code == 0


def test_ten_commands_at_once_also_while_up_is_at_work(box: Sandbox) -> None:
    lab = install(box, "steps")
    conf = box.folder / lab / "jail.conf"
    slow = 'slow { path = /; persist; depend = web; exec.start = "sleep 1000"; }'
    conf.write_text(f"{conf.read_text()}\n{slow}\n")
    up = vjail(box, "up", lab)
    until(lambda: bool(box.running("sleep", "1000")))
    assert "web" in box.shell("jls name", lab).out
    pings = [vjail(box, "exec", "-p", lab, "web", "ping", "-c", "2", "-i", "0.2", "10.0.0.2") for _ in range(5)]
    shells = [vjail(box, "exec", "-p", lab, "web", "sh", "-c", f"echo {n}; exit {n}") for n in range(5)]
    assert [(code, out) for code, out, _ in map(outcome, shells)] == [(n, f"{n}\n") for n in range(5)]
    for ping in pings:
        code, out, _ = outcome(ping)
        assert (code, "2 packets received" in out) == (0, True), out
    stop = vjail(box, "stop", "-p", lab, "web")
    assert stop.stderr is not None
    assert stop.stderr.readline() == "another command is starting or stopping jails; waiting for it\n"
    kill(box.running("sleep", "1000")[0])
    assert outcome(up)[0] == 1, "killed, it has failed"
    assert outcome(stop)[0] in (0, 1)
    assert box.vjail("down", lab).code == 0


def test_labs_of_the_same_name(box: Sandbox) -> None:
    """In different folders: nothing of the one is the other's."""
    labs = [install(box, "steps", to=f"{folder}/steps") for folder in ("a", "b")]
    ended = [outcome(each) for each in [vjail(box, "up", lab) for lab in labs]]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert box.vjail("exec", "-p", labs[0], "web", "sh", "-c", "echo a >/tmp/mine").code == 0
    other = box.vjail("exec", "-p", labs[1], "web", "sh", "-c", "test -e /tmp/mine")
    assert other.code == 1, other
    assert box.vjail("down", labs[0]).code == 0
    assert box.vjail("exec", "-p", labs[1], "web", "true").code == 0
    assert box.vjail("down", labs[1]).code == 0


@pytest.mark.root
@pytest.mark.parametrize("uid", [NOBODY])
def test_the_same_lab_by_root_and_by_a_user(box: Sandbox) -> None:
    """A user's labs are the user's, root's are root's."""
    lab = install(box, "steps")
    root = Sandbox(box.init, box.program, 0, box.group)
    assert root.vjail("up", lab).code == 0
    ls = box.vjail("ls", lab)
    assert (ls.code, "is not up" in ls.err) == (1, True), ls
    assert box.vjail("up", lab).code == 0
    for each in (root, box):
        assert each.vjail("exec", "-p", lab, "web", "true").code == 0
    assert box.vjail("down", lab).code == 0
    assert root.vjail("exec", "-p", lab, "web", "true").code == 0
    assert root.vjail("down", lab).code == 0
