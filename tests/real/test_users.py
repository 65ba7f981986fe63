"""A user with subordinate ids (/etc/subuid): what docs/without-root.md says of the three ways to run vjail.

The entries are put over /etc/subuid and /etc/subgid in the sandbox's own mount namespace; this machine's stay.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import NOBODY, Sandbox
from test_confinement import ATTEMPTS, JAIL_CONF, PYTHON, TABLE
from test_life import USERS
from typed import LAB, make, retyped

pytestmark = [pytest.mark.real, pytest.mark.root]

DOCUMENT = (Path(__file__).parents[2] / "docs" / "without-root.md").read_text()


@contextlib.contextmanager
def subordinate(box: Sandbox) -> Iterator[None]:
    """The sandbox's user has 65536 subordinate ids meanwhile."""
    assert shutil.which("newuidmap"), "the package uidmap is missing"
    root = Sandbox(box.init, box.program, 0, box.group)
    put = "; ".join(
        f"echo {NOBODY}:300000:65536 > /run/{name}; chmod 644 /run/{name}; mount -n --bind /run/{name} /etc/{name}"
        for name in ("subuid", "subgid")
    )
    assert root.run("sh", "-ec", put).code == 0
    try:
        yield
    finally:
        away = "; ".join(f"umount -n /etc/{name}; rm /run/{name}" for name in ("subuid", "subgid"))
        assert root.run("sh", "-ec", away).code == 0


@pytest.mark.parametrize("uid", [NOBODY], ids=["subordinate ids"])
def test_with_subordinate_ids_other_users_exist(box: Sandbox, uid: int) -> None:
    """As root's lab, in what depends on users: exec.jail_user and its like, setuid(2), chown(2), file owners."""
    make(box, {"jail.conf": JAIL_CONF + 'e { exec.start = ""; }\n', "files/t/users.conf": USERS})
    with subordinate(box):
        up = box.vjail("up", LAB)
        assert up.code == 0, up
        retyped(
            box,
            """\
# cat /proc/self/uid_map | tr -s ' '
 0 65534 1
 1 300000 65536
# cd /; jail -f /t/users.conf -q -c jailed
uid=2(operator) gid=5(operator) groups=5(operator)
/
# jexec -U games jailed id -un
games
# jail -f /t/users.conf -q -r jailed
# devfs rule apply path zero mode 600; stat -c %a /dev/zero
666
""",
        )
        for jail in ("vnet", "shared"):
            answers = json.loads(box.vjail("exec", "-p", LAB, jail, PYTHON, "-", input=ATTEMPTS).out)
            mine = {row.attempt: row.expected(jail, root=row.attempt in ("chown", "setuid")) for row in TABLE}
            assert {name: answers[name] for name in mine} == mine
        assert box.vjail("down", LAB).code == 0


def test_the_document_names_each_way() -> None:
    """And every test it names is there."""
    assert "| | root | subordinate ids | one id | shown by |" in DOCUMENT
    named = set(re.findall(r"test_\w+\.py", DOCUMENT))
    assert named
    assert all((Path(__file__).parent / name).exists() for name in named)
