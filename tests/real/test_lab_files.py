"""The examples that are lab files, for real: what each expects is shown with pings, and its export comes up alike."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sandbox import PATH, Sandbox
from side_by_side import side_by_side
from talk import Talk, share

from expectations import EXAMPLES, FOLDERS, as_files, asked, at
from vjail.lab import folder

pytestmark = pytest.mark.real

NEEDS = {"C1-whole-server-lab": ("nginx", "nginx"), "E3-routing-daemons-lab": ("bird", "bird2")}
"""The examples that run a program of this machine's, and the package that it is in."""
VLANS = "E2-vlans-lab"
_AT_ONCE = 4
"""Examples at a time, each of them twice; most of the time each waits for its pings."""
_PATIENCE = 45.0
"""Seconds until daemons know all routes."""


def surprises(box: Sandbox, lab: str, example: str) -> list[str]:
    """The lines of `expect:` that do not hold."""
    lines = list(asked(at(EXAMPLES / example)))
    places = {line.text: f"{line.host}:{line.jail}" if line.jail else line.host for line in lines}
    talks = {Talk(places[line.text], address) for line in lines for address in line.addresses}
    shares = share(box, lab, talks, count=2, seconds=2)
    found = {
        line.text: {each for each in line.addresses if shares[Talk(places[line.text], each)] > 0.5} for line in lines
    }
    return [f"{line.text}: answers: {found[line.text]}" for line in lines if not line.holds(found[line.text])]


def expectations_hold(box: Sandbox, lab: str, example: str) -> None:
    """They hold; where routes are a daemon's business, in time."""
    deadline = time.monotonic() + (_PATIENCE if example in NEEDS else 0)
    while (found := surprises(box, lab, example)) and time.monotonic() < deadline:
        pass
    assert found == []


def stacks(box: Sandbox, lab: str) -> Mapping[str, Any]:
    """Each host's and jail's interfaces as `vjail ls` tells them."""
    said = box.vjail("ls", "--json", lab)
    assert said.code == 0, said
    found = json.loads(said.out)
    return {
        f"{host['host']}:{jail.get('name', '')}": jail["interfaces"] if "interfaces" in jail else jail["addresses"]
        for host in found["hosts"]
        for jail in (host, *host["jails"])
    }


def show(box: Sandbox, lab: str) -> None:
    """The lab file and, side by side with it, the files that are exported, by the path of jail.conf."""
    exported = as_files(folder.load(EXAMPLES / lab), box.folder / f"{lab}-exported")
    for path in (exported.parent, *exported.parent.rglob("*")):
        os.chown(path, box.uid, box.uid)
    both = (lab, str(exported.relative_to(box.folder)))
    with ThreadPoolExecutor(len(both)) as pool:
        for up in pool.map(lambda each: box.vjail("up", each), both):
            assert up.code == 0, up
        own, other = pool.map(lambda each: stacks(box, each), both)
        assert own == other
        no_way = _has_no_way(box, lab)
        if not no_way:
            list(pool.map(lambda each: expectations_hold(box, each, lab), both))
        for down in pool.map(lambda each: box.vjail("down", each), both):
            assert down.code == 0, down
    if no_way:
        pytest.skip("needs 8021q in the kernel, or root; interfaces and addresses are alike")


def _has_no_way(box: Sandbox, lab: str) -> bool:
    """Whether vlans have no device: without root, on a kernel without 8021q."""
    if lab != VLANS or box.uid == 0:
        return False
    return "Network is down" in box.vjail("exec", "-p", lab, "test1", "ping", "-c", "1", "192.168.0.101").err


@pytest.fixture(scope="module")
def shown(program: Path) -> Callable[[int], Mapping[str, Future[None]]]:
    """What became of each, for a user."""

    @cache
    def every(uid: int) -> Mapping[str, Future[None]]:
        there = [lab for lab in FOLDERS if lab not in NEEDS or shutil.which(NEEDS[lab][0], path=PATH) is not None]
        # Who waits longest begins first.
        return side_by_side(program, uid, dict.fromkeys(reversed(there), show), _AT_ONCE)

    return every


@pytest.mark.parametrize("lab", FOLDERS)
def test_a_lab_file_and_its_export(lab: str, uid: int, shown: Callable[[int], Mapping[str, Future[None]]]) -> None:
    done = shown(uid)
    if lab not in done:
        pytest.skip(f"needs {NEEDS[lab][1]}, which make test installs as root")
    done[lab].result()
