"""The table of jails: jail_set(2), jail_get(2), jail_remove(2) as recorded and as kern_jail.c has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jail_fakes import FakeHost

from vjail.kernel.core.mac import Identity
from vjail.kernel.core.mounts import JailRules
from vjail.kernel.core.part import Caller
from vjail.kernel.core.prison_queries import PrisonQueries
from vjail.kernel.core.prison_record import NO_UUID, HostIdentity, Prison
from vjail.kernel.core.sysctl import JailValues
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import CreateJail, RemoveJail, UpdateJail

Parameters = Mapping[str, str | None]


class Memory:
    """A journal in memory that holds what json can."""

    def __init__(self) -> None:
        self.kinds: dict[str, dict[str, str]] = {}

    def put(self, kind: str, key: str, record: dict[str, object]) -> None:
        self.kinds.setdefault(kind, {})[key] = json.dumps(record)

    def drop(self, kind: str, key: str) -> None:
        self.kinds.get(kind, {}).pop(key, None)

    def records(self, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
        yield from ((key, json.loads(text)) for key, text in self.kinds.get(kind, {}).items())


def create(host: FakeHost, words: str, jid: int = 0) -> int:
    """Create a jail from words (`name=a persist`), as a process of jail `jid` does."""
    return host.system(jid).apply(CreateJail(parsed(words)))


def update(host: FakeHost, target: int, words: str, jid: int = 0) -> None:
    host.system(jid).apply(UpdateJail(target, parsed(words)))


def remove(host: FakeHost, target: int, jid: int = 0) -> None:
    host.system(jid).apply(RemoveJail(target))


def parsed(words: str) -> tuple[tuple[str, str | None], ...]:
    pairs = (word.partition("=") for word in words.split())
    return tuple((name, value if equals else None) for name, equals, value in pairs)


def refused(host: FakeHost, words: str, jid: int = 0) -> tuple[Errno, str]:
    with pytest.raises(KernelError) as caught:
        create(host, words, jid)
    return caught.value.errno, caught.value.message


def names(host: FakeHost, jid: int = 0, *, dying: bool = False) -> list[tuple[int, str]]:
    return [(jail.jid, jail.name) for jail in host.system(jid).jails(dying=dying)]


def read(host: FakeHost, jid: int, parameter: str, seen_from: int = 0) -> object:
    return host.system(seen_from).jail(jid).parameters[parameter]


# --- jids and names ---------------------------------------------------------------------------------------------------


def test_jids_go_on_behind_the_last_automatic_one() -> None:
    host = FakeHost()
    assert [create(host, "persist") for _ in range(2)] == [1, 2]
    assert create(host, "name=12 persist") == 12
    remove(host, 2)
    assert create(host, "persist") == 3
    assert create(host, "jid=4 persist") == 4
    assert create(host, "persist") == 5
    assert names(host) == [(1, "1"), (3, "3"), (4, "4"), (5, "5"), (12, "12")]


def test_jids_begin_again_at_the_end() -> None:
    host = FakeHost()
    host.prisons._last = 999_998
    assert [create(host, "persist") for _ in range(3)] == [999_999, 1, 2]


def test_a_creation_that_fails_late_uses_its_jid_up() -> None:
    host = FakeHost()
    create(host, "persist ip4.addr=10.0.0.1,10.0.0.2")
    assert refused(host, "persist ip4.addr=10.0.0.2")[0] is Errno.EADDRINUSE
    assert create(host, "persist") == 3


def test_cpusets_take_the_lowest_free_number_from_3() -> None:
    host = FakeHost()
    for _ in range(3):
        create(host, "persist")
    assert [read(host, jid, "cpuset.id") for jid in (1, 2, 3)] == [3, 4, 5]
    remove(host, 1)
    assert read(host, create(host, "persist"), "cpuset.id") == 3
    assert read(host, create(host, "persist"), "cpuset.id") == 6


@pytest.mark.parametrize(
    ("words", "errno", "message"),
    [
        ("name=a", Errno.EINVAL, "new jail must persist or attach"),
        ("name=a nopersist", Errno.EINVAL, "new jail must persist or attach"),
        ("name=x persist", Errno.EEXIST, 'jail "x" already exists'),
        ("jid=1 persist", Errno.EEXIST, "jail 1 already exists"),
        ("name=1 persist", Errno.EEXIST, "jail 1 already exists"),
        ("jid=-2 persist", Errno.EINVAL, "negative jid"),
        ("name=007 persist", Errno.EINVAL, "name cannot be numeric (unless it is the jid)"),
        ("name=8 jid=9 persist", Errno.EINVAL, "name cannot be numeric (unless it is the jid)"),
        ("name=no.b persist", Errno.ENOENT, 'jail "no" not found'),
        ("name=" + 256 * "n" + " persist", Errno.ENAMETOOLONG, ""),
        ("banana persist", Errno.EINVAL, "unknown parameter: banana"),
        ("novnet persist", Errno.EINVAL, "unknown parameter: novnet"),
        ("allow.mount.zfs persist", Errno.EINVAL, "unknown parameter: allow.mount.zfs"),
        ("children.cur=1 persist", Errno.EINVAL, "unknown parameter: children.cur"),
        ("vnet=disable persist", Errno.EINVAL, ""),
        ("vnet=maybe persist", Errno.EINVAL, 'vnet: unknown jailsys value "maybe"'),
        ("vnet=7 persist", Errno.EINVAL, ""),
        ("persist=maybe", Errno.EINVAL, 'persist: unknown boolean value "maybe"'),
        ("securelevel=high persist", Errno.EINVAL, 'securelevel: non-integer value "high"'),
        ("ip4.addr=10.0.0.999 persist", Errno.EINVAL, "ip4.addr: not an IPv4 address: 10.0.0.999"),
        ("ip6.addr=fe80::1%lo0 persist", Errno.EINVAL, "ip6.addr: not an IPv6 address: fe80::1%lo0"),
        ("vnet ip4.addr=10.0.0.1 persist", Errno.EINVAL, "vnet jails cannot have IP address restrictions"),
        ("vnet ip6=inherit persist", Errno.EINVAL, "vnet jails cannot have IP address restrictions"),
        ("ip4.addr=10.0.0.1,10.0.0.1 persist", Errno.EINVAL, ""),
        ("ip4.addr=0.0.0.0 persist", Errno.EINVAL, ""),
        (
            "ip4.addr=" + ",".join(f"10.0.1.{n}" for n in range(256)) + " persist",
            Errno.EINVAL,
            "too many IPv4 addresses",
        ),
        ("enforce_statfs=3 persist", Errno.EINVAL, ""),
        ("devfs_ruleset=65536 persist", Errno.EINVAL, ""),
        ("securelevel=-2 persist", Errno.EPERM, ""),
        ("osreldate=0 persist", Errno.EINVAL, "osreldate cannot be 0"),
        ("osrelease=" + 32 * "r" + " persist", Errno.ENAMETOOLONG, "osrelease string must be 1-31 bytes long"),
        ("host.hostname=" + 256 * "h" + " persist", Errno.ENAMETOOLONG, ""),
    ],
)
def test_refusals(words: str, errno: Errno, message: str) -> None:
    host = FakeHost()
    create(host, "name=x persist")
    assert refused(host, words) == (errno, message)
    assert names(host) == [(1, "x")]


def test_what_a_driver_refuses_never_was() -> None:
    host = FakeHost()
    host.driver.fails["make"] = KernelError(Errno.ENOENT)
    assert refused(host, "name=a vnet persist") == (Errno.ENOENT, "")
    assert names(host) == []
    assert list(host.network.vnets) == [0]


def test_a_vnet_that_cannot_be_made_takes_its_jail_down() -> None:
    host = FakeHost()

    def full(number: int) -> None:
        raise KernelError(Errno.ENOMEM)

    host.prisons._add_vnet = full
    assert refused(host, "name=a vnet persist") == (Errno.ENOMEM, "")
    assert host.driver.calls == [("make", 1, "/", 0), ("remove", 1)]
    assert names(host) == []


# --- hierarchy --------------------------------------------------------------------------------------------------------


def nested() -> FakeHost:
    """m (1) with two children of its own, k (2) and l (3), and beside it n (4)."""
    host = FakeHost()
    create(host, "name=m persist children.max=2 path=/m vnet")
    create(host, "name=k persist path=/k", jid=1)
    create(host, "name=l persist vnet", jid=1)
    create(host, "name=n persist")
    return host


def test_names_and_paths_are_relative_to_who_looks() -> None:
    host = nested()
    assert names(host) == [(1, "m"), (2, "m.k"), (3, "m.l"), (4, "n")]
    assert names(host, 1) == [(2, "k"), (3, "l")]
    assert names(host, 2) == []
    assert [jail.path for jail in host.system().jails()] == ["/m", "/m/k", "/m", "/"]
    assert [jail.path for jail in host.system(1).jails()] == ["/k", "/"]
    assert [jail.parent for jail in host.system().jails()] == [0, 1, 1, 0]
    assert [jail.parent for jail in host.system(1).jails()] == [0, 0]
    assert host.system(1).jail("k").jid == 2
    assert read(host, 1, "children.cur") == 2
    with pytest.raises(KernelError, match='jail "n" not found'):
        host.system(1).jail("n")
    with pytest.raises(KernelError, match="jail 4 not found"):
        host.system(1).jail(4)


def test_a_child_shares_its_parents_vnet_unless_it_has_its_own() -> None:
    host = nested()
    assert [host.prisons.vnet_of(jid) for jid in (0, 1, 2, 3, 4)] == [0, 1, 1, 3, 0]


def test_limits_on_children() -> None:
    host = nested()
    assert refused(host, "name=z persist", jid=1) == (Errno.EPERM, "prison limit exceeded")
    assert refused(host, "name=z persist", jid=2) == (Errno.EPERM, "")
    assert refused(host, "name=z persist children.max=2", jid=1) == (Errno.EPERM, "prison limit exceeded")
    update(host, 1, "children.max=9")
    assert refused(host, "name=z persist children.max=9", jid=1) == (Errno.EPERM, "")
    third = create(host, "name=z persist children.max=8", jid=1)
    update(host, 1, "children.max=3")
    assert read(host, third, "children.max") == 2


def test_only_the_creators_own_limit_and_those_above_it_count() -> None:
    host = FakeHost()
    create(host, "name=x persist")
    assert names(host, create(host, "name=x.b persist") - 1) == [(2, "b")]


def test_a_child_has_no_permission_its_parent_lacks() -> None:
    host = FakeHost()
    create(host, "name=m persist children.max=2 allow.raw_sockets allow.noset_hostname")
    assert refused(host, "persist allow.chflags", jid=1) == (Errno.EPERM, "")
    child = create(host, "name=k persist allow.raw_sockets", jid=1)
    assert read(host, child, "allow.raw_sockets") is True
    assert read(host, child, "allow.set_hostname") is False
    update(host, 1, "allow.noraw_sockets")
    assert read(host, child, "allow.raw_sockets") is False


def test_what_a_parent_is_held_to_its_children_are() -> None:
    host = FakeHost()
    create(host, "name=m persist children.max=2 enforce_statfs=1 devfs_ruleset=5")
    create(host, "name=k persist enforce_statfs=1", jid=1)
    assert refused(host, "persist enforce_statfs=0", jid=1) == (Errno.EPERM, "")
    assert refused(host, "persist devfs_ruleset=4", jid=1) == (Errno.EPERM, "")
    create(host, "name=l persist devfs_ruleset=5", jid=1)
    update(host, 1, "securelevel=2 enforce_statfs=2 devfs_ruleset=6")
    assert [read(host, 2, name) for name in ("securelevel", "enforce_statfs", "devfs_ruleset")] == [2, 2, 6]
    with pytest.raises(KernelError):
        update(host, 2, "securelevel=1", jid=1)


def test_renaming_renames_those_below() -> None:
    host = nested()
    update(host, 1, "name=mm")
    assert names(host) == [(1, "mm"), (2, "mm.k"), (3, "mm.l"), (4, "n")]
    assert host.system().jail("mm.k").jid == 2
    with pytest.raises(KernelError, match="cannot change jail's parent"):
        update(host, 2, "name=n.k")
    with pytest.raises(KernelError, match='jail "n" already exists'):
        update(host, 1, "name=n")
    with pytest.raises(KernelError, match="name cannot be numeric"):
        update(host, 1, "name=77")


def test_removing_a_parent_removes_those_below_first() -> None:
    host = nested()
    host.driver.calls.clear()
    remove(host, 1)
    assert [call for call in host.driver.calls if call[0] == "remove"] == [("remove", 3), ("remove", 2), ("remove", 1)]
    assert names(host) == [(4, "n")]
    assert list(host.network.vnets) == [0]


def test_a_jail_can_remove_only_what_is_below_it() -> None:
    host = nested()
    with pytest.raises(KernelError) as caught:
        remove(host, 4, jid=1)
    assert caught.value.errno is Errno.EINVAL
    remove(host, 2, jid=1)
    assert names(host, 1) == [(3, "l")]


# --- addresses --------------------------------------------------------------------------------------------------------


def test_reading_back_ip_parameters() -> None:
    host = FakeHost()
    for words, ip4, addresses in (
        ("persist", "disable", ()),
        ("persist vnet", "inherit", ()),
        ("persist ip4=inherit", "inherit", ()),
        ("persist ip4.addr=10.0.0.9,10.0.0.3,10.0.0.1", "disable", ("10.0.0.9", "10.0.0.1", "10.0.0.3")),
    ):
        jid = create(host, words)
        assert (read(host, jid, "ip4"), read(host, jid, "ip4.addr")) == (ip4, addresses)


def test_one_address_each_may_be_shared_others_clash() -> None:
    host = FakeHost()
    create(host, "persist ip4.addr=10.0.0.1")
    create(host, "persist ip4.addr=10.0.0.1")
    assert refused(host, "persist ip4.addr=10.0.0.2,10.0.0.1") == (Errno.EADDRINUSE, "IPv4 addresses clash")
    create(host, "persist ip6.addr=fd00::1,fd00::2")
    assert refused(host, "persist ip6.addr=fd00::2") == (Errno.EADDRINUSE, "IPv6 addresses clash")
    remove(host, 4)
    create(host, "persist ip6.addr=fd00::2")


def test_another_vnet_has_its_own_addresses() -> None:
    host = FakeHost()
    create(host, "persist ip4.addr=10.0.0.1,10.0.0.2")
    create(host, "name=v persist vnet children.max=3")
    create(host, "persist ip4.addr=10.0.0.1,10.0.0.2", jid=2)


def test_a_childs_addresses_are_its_parents() -> None:
    host = FakeHost()
    create(host, "name=m persist children.max=5 ip4.addr=10.0.0.1")
    assert refused(host, "persist ip4.addr=10.0.0.2", jid=1) == (Errno.EPERM, "")
    own = create(host, "name=k persist ip4.addr=10.0.0.1", jid=1)
    same = create(host, "name=l persist ip4=inherit", jid=1)
    assert read(host, same, "ip4.addr") == ("10.0.0.1",)
    update(host, 1, "ip4.addr=10.0.0.7")
    assert read(host, own, "ip4.addr") == ()
    assert read(host, same, "ip4.addr") == ("10.0.0.7",)


@pytest.mark.parametrize(
    ("made", "words", "message"),
    [
        ("persist", "vnet", "vnet cannot be changed after creation"),
        ("persist", "path=/x", "path cannot be changed after creation"),
        ("persist", "osrelease=1", "osrelease cannot be changed after creation"),
        ("persist", "osreldate=1", "osreldate cannot be changed after creation"),
        ("persist", "ip4=inherit", "ip4 cannot be changed after creation"),
        ("persist ip6=inherit", "ip6.addr=fd00::1", "ip6 cannot be changed after creation"),
        ("persist vnet", "ip4.addr=10.0.0.1", "vnet jails cannot have IP address restrictions"),
    ],
)
def test_what_an_update_cannot_change(made: str, words: str, message: str) -> None:
    host = FakeHost()
    jid = create(host, made)
    with pytest.raises(KernelError) as caught:
        update(host, jid, words)
    assert (caught.value.errno, caught.value.message) == (Errno.EINVAL, message)


def test_an_update_the_driver_refuses_changes_nothing() -> None:
    host = nested()
    host.driver.fails["changed"] = KernelError(Errno.EBUSY)
    with pytest.raises(KernelError):
        update(host, 1, "name=other securelevel=3")
    assert names(host)[0] == (1, "m")
    assert read(host, 1, "securelevel") == -1


# --- host, System V IPC -----------------------------------------------------------------------------------------------


def test_host_names() -> None:
    host = FakeHost()
    create(host, "name=own persist children.max=3 host.hostname=h.x host.hostid=7")
    create(host, "name=same persist host=inherit", jid=1)
    assert read(host, 2, "host") == "inherit"
    assert read(host, 2, "host.hostname") == "h.x"
    host.prisons.set_identity(2, HostIdentity("new.x"))
    assert [read(host, jid, "host.hostname") for jid in (1, 2)] == ["new.x", "new.x"]
    assert host.prisons.identity(0).hostname == ""
    update(host, 1, "host.hostname=again.x")
    assert read(host, 2, "host.hostname") == "again.x"


def test_system_v_ipc() -> None:
    host = FakeHost()
    create(host, "name=a persist allow.sysvipc children.max=2 sysvshm=new")
    assert [read(host, 1, name) for name in ("sysvmsg", "sysvsem", "sysvshm")] == ["inherit", "inherit", "new"]
    create(host, "name=b persist children.max=2")
    assert read(host, 2, "sysvmsg") == "disable"
    assert refused(host, "persist sysvmsg=new", jid=2) == (Errno.EPERM, "")
    create(host, "persist sysvmsg=inherit", jid=1)


# --- what the other parts ask -----------------------------------------------------------------------------------------


def test_queries() -> None:
    host = nested()
    queries = PrisonQueries(host.prisons)
    rules: JailRules = queries
    values: JailValues = queries
    assert rules.permits(1, "allow.set_hostname")
    assert not rules.permits(1, "allow.mount")
    assert (rules.enforce_statfs(0), rules.enforce_statfs(1), rules.devfs_ruleset(1)) == (0, 2, 0)
    assert (rules.root(2), list(rules.roots_in("/m"))) == ("/m/k", ["/m", "/m", "/m/k"])
    assert (list(rules.roots_in("/m/k")), list(rules.roots_in("/mm"))) == (["/m/k"], [])
    assert rules.is_descendant(2, 1)
    assert [values.get(1, name) for name in ("vnet", "children.max", "children.cur", "securelevel")] == [
        "new",
        2,
        2,
        -1,
    ]
    values.set(1, "host.hostid", 7)
    values.set(1, "securelevel", 2)
    assert (values.get(1, "host.hostid"), values.get(2, "securelevel")) == (7, 2)
    assert queries.identity_of(1) == Identity(7, NO_UUID, "m")
    assert queries.identity_of(0).jail == "0"
    assert queries.vnet_of(2, Caller(1, 1)) == 1
    for question in (lambda: queries.vnet_of(4, Caller(1, 1)), lambda: queries.get(99, "vnet")):
        with pytest.raises(KernelError):
            question()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("vnet", "new"),
        ("securelevel", 2),
        ("enforce_statfs", 1),
        ("devfs_ruleset", 5),
        ("children.max", 3),
        ("children.cur", 1),
        ("allow.mlock", True),
        ("allow.chflags", False),
        ("host.domainname", "example.org"),
    ],
)
def test_what_sysctl_shows(parameter: str, value: bool | int | str) -> None:
    host = FakeHost()
    words = "securelevel=2 enforce_statfs=1 devfs_ruleset=5 children.max=3 allow.mlock host.domainname=example.org"
    jid = create(host, f"name=a path=/ persist vnet {words}")
    create(host, "name=a.b path=/ persist")
    assert PrisonQueries(host.prisons).get(jid, parameter) == value


def test_what_sysctl_does_not_know() -> None:
    queries = PrisonQueries(FakeHost().prisons)
    with pytest.raises(KernelError) as caught:
        queries.get(0, "persist")
    assert caught.value.errno is Errno.ENOENT
    with pytest.raises(KernelError) as caught:
        queries.set(0, "enforce_statfs", 1)
    assert caught.value.errno is Errno.EPERM


def test_the_hosts_own_names_outlive_it() -> None:
    journal = Memory()
    PrisonQueries(FakeHost(journal=journal).prisons).set(0, "host.hostname", "fbsd")
    later = FakeHost(journal=journal)
    later.prisons.restore()
    assert later.prisons.identity(0).hostname == "fbsd"


# --- the end of a jail ------------------------------------------------------------------------------------------------


def test_without_persist_a_jail_goes_with_its_last_process() -> None:
    host = FakeHost()
    jid = create(host, "persist vnet")
    host.processes = [_Process(10, jid), _Process(11, jid)]  # type: ignore[list-item]
    update(host, jid, "nopersist")
    assert names(host) == [(jid, "1")]
    host.processes.pop()
    host.prisons.last_process(jid)
    assert names(host) == [(jid, "1")]
    host.processes.pop()
    host.prisons.last_process(jid)
    assert names(host) == []
    host.prisons.last_process(jid)


class _Process:
    def __init__(self, pid: int, jid: int) -> None:
        self.pid = pid
        self.jid = jid

    def kill(self, signal: int) -> None:
        """Nobody asks whether it worked."""


def test_nopersist_without_a_process_is_the_end() -> None:
    host = FakeHost()
    update(host, create(host, "persist"), "nopersist")
    assert names(host) == []


def test_a_jail_lives_as_long_as_one_below_it() -> None:
    host = FakeHost()
    create(host, "name=m persist children.max=1")
    create(host, "name=k persist", jid=1)
    update(host, 1, "nopersist")
    assert names(host) == [(1, "m"), (2, "m.k")]
    remove(host, 2)
    assert names(host) == []


def test_a_dying_jail_keeps_its_jid_and_vnet_but_not_its_name() -> None:
    host = FakeHost()
    create(host, "name=m persist vnet ip4.saddrsel")
    host.network.vnets[1].append("epair3b")
    host.network.homes["epair3b"] = 0
    host.driver.holding.add(1)
    remove(host, 1)
    assert names(host) == []
    assert names(host, dying=True) == [(1, "m")]
    with pytest.raises(KernelError, match='jail "m" is dying'):
        host.system().jail("m")
    with pytest.raises(KernelError, match="jail 1 is dying"):
        host.system().jail(1)
    assert host.system().jail("m", dying=True).parameters["dying"] is True
    assert refused(host, "jid=1 persist") == (Errno.EEXIST, "jail 1 already exists")
    assert create(host, "name=m persist vnet") == 2
    assert host.system().jail("m").jid == 2
    with pytest.raises(KernelError):
        update(host, 1, "persist")
    assert "epair3b" not in host.network.vnets[0]
    host.prisons.released(1)
    assert names(host, dying=True) == [(2, "m")]
    assert "epair3b" in host.network.vnets[0]


def test_a_dying_child_keeps_its_parent_dying() -> None:
    host = nested()
    host.driver.holding.add(2)
    remove(host, 1)
    assert names(host, dying=True) == [(1, "m"), (2, "m.k"), (4, "n")]
    assert refused(host, "name=m.z persist") == (Errno.ENOENT, 'jail "m" is dying')
    host.prisons.released(2)
    assert names(host, dying=True) == [(4, "n")]


def test_attaching() -> None:
    host = nested()
    here, inside = Caller(0, 0), Caller(1, 1)
    host.prisons.check_attach(here, 1, 0)
    host.prisons.check_attach(inside, 2, 0)
    for caller, jid, uid, errno in (
        (here, 1, 1001, Errno.EPERM),
        (here, 0, 0, Errno.EINVAL),
        (here, 99, 0, Errno.EINVAL),
        (inside, 1, 0, Errno.EINVAL),
        (inside, 4, 0, Errno.EINVAL),
    ):
        with pytest.raises(KernelError) as caught:
            host.prisons.check_attach(caller, jid, uid)
        assert caught.value.errno is errno


# --- taking over ------------------------------------------------------------------------------------------------------


def test_another_process_takes_over() -> None:
    journal = Memory()
    host = FakeHost(journal=journal)
    create(host, "name=m persist vnet children.max=4 host.hostname=h allow.chflags sysvshm=new path=/m")
    create(host, "name=m.k persist ip4.addr=10.0.0.1,10.0.0.2 ip6.addr=fd00::1")
    create(host, "persist")
    remove(host, 3)
    host.driver.holding.add(create(host, "name=d persist"))
    remove(host, 4)
    later = FakeHost(journal=journal)
    later.prisons.restore()
    assert later.system().jails(dying=True) == host.system().jails(dying=True)
    assert create(later, "persist") == 5
    assert refused(later, "name=m.z persist ip4.addr=10.0.0.2") == (Errno.EADDRINUSE, "IPv4 addresses clash")
    later.prisons.released(4)
    assert names(later, dying=True) == [(1, "m"), (2, "m.k"), (5, "5")]


_WORDS = st.sampled_from(
    ["vnet", "host=inherit", "children.max=3", "allow.chflags", "allow.nosuser", "securelevel=1", "ip4=inherit",
     "ip4.addr=10.1.0.1", "ip6.addr=fd00::5,fd00::6", "sysvmsg=new", "enforce_statfs=1", "devfs_ruleset=7"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sets(_WORDS, max_size=4)), max_size=12), st.data())
def test_whatever_happens_the_indexes_are_those_of_the_jails(
    steps: list[tuple[int, set[str]]], data: st.DataObject
) -> None:
    journal = Memory()
    host = FakeHost(journal=journal)
    for creator, words in steps:
        jids = [0, *(jail.jid for jail in host.system().jails())]
        try:
            create(host, " ".join(("persist", *sorted(words))), jid=jids[creator % len(jids)])
        except KernelError:
            continue
        if data.draw(st.booleans()):
            remove(host, data.draw(st.sampled_from([jail.jid for jail in host.system().jails()])))
    restored = FakeHost(journal=journal)
    restored.prisons.restore()
    assert restored.system().jails() == host.system().jails()
    mine, theirs = (each.prisons._table.__dict__ for each in (host, restored))
    for index in ("_counts", "_alive", "_dying", "_holders"):
        assert mine[index] == theirs[index]
    for jail in host.system().jails():
        prison = host.prisons.prison(jail.jid)
        assert prison is not None
        assert Prison.of_record(json.loads(json.dumps(prison.record()))) == prison
