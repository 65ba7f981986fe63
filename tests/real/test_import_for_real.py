"""What `vjail import` makes of a host's own files comes up on this kernel like these files themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from sandbox import Sandbox
from side_by_side import side_by_side
from talk import Talk, share

pytestmark = pytest.mark.real

SHOWN: Mapping[str, list[tuple[Talk, bool]]] = {
    "A1-two-jails": [(Talk("fbsd:jail_01", "10.0.0.2"), True), (Talk("fbsd:jail_02", "10.0.0.1"), True)],
    "C4-static-nat": [
        (Talk("client", "192.168.2.5"), True),
        (Talk("client", "2001:db8:2::5"), True),
        (Talk("serverC:serverA", "192.168.2.9"), True),
        (Talk("client", "10.0.0.2"), False),
    ],
    "D1-two-bridges": [
        (Talk("JL-1:mweb01-php", address), True)
        for address in ("10.1.105.1", "10.1.106.1", "2001:db8:105::1", "2001:db8:106::1")
    ],
}
"""Examples, and who reaches what in them, or does not."""


def addresses(box: Sandbox, lab: str) -> Mapping[str, Any]:
    """Each jail's interfaces by name, with their addresses; of link-local ones those that were chosen."""
    said = box.vjail("ls", "--json", lab)
    assert said.code == 0, said
    return {
        f"{host['host']}:{jail['name']}": {
            each["name"]: sorted(str(address) for address in each["addresses"] if is_chosen(str(address)))
            for each in jail["interfaces"]
        }
        for host in json.loads(said.out)["hosts"]
        for jail in host["jails"]
    }


def is_chosen(text: str) -> bool:
    address = ip_address(text.split("/")[0].split("%")[0])
    return not address.is_link_local or b"\xff\xfe" not in address.packed


def show(box: Sandbox, example: str) -> None:
    made = box.folder / f"{example}-imported"
    made.mkdir()
    made.chmod(0o777)
    done = box.vjail("import", example, "-o", f"{made.name}/vjail.yml")
    assert done.code == 0, done
    both = (example, made.name)
    talks, wanted = zip(*SHOWN[example], strict=True)
    with ThreadPoolExecutor(len(both)) as pool:
        for up in pool.map(lambda lab: box.vjail("up", lab), both):
            assert up.code == 0, up.err
        own, other = pool.map(lambda lab: addresses(box, lab), both)
        assert own == other, (own, other)
        for shares in pool.map(lambda lab: share(box, lab, talks, count=2, seconds=2), both):
            assert [shares[talk] > 0.5 for talk in talks] == list(wanted)
        for down in pool.map(lambda lab: box.vjail("down", lab), both):
            assert down.code == 0, down.err


@pytest.fixture(scope="module")
def shown(program: Path) -> Callable[[int], Mapping[str, Future[None]]]:
    """What became of each example, for a user."""

    @cache
    def shown_to(uid: int) -> Mapping[str, Future[None]]:
        return side_by_side(program, uid, dict.fromkeys(SHOWN, show), len(SHOWN))

    return shown_to


@pytest.mark.parametrize("example", SHOWN)
def test_it_comes_up_like_the_files_it_is_made_of(
    example: str, uid: int, shown: Callable[[int], Mapping[str, Future[None]]]
) -> None:
    shown(uid)[example].result()
