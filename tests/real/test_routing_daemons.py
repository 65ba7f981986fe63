"""Row E3: routing daemons in jails, on two hosts; a wire is cut, routes converge, packets go the other way round.

Shown side by side with the files of each host written by hand, and with a lab file.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest
from sandbox import PATH, Sandbox
from side_by_side import side_by_side

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Ways:
    """How packets go between h1 and h2 in a lab: how many routers on either way, and by which interfaces of r1."""

    direct: int
    round: int
    inward: str
    """The interface by which r1 reaches r2; r3 it reaches by em0."""


LABS: Mapping[str, Ways] = {
    # By ce2, r3, r1, ce1; by ce2, r3, r4, r2, r1, ce1.
    "E3-routing-daemons": Ways(4, 6, "epair2a"),
    # By r3, r1; by r3, r4, r2, r1.
    "E3-routing-daemons-lab": Ways(2, 4, "epair18001a"),
}
_PATIENCE = 30.0
"""Seconds in which routes must have converged."""
_START = 45.0
"""Seconds until all daemons know all routes. BIRD tells of a link again five seconds after it has told of another."""

_UNTIL = r"""
for ping in 'ping -t 1 -c 1 192.0.2.33' 'ping6 -t 1 -c 1 2001:db8:2::1'; do
	until jexec h1 $ping | grep -E '(ttl|hlim)={ttl} '; do sleep 0.1; done
done
"""


def converges(box: Sandbox, lab: str, routers: int, interface: str, patience: float) -> None:
    """In time h2's answers reach h1 through so many routers, and r1 sends by that interface, in both families."""
    deadline = time.monotonic() + patience
    until = _UNTIL.replace("{ttl}", str(64 - routers))
    done = box.vjail("shell", "-p", lab, "west", "-c", until, timeout=patience + 5)
    assert [line.split("icmp_seq")[0] for line in done.out.splitlines()] == [
        "64 bytes from 192.0.2.33: ",
        "16 bytes from 2001:db8:2::1, ",
    ], done
    while (found := routes(box, lab, "r1")) != both("UG1", interface) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == both("UG1", interface)
    assert time.monotonic() < deadline


def inside(box: Sandbox, lab: str, router: str, line: str) -> str:
    """What a line says that is typed in a router."""
    done = box.vjail("exec", "-p", lab, router, "sh", "-c", line)
    assert (done.code, done.err) == (0, ""), done
    return done.out


def routes(box: Sandbox, lab: str, router: str) -> dict[str, tuple[str, str]]:
    """Flags and interface of the routes to the far host's networks, as netstat(1) shows them in full."""
    lines = [line.split() for line in inside(box, lab, router, "netstat -rnW").splitlines()]
    far = {"192.0.2.32/28", "2001:db8:2::/64"}
    return {fields[0]: (fields[2], fields[5]) for fields in lines if fields and fields[0] in far}


def both(flags: str, interface: str) -> dict[str, tuple[str, str]]:
    return {"192.0.2.32/28": (flags, interface), "2001:db8:2::/64": (flags, interface)}


def go_round(box: Sandbox, lab: str, ways: Ways) -> None:
    """Bring a lab up; a wire is cut, and mended."""
    up = box.vjail("up", lab)
    assert up.code == 0, up
    if box.uid == 0:
        # Another user needs ids: one that gives up root, and still may do what a router must.
        inside(box, lab, "r1", "sysrc bird_runas=bird; service bird restart >/dev/null 2>&1")
        said = inside(box, lab, "r1", "ps -axo user,pid,command")
        assert re.search(r"^bird +\d+ /usr/sbin/bird ", said, re.MULTILINE), said
    converges(box, lab, ways.direct, "em0", _START)
    assert inside(box, lab, "r1", "service bird status").startswith("bird is running as pid ")
    # What vjail does to the table itself leaves the daemon's routes alone.
    inside(box, lab, "r1", "route -q add 10.99.0.0/16 10.0.12.2; route -q delete 10.99.0.0/16")
    assert routes(box, lab, "r1") == both("UG1", "em0")
    cut = box.vjail("cut", "-p", lab, "north")
    assert cut.code == 0, cut
    converges(box, lab, ways.round, ways.inward, _PATIENCE)
    mended = box.vjail("mend", "-p", lab, "north")
    assert mended.code == 0, mended
    converges(box, lab, ways.direct, "em0", _PATIENCE)
    down = box.vjail("down", lab)
    assert down.code == 0, down


@pytest.fixture(scope="module")
def shown(program: Path) -> Callable[[int], Mapping[str, Future[None]]]:
    """What became of each lab, for a user."""

    @cache
    def every(uid: int) -> Mapping[str, Future[None]]:
        works = {lab: partial(go_round, ways=ways) for lab, ways in LABS.items()}
        return side_by_side(program, uid, works, len(works))

    return every


@pytest.mark.parametrize("lab", LABS)
def test_a_wire_is_cut_and_packets_go_round(
    lab: str, uid: int, shown: Callable[[int], Mapping[str, Future[None]]]
) -> None:
    if shutil.which("bird", path=PATH) is None:
        pytest.skip("needs bird2, which make test installs as root")
    shown(uid)[lab].result()
