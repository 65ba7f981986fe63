"""The mount table: nullfs and its deadlock rule, busy rules, what jails see and may mount, options, the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hostfake import Machine, VirtualFiles

from vjail.kernel.core.mount_driver import MountKind, TmpfsSize
from vjail.kernel.core.mounts import Vnode
from vjail.kernel.core.part import Caller
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Mounted
from vjail.kernel.operations import Mount, Unmount

HOST = Caller(0, 0)
DIRECTORIES = [
    "/dev", "/n/src/sub", "/n/ro/sub", "/n/rw", "/n/tmp", "/n/a/a", "/n/a/n", "/j/d/dev", "/j/d/tmp", "/j/d/mnt",
    "/usr/ports/distfiles", "/usr/home/jail/base/usr/ports/distfiles", "/usr/home/jail/net/usr/ports/distfiles",
]  # fmt: skip


class Memory:
    """A Journal that keeps records as json would."""

    def __init__(self) -> None:
        self.kinds: dict[str, dict[str, dict[str, object]]] = {}

    def put(self, kind: str, key: str, record: dict[str, object]) -> None:
        self.kinds.setdefault(kind, {})[key] = record

    def drop(self, kind: str, key: str) -> None:
        self.kinds.get(kind, {}).pop(key, None)

    def records(self, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
        return iter(list(self.kinds.get(kind, {}).items()))


@pytest.fixture
def machine() -> Machine:
    files = VirtualFiles({"/n/src/file": "hello\n", "/etc/rc": ""}, DIRECTORIES)
    files.symlink("/usr/home", "/home")
    return Machine(files)


def nullfs(machine: Machine, source: str, target: str, *options: str) -> None:
    machine.apply(HOST, Mount("nullfs", source, target, options))


def refused(machine: Machine, operation: Any, caller: Caller = HOST) -> tuple[Errno, str]:
    with pytest.raises(KernelError) as caught:
        machine.apply(caller, operation)
    return caught.value.errno, caught.value.message


def shown(machine: Machine, caller: Caller = HOST) -> Sequence[tuple[str, str]]:
    return [(mounted.source, mounted.target) for mounted in machine.mounts.mounts(caller)][2:]


# --- nullfs: a vnode is covered, not a path ---------------------------------------------------------------------------

ALLOWED = [
    [("/n/tmp", "/n/tmp"), ("/n/tmp", "/n/tmp")],
    [("/n/src", "/n/src/sub")],
    [("/n/src", "/n/ro"), ("/n/src", "/n/rw"), ("/n/rw", "/n/ro")],
    [("/n/src", "/n/src"), ("/n/src", "/n/src/sub"), ("/n/src", "/n/ro"), ("/n/ro", "/n/ro"), ("/n/rw", "/n/src")],
    [("/n", "/n/a"), ("/n", "/n/a/a")],
    [("/", "/n/a"), ("/n/a", "/n/a")],
    [("/n/src", "/n/tmp"), ("/n/rw", "/n/tmp"), ("/n/src", "/n/tmp")],
]


@pytest.mark.parametrize("mounts", ALLOWED)
def test_stacking_that_freebsd_allows(machine: Machine, mounts: list[tuple[str, str]]) -> None:
    """observed/g_nullfs.txt and g0_nullfs_stacking_until_hang.txt."""
    for source, target in mounts:
        nullfs(machine, source, target)
    assert shown(machine) == mounts


DEADLOCKS = [
    ([("/n/src", "/n/ro")], ("/n/src", "/n/ro")),
    ([("/n/src", "/n/ro"), ("/n/rw", "/n/ro"), ("/n/src", "/n/tmp")], ("/n/src", "/n/tmp")),
    ([("/n/src", "/n/ro")], ("/n/src/sub", "/n/ro/sub")),
    ([("/usr/ports", "/home/jail/base/usr/ports")], ("/usr/ports/distfiles", "/home/jail/base/usr/ports/distfiles")),
]


@pytest.mark.parametrize(("before", "last"), DEADLOCKS)
def test_the_same_vnode_is_shown_there_already(
    machine: Machine, before: list[tuple[str, str]], last: tuple[str, str]
) -> None:
    """The second is the ports tree of the documents (scenario B4)."""
    for source, target in before:
        nullfs(machine, source, target)
    table = shown(machine)
    assert refused(machine, Mount("nullfs", *last)) == (Errno.EDEADLK, "")
    assert shown(machine) == table


def test_the_documents_way_round_the_deadlock(machine: Machine) -> None:
    """A directory of its own for distfiles is no deadlock; links in both paths are followed."""
    nullfs(machine, "/usr/ports", "/home/jail/base/usr/ports", "ro")
    nullfs(machine, "/home/jail/base/usr", "/home/jail/net/usr")
    nullfs(machine, "/n/rw", "/home/jail/net/usr/ports/distfiles")
    assert shown(machine) == [
        ("/usr/ports", "/usr/home/jail/base/usr/ports"),
        ("/usr/home/jail/base/usr", "/usr/home/jail/net/usr"),
        ("/n/rw", "/usr/home/jail/net/usr/ports/distfiles"),
    ]


def test_what_is_mounted_below_a_source_is_not_seen_through_it(machine: Machine) -> None:
    nullfs(machine, "/n/src", "/n/a/a")
    nullfs(machine, "/n", "/j/d/mnt")
    inner, outer = machine.mounts.lookup("/n/a/a"), machine.mounts.lookup("/j/d/mnt/a/a")
    assert inner.path == ""
    assert outer == Vnode(machine.driver.on("/j/d/mnt"), "/a/a")


def test_files_on_files(machine: Machine) -> None:
    """13.2 panics here (observed/g7_nullfs_file_on_file.txt); spec host-files §4 has it allowed."""
    machine.files.put("/n/tmp/f", "")
    nullfs(machine, "/n/src/file", "/n/tmp/f", "ro")
    assert shown(machine) == [("/n/src/file", "/n/tmp/f")]
    assert refused(machine, Mount("nullfs", "/n/src/file", "/n/rw"))[0] is Errno.EINVAL
    assert refused(machine, Mount("tmpfs", "tmpfs", "/n/src/file"))[0] is Errno.ENOTDIR


# --- flags -----------------------------------------------------------------------------------------------------------


def test_flags_come_from_below(machine: Machine) -> None:
    nullfs(machine, "/n/src", "/n/ro", "ro")
    nullfs(machine, "/n/ro", "/n/tmp", "rw", "noexec")
    machine.apply(HOST, Mount("tmpfs", "x", "/n/rw", ("size=64m", "mode=1777", "nosuid")))
    nullfs(machine, "/n/rw", "/n/a")
    machine.apply(HOST, Mount("fdescfs", "x", "/j/d/mnt", ("linrdlnk",)))
    assert [(mounted.source, mounted.fstype, mounted.options) for mounted in machine.mounts.mounts(HOST)] == [
        ("/dev/vtbd0p2", "ufs", ("local", "noatime")),
        ("devfs", "devfs", ()),
        ("/n/src", "nullfs", ("local", "noatime", "read-only")),
        ("/n/ro", "nullfs", ("local", "noatime", "noexec", "read-only")),
        ("tmpfs", "tmpfs", ("local", "nosuid")),
        ("/n/rw", "nullfs", ("local", "nosuid")),
        ("fdescfs", "fdescfs", ()),
    ]
    requests = machine.driver.requests
    assert requests[machine.driver.on("/n/tmp")].read_only
    tmpfs = requests[machine.driver.on("/n/rw")]
    assert (tmpfs.kind, tmpfs.tmpfs, tmpfs.nosuid) == (MountKind.TMPFS, TmpfsSize(64 << 20, mode=0o1777), True)


BAD_OPTIONS = [
    ("nullfs", "foo", Errno.EINVAL, "mount option <foo> is unknown"),
    ("nullfs", "size=1m", Errno.EINVAL, "mount option <size> is unknown"),
    ("devfs", "ruleset=abc", Errno.EINVAL, "invalid ruleset specification"),
    ("devfs", "ruleset=70000", Errno.EINVAL, "invalid ruleset specification"),
    ("devfs", "ruleset=-1", Errno.EINVAL, "invalid ruleset specification"),
    ("tmpfs", "size=big", Errno.EINVAL, ""),
    ("tmpfs", "mode=9", Errno.EINVAL, ""),
    ("nullfs", "update", Errno.EOPNOTSUPP, ""),
]


@pytest.mark.parametrize(("fstype", "option", "errno", "message"), BAD_OPTIONS)
def test_bad_options(machine: Machine, fstype: str, option: str, errno: Errno, message: str) -> None:
    assert refused(machine, Mount(fstype, "/n/src", "/n/tmp", (option,))) == (errno, message)


def test_unknown_file_systems_and_missing_paths(machine: Machine) -> None:
    assert refused(machine, Mount("foofs", "x", "/n/tmp"))[0] is Errno.ENODEV
    assert refused(machine, Mount("nullfs", "/nosuch", "/n/tmp"))[0] is Errno.ENOENT
    assert refused(machine, Mount("nullfs", "/n/src", "/nosuch"))[0] is Errno.ENOENT


def test_a_file_system_the_kernel_does_not_have(machine: Machine) -> None:
    assert refused(machine, Mount("zfs", "x", "/n/tmp"))[0] is Errno.ENODEV


# --- unmounting ------------------------------------------------------------------------------------------------------


def test_busy(machine: Machine) -> None:
    nullfs(machine, "/n/src", "/n/ro")
    nullfs(machine, "/n/ro", "/n/tmp")
    assert refused(machine, Unmount("/n/ro"))[0] is Errno.EBUSY, "shown elsewhere"
    machine.apply(HOST, Unmount("/n/tmp"))
    nullfs(machine, "/n/rw", "/n/ro/sub")
    assert refused(machine, Unmount("/n/ro"))[0] is Errno.EBUSY, "something mounted on it"
    machine.apply(HOST, Unmount("/n/ro/sub"))
    machine.driver.busy.add(machine.driver.on("/n/ro"))
    assert refused(machine, Unmount("/n/ro"))[0] is Errno.EBUSY, "a process in it"
    machine.apply(HOST, Unmount("/n/ro", force=True))
    assert shown(machine) == []


def test_a_jail_keeps_the_file_system_of_its_root_busy(machine: Machine) -> None:
    nullfs(machine, "/n/src", "/j/d/mnt")
    machine.jails.add(1, "x", "/j/d/mnt")
    assert refused(machine, Unmount("/j/d/mnt"))[0] is Errno.EBUSY
    del machine.jails.jails[1]
    machine.jails.add(2, "y", "/j/d")
    machine.apply(HOST, Unmount("/j/d/mnt"))


def test_what_is_never_unmounted(machine: Machine) -> None:
    assert refused(machine, Unmount("/"))[0] is Errno.EINVAL
    assert refused(machine, Unmount("/n/tmp"))[0] is Errno.EINVAL
    assert refused(machine, Unmount("/dev"))[0] is Errno.EBUSY


def test_the_newest_of_several_goes_first(machine: Machine) -> None:
    nullfs(machine, "/n/tmp", "/n/tmp")
    nullfs(machine, "/n/rw", "/n/tmp")
    machine.apply(HOST, Unmount("/n/tmp"))
    assert shown(machine) == [("/n/tmp", "/n/tmp")]


def test_a_driver_that_refuses_changes_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise KernelError(Errno.EIO)

    monkeypatch.setattr(machine.driver, "mount", refuse)
    assert refused(machine, Mount("nullfs", "/n/src", "/n/tmp"))[0] is Errno.EIO
    monkeypatch.undo()
    monkeypatch.setattr(machine.driver, "populate", refuse)
    assert refused(machine, Mount("devfs", "x", "/j/d/dev"))[0] is Errno.EIO
    assert shown(machine) == []
    assert list(machine.driver.requests.values())[-1].target == "/dev"


# --- jails -----------------------------------------------------------------------------------------------------------

PERMITTED = {"allow.mount": True, "allow.mount.tmpfs": True, "allow.mount.devfs": True}


def jail(machine: Machine, **parameters: bool | int | str) -> Caller:
    machine.jails.add(3, "d", "/j/d", **parameters)
    return Caller(3, 0)


@pytest.mark.parametrize(
    ("parameters", "allowed"),
    [
        ({}, False),
        ({"allow.mount": True, "enforce_statfs": 1}, False),
        ({"allow.mount.tmpfs": True, "enforce_statfs": 1}, False),
        ({**PERMITTED, "enforce_statfs": 2}, False),
        ({**PERMITTED, "enforce_statfs": 1}, True),
        ({**PERMITTED, "enforce_statfs": 0}, True),
    ],
)
def test_who_may_mount_in_a_jail(machine: Machine, parameters: dict[str, Any], allowed: bool) -> None:
    """replay/documents-C.txt has the case of allow.mount alone."""
    caller = jail(machine, **{key.replace(".", "__"): value for key, value in parameters.items()})
    operation = Mount("tmpfs", "tmpfs", "/tmp")
    if allowed:
        machine.apply(caller, operation)
        assert shown(machine) == [("tmpfs", "/j/d/tmp")]
        assert machine.driver.requests[machine.driver.on("/j/d/tmp")].jid == 3
        machine.apply(caller, Unmount("/tmp"))
    else:
        assert refused(machine, operation, caller)[0] is Errno.EPERM
    assert shown(machine) == []


def test_a_jail_unmounts_only_its_own(machine: Machine) -> None:
    caller = jail(machine, allow__mount=True, allow__mount__tmpfs=True, enforce_statfs=1)
    machine.apply(HOST, Mount("tmpfs", "tmpfs", "/j/d/tmp"))
    assert refused(machine, Unmount("/tmp"), caller)[0] is Errno.EPERM


def test_devfs_in_a_jail_has_the_jails_ruleset(machine: Machine) -> None:
    caller = jail(machine, allow__mount=True, allow__mount__devfs=True, enforce_statfs=1, devfs_ruleset=9)
    assert refused(machine, Mount("devfs", "devfs", "/dev", ("ruleset=4",)), caller)[0] is Errno.EPERM
    machine.apply(caller, Mount("devfs", "devfs", "/dev"))
    assert machine.devfs.ruleset_of(HOST, "/j/d/dev") == 9


SEEN = [
    (0, ["/", "/dev", "/n/ro", "/j/d/mnt", "/j/d/tmp"]),
    (1, ["/", "/mnt", "/tmp"]),
    (2, ["/"]),
]


@pytest.mark.parametrize(("enforce_statfs", "targets"), SEEN)
def test_what_a_jail_sees(machine: Machine, enforce_statfs: int, targets: list[str]) -> None:
    """observed/b2_service_jail.txt, `jexec jail_01 mount`: the root's file system as /."""
    nullfs(machine, "/n/src", "/n/ro")
    nullfs(machine, "/n/src", "/j/d/mnt")
    machine.apply(HOST, Mount("tmpfs", "tmpfs", "/j/d/tmp"))
    caller = jail(machine, enforce_statfs=enforce_statfs)
    seen = machine.mounts.mounts(caller)
    assert [mounted.target for mounted in seen] == targets
    assert seen[0] == Mounted("ufs", "/dev/vtbd0p2", "/", ("local", "noatime"))


def test_the_root_of_a_jail_on_a_file_system_of_its_own(machine: Machine) -> None:
    nullfs(machine, "/n/src", "/j/d")
    assert [mounted.source for mounted in machine.mounts.mounts(jail(machine))] == ["/n/src"]
    assert [mounted.target for mounted in machine.mounts.mounts(Caller(3, 0))] == ["/"]


# --- fsid and journal ------------------------------------------------------------------------------------------------


def test_fsids_count_up(machine: Machine) -> None:
    """observed/g_nullfs.txt: 01ff0029…, 02ff0029…; the devfs on /dev was the first."""
    nullfs(machine, "/n/src", "/n/ro")
    nullfs(machine, "/n/src", "/n/rw")
    assert [mounted.fsid for mounted in machine.mounts.mounts(HOST)] == [
        "",
        "00ff007171000000",
        "01ff002929000000",
        "02ff002929000000",
    ]


def test_another_process_takes_over() -> None:
    journal = Memory()
    files = VirtualFiles(directories=DIRECTORIES)
    first = Machine(files, journal=journal)
    nullfs(first, "/n/src", "/n/ro", "ro")
    nullfs(first, "/n/ro", "/n/tmp")
    nullfs(first, "/n/src", "/n/rw")
    first.apply(HOST, Unmount("/n/rw"))
    second = Machine(files, journal=journal)
    second.driver.requests = first.driver.requests
    assert second.mounts.mounts(HOST) == first.mounts.mounts(HOST)
    assert refused(second, Mount("nullfs", "/n/src", "/n/ro"))[0] is Errno.EDEADLK
    assert refused(second, Unmount("/n/ro"))[0] is Errno.EBUSY
    nullfs(second, "/n/src", "/n/rw")
    assert second.mounts.mounts(HOST)[-1].fsid == "03ff002929000000"
