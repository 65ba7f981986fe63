"""`vjail up` and its parts killed at any time: `vjail down` leaves nothing, `vjail up` goes on from there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from lives import command, install, kill, outcome, server, until, vjail
from sandbox import Sandbox

pytestmark = pytest.mark.real

LAB = "A1-two-jails"
POINTS = 30


def test_up_killed_at_30_points(box: Sandbox, summary: Callable[[str], None]) -> None:
    """Spread evenly from the start of the command to where it ends when it is let alone.

    Where both users have their turn the second takes every fourth point.
    """
    began = time.monotonic()
    assert outcome(vjail(box, "up", LAB))[0] == 0
    took = time.monotonic() - began
    assert box.vjail("down", LAB).code == 0
    box.assert_clean()
    points = range(0, POINTS, 1 if box.uid == os.geteuid() else 4)
    ended, came_up = 0, 0
    for point in points:
        up = vjail(box, "up", LAB)
        time.sleep(took * point / POINTS)
        came_up += bool(box.find("vjail.server"))
        ended += up.poll() is not None
        box.kill(up)
        down = box.vjail("down", LAB)
        assert down.code == 0, (point, down)
        box.assert_clean()
    assert came_up >= len(points) // 3, f"of {len(points)} points only {came_up} had something to take down"
    summary(
        f"kill -9 of `up`, {took:.2f} s long, at {len(points)} points: {ended} after its end, {came_up} with a server"
    )


def steps(box: Sandbox, lab: str) -> list[str]:
    """What `up -v` says on the way."""
    up = box.vjail("up", "-v", lab)
    assert up.code == 0, up
    return up.err.splitlines()


def reached(box: Sandbox, lab: str, step: str) -> subprocess.Popen[str]:
    """An `up -v` that has just said this."""
    up = vjail(box, "up", "-v", "--keep", lab)
    assert up.stderr is not None
    while step not in (line := up.stderr.readline()):
        assert line, f"it never came to: {step}"
    return up


def seen(box: Sandbox, lab: str) -> str:
    """What `ls -v` shows, whichever jid a jail has."""
    return re.sub(r"jid \d+", "jid N", box.vjail("ls", "-v", lab).out)


def test_up_or_its_server_killed_after_each_step(box: Sandbox) -> None:
    """Whatever died, `up` then goes on from there, and `down` leaves nothing.

    After every other step it is the command that is killed, or its server. Where both users have their turn the second
    takes a quarter of the steps.
    """
    lab = install(box, "steps")
    said = steps(box, lab)[:-1]
    whole = seen(box, lab)
    points = list(enumerate(said))[:: 1 if box.uid == os.geteuid() else 4]
    for number, step in points:
        assert box.vjail("down", lab).code == 0, step
        box.assert_clean()
        up = reached(box, lab, step)
        if (number // 4 if box.uid != os.geteuid() else number) % 2:
            box.kill(up)
        else:
            kill(server(box))
            outcome(up)
        again = box.vjail("up", lab)
        assert again.code == 0, (step, again)
        assert seen(box, lab) == whole, step
    ping = box.vjail("exec", "-p", lab, "web", "ping", "-c", "1", "10.0.0.2")
    assert "1 packets received" in ping.out, ping
    assert box.vjail("down", lab).code == 0


def test_the_server_killed_in_up_without_keep_leaves_nothing(box: Sandbox) -> None:
    lab = install(box, "steps")
    with open(box.folder / lab / "jail.conf", "a") as conf:
        conf.write('\nlast { path = /; persist; exec.start = "sleep 1001"; }\n')
    up = vjail(box, "up", lab)
    until(lambda: bool(box.running("sleep", "1001")))
    kill(server(box))
    code, _, err = outcome(up)
    assert code == 1
    assert err.splitlines()[-1] == "vjail: nothing of the lab is left; --keep leaves what came up", err
    box.assert_clean()


def test_the_anchor_killed_ends_the_lab(box: Sandbox) -> None:
    lab = install(box, "steps")
    assert box.vjail("up", lab).code == 0
    shell = vjail(box, "exec", "-p", lab, "web", "sleep", "1000")
    until(lambda: bool(box.running("sleep", "1000")))
    kill(box.find("vjail-agent", "anchor")[0])
    assert outcome(shell)[0] == 128 + signal.SIGKILL
    until(lambda: not box.find("vjail.server"))
    ls = box.vjail("ls", lab)
    assert (ls.code, ls.err) == (1, f"vjail: {lab}: the lab is not up; `vjail up {lab}` brings it up\n")
    again = box.vjail("up", lab)
    assert again.code == 0, again
    assert box.vjail("down", lab).code == 0
    assert box.vjail("down", lab).code == 0, "idempotent"


def test_exec_killed_kills_what_it_ran(box: Sandbox) -> None:
    """As jexec(8), which becomes what it runs."""
    lab = install(box, "steps")
    assert box.vjail("up", lab).code == 0
    for words in (("sleep", "1000"), ("sh", "-c", "sleep 1000; true")):
        started = vjail(box, "exec", "-p", lab, "web", *words)
        until(lambda: bool(box.running("sleep", "1000")))
        kill(command(started))
        until(lambda words=words: not box.running(*words))
        for pid in box.running("sleep", "1000"):
            kill(pid)  # the child of a shell that was killed: it goes on, as anywhere
        outcome(started)
    ping = vjail(box, "exec", "-p", lab, "web", "ping", "10.0.0.2")
    assert ping.stdout is not None
    ping.stdout.readline()
    kill(command(ping))
    outcome(ping)
    assert box.vjail("exec", "-p", lab, "web", "true").code == 0
    assert box.vjail("down", lab).code == 0


def test_a_jail_without_persist_ends_with_its_only_process(box: Sandbox) -> None:
    assert box.vjail("up", LAB).code == 0
    (_, syslogd, _), (_, cron, _) = (box.find(f"/usr/sbin/{name}", "-s") for name in ("syslogd", "cron"))
    kill(cron)
    assert "jail_01" in box.shell("jls name", LAB).out, "syslogd is left"
    kill(syslogd)
    until(lambda: box.shell("jls name", LAB).out.split() == ["jail_02"])
    assert "epair1a" in box.shell("ifconfig -l", LAB).out.split(), "its interface has come home"
    assert "/home/jail/jail_01/var" in box.shell("mount", LAB).out, "its mounts stay, as on FreeBSD"
    assert box.vjail("down", LAB).code == 0
