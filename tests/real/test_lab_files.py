"""Examples that are lab files, for real: what they expect is shown with pings, and their export comes up alike."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sandbox import Sandbox
from side_by_side import side_by_side
from talk import Talk, share

from expectations import EXAMPLES, as_files, asked, at
from vjail.lab import folder

pytestmark = pytest.mark.real

SHOWN = ("A2-any-order-lab", "C2-nic-in-jail-lab", "C4-static-nat-lab")


def expectations_hold(box: Sandbox, lab: str, example: str) -> None:
    lines = list(asked(at(EXAMPLES / example)))
    places = {line.text: f"{line.host}:{line.jail}" if line.jail else line.host for line in lines}
    talks = {Talk(places[line.text], address) for line in lines for address in line.addresses}
    shares = share(box, lab, talks, count=2, seconds=2)
    for line in lines:
        answered = {each for each in line.addresses if shares[Talk(places[line.text], each)] > 0.5}
        assert line.holds(answered), (line, answered)


def stacks(box: Sandbox, lab: str) -> Mapping[str, Any]:
    """Each host's and jail's interfaces as `vjail ls` tells them."""
    said = box.vjail("ls", "--json", lab)
    assert said.code == 0, said
    found = json.loads(said.out)
    return {
        f"{host['host']}:{jail.get('name', '')}": jail["interfaces"]
        for host in found["hosts"]
        for jail in (host, *host["jails"])
        if "interfaces" in jail
    }


def show(box: Sandbox, lab: str) -> None:
    """The lab file; then, in its place, the files that are exported, by the path of jail.conf."""
    up = box.vjail("up", lab)
    assert up.code == 0, up
    expectations_hold(box, lab, lab)
    before = stacks(box, lab)
    assert box.vjail("down", lab).code == 0
    exported = as_files(folder.load(EXAMPLES / lab), box.folder / f"{lab}-exported")
    for path in (exported.parent, *exported.parent.rglob("*")):
        os.chown(path, box.uid, box.uid)
    other = str(exported.relative_to(box.folder))
    up = box.vjail("up", other)
    assert up.code == 0, up
    assert stacks(box, other) == before
    expectations_hold(box, other, lab)
    assert box.vjail("down", other).code == 0


@pytest.fixture(scope="module")
def shown(program: Path) -> Callable[[int], Mapping[str, Future[None]]]:
    """What became of each, for a user."""

    @cache
    def every(uid: int) -> Mapping[str, Future[None]]:
        return side_by_side(program, uid, dict.fromkeys(SHOWN, show), len(SHOWN))

    return every


@pytest.mark.parametrize("lab", SHOWN)
def test_a_lab_file_and_its_export(lab: str, uid: int, shown: Callable[[int], Mapping[str, Future[None]]]) -> None:
    shown(uid)[lab].result()
