"""A machine that cannot hold a lab: what its kernel lacks is named (row A3), and nothing is left."""

from __future__ import annotations

import pytest
from sandbox import Sandbox, interpreter

pytestmark = pytest.mark.real

_WITHOUT = """\
echo 0 > /proc/sys/user/max_{kind}_namespaces
exec setpriv --inh-caps=-all --ambient-caps=-all "$@"
"""


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        ("user", "user"),
        ("pid", "process"),
        ("net", "network"),
        ("ipc", "IPC"),
        ("uts", "UTS"),
        ("mnt", "mount"),
    ],
)
def test_a_kernel_that_makes_no_namespaces_is_named(box: Sandbox, kind: str, called: str) -> None:
    done = box.run(
        *("unshare", "--user", "--map-current-user", "--keep-caps"),
        *("sh", "-c", _WITHOUT.format(kind=kind), "sh"),
        *(interpreter(), "-m", "vjail", "up", "A3-epair-by-hand"),
    )
    mend = f"allow some: sysctl user.max_{kind}_namespaces=1000"
    assert (done.code, done.out) == (1, ""), done
    assert done.err == f"vjail: this machine allows no {called} namespaces; {mend}\n"


_SWITCHED = """\
mount -n -t tmpfs switches /proc/sys/kernel
echo {value} > /proc/sys/kernel/{name}
exec unshare --user "$@"
"""


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            "apparmor_restrict_unprivileged_userns",
            1,
            "AppArmor restricts user namespaces (as Ubuntu has it); run vjail as root, or allow it: "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            "unprivileged_userns_clone",
            0,
            "user namespaces are root's only (as some Debians have it); run vjail as root, or allow it: "
            "sysctl kernel.unprivileged_userns_clone=1",
        ),
    ],
)
def test_a_setting_that_keeps_users_from_namespaces_is_named(box: Sandbox, name: str, value: int, told: str) -> None:
    """The setting is put there for the test, the refusal is that of a user without an id."""
    done = box.run(
        *("unshare", "--user", "--map-current-user", "--keep-caps", "--mount"),
        *("sh", "-c", _SWITCHED.format(name=name, value=value), "sh"),
        *(interpreter(), "-m", "vjail", "up", "A3-epair-by-hand"),
    )
    assert (done.code, done.out) == (1, ""), done
    refusal = "this user may not make a user namespace (unshare: Operation not permitted)"
    assert done.err == f"vjail: {refusal}: {told}\n"


def test_who_may_not_make_a_user_namespace_is_told_how(box: Sandbox) -> None:
    # In a user namespace in which one has no id nobody may make another.
    done = box.run("unshare", "--user", interpreter(), "-m", "vjail", "up", "A3-epair-by-hand")
    assert (done.code, done.out) == (1, ""), done
    assert done.err.startswith("vjail: this user may not make a user namespace (unshare: Operation not permitted); "), (
        done
    )
    assert done.err.count("\n") == 1, done
