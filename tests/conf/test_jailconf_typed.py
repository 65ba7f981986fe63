"""Parameters by type, what is wrong with them, jails given on a command line, and the table of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from vjail.conf.jailconf import (
    Checked,
    Family,
    InterfaceAddress,
    Jail,
    Jailsys,
    NoFiles,
    Operation,
    World,
    check_types,
    command_line,
    known_parameters,
    load,
    lookup,
    suggest,
)
from vjail.conf.jailconf.parameters import Role, Type
from vjail.conf.position import Source
from vjail.release import Release


def _jail(text: str, release: Release = Release.V13) -> Jail:
    (jail,) = load(Source.of_text("f", f"j {{ {text} }}"), release, NoFiles()).jails
    return jail


def _check(text: str, release: Release = Release.V13, operation: Operation = Operation.START) -> Checked:
    return check_types(_jail(text, release), release, operation)


def _said(checked: Checked) -> list[str]:
    return [message.text for message in checked.messages]


class _World:
    """A host with one fstab and one name."""

    def read(self, path: str) -> bytes:
        if path != "/etc/fstab.j":
            raise FileNotFoundError(2, "No such file or directory")
        return b"a b nullfs ro # why\n\n# all\nc d nullfs rw"

    def addresses(self, hostname: str) -> Sequence[str]:
        if hostname != "h":
            raise OSError(8, "Name does not resolve")
        return ["10.0.0.9", "2001:db8::9"]


_: World = _World()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("exec.clean;", True),
        ("exec.noclean;", False),
        ("exec.clean = TRUE;", True),
        ("exec.clean = false;", False),
        ("exec.clean = 0;", False),
        ("exec.clean = ' -1';", True),
        ("exec.clean = '';", False),
        ("exec.clean = false, true;", True),
        ("exec.noclean = false;", True),
        ("noexec.clean;", True),
        ("", False),
    ],
)
def test_booleans_of_jail(text: str, value: bool) -> None:
    checked = _check(text)
    assert checked.ok
    assert checked.pseudo.exec_clean is value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exec.clean = yes;", 'exec.clean: unknown boolean value "yes"'),
        ("mount.nodevfs = '1 ';", 'mount.nodevfs: unknown boolean value "1 "'),
        ("exec.timeout = 5s;", 'exec.timeout: non-integer value "5s"'),
        ("stop.timeout = '';", 'stop.timeout: non-integer value ""'),
        ("allow.mount = yes;", 'allow.mount: unknown boolean value "yes"'),
        ("vnet = yes;", 'vnet: unknown jailsys value "yes"'),
        ("securelevel = high;", 'securelevel: non-integer value "high"'),
        ("ip4.addr = 10.0.0.256;", "ip4.addr: not an IPv4 address: 10.0.0.256"),
        ("ip4.addr = 10.0.0.1, x;", "ip4.addr: not an IPv4 address: x"),
        ("ip6.addr = 10.0.0.1;", "ip6.addr: not an IPv6 address: 10.0.0.1"),
        ("ip6.addr = 'fe80::1%em0';", "ip6.addr: not an IPv6 address: fe80::1%em0"),
        ("nonsense;", "unknown parameter: nonsense"),
        ("novnet;", "unknown parameter: novnet"),
        ("noallow.mount;", "unknown parameter: noallow.mount"),
        ("host.nohostname = x;", "unknown parameter: host.nohostname"),
        ("allow.nfsd;", "unknown parameter: allow.nfsd"),
        (f"securelevel = {'x' * 2000};", 'securelevel: non-integer value "' + "x" * 992),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    checked = _check(text)
    assert _said(checked) == [f"j: {said}"[: 1023 + 3]]
    assert not checked.kernel
    assert checked.messages[0].span is not None


def test_errors_of_jail_s_own_parameters_come_first_and_alone() -> None:
    assert _said(_check("nonsense; exec.fib = x; mount.devfs = y;")) == [
        'j: exec.fib: non-integer value "x"',
        'j: mount.devfs: unknown boolean value "y"',
    ]
    assert _said(_check("nonsense; vnet = x;")) == [
        "j: unknown parameter: nonsense",
        'j: vnet: unknown jailsys value "x"',
    ]


def test_the_kernel_is_told_nothing_of_a_jail_that_is_to_be_stopped() -> None:
    checked = _check("nonsense; vnet = x; exec.stop = a, b;", operation=Operation.STOP)
    assert checked.ok
    assert not checked.kernel
    assert checked.pseudo.exec_stop == ("a", "b")


def test_kernel_parameters() -> None:
    checked = _check(
        "path = /a, /b; vnet; persist; allow.nomount; allow.mlock = false; allow.quotas = 2; host = inherit;"
        " children.max = '-1'; host.hostid = 7; host.hostname; ip4.addr = 10.0.0.1/24, 'em0|10.0.0.2 up';"
        " ip6.addr = '-'; enforce_statfs = 4294967297; sysvmsg = 2; sysvsem = 5;"
    )
    assert checked.ok
    assert [(p.name, p.option, p.value, p.exported) for p in checked.kernel] == [
        ("name", "name", "j", "j"),
        ("path", "path", "/b", "/b"),
        ("vnet", "vnet", Jailsys.NEW, "new"),
        ("persist", "persist", True, None),
        ("allow.nomount", "allow.mount", False, None),
        ("allow.mlock", "allow.mlock", False, "false"),
        ("allow.quotas", "allow.quotas", True, "2"),
        ("host", "host", Jailsys.INHERIT, "inherit"),
        ("children.max", "children.max", -1, "-1"),
        ("host.hostid", "host.hostid", 7, "7"),
        ("host.hostname", "host.hostname", "", ""),
        ("ip4.addr", "ip4.addr", ("10.0.0.1", "10.0.0.2"), "10.0.0.1,10.0.0.2"),
        ("ip6.addr", "ip6.addr", (), ""),
        ("enforce_statfs", "enforce_statfs", 1, "1"),
        ("sysvmsg", "sysvmsg", Jailsys.INHERIT, "inherit"),
        ("sysvsem", "sysvsem", 5, "5"),
    ]


def test_a_parameter_whose_module_is_not_loaded() -> None:
    checked = check_types(_jail("allow.mount.zfs;"), Release.V13, absent={"allow.mount.zfs"})
    (message,) = checked.messages
    assert message.text == "j: unknown parameter: allow.mount.zfs"
    assert message.hint is not None
    assert "module 'zfs'" in message.hint.text


@pytest.mark.parametrize(
    ("text", "release", "hint"),
    [
        ("hostname = x;", Release.V13, "did you mean 'host.hostname'?"),
        ("ip4_addr = x;", Release.V13, "did you mean 'ip4.addr'?"),
        ("exec.strat = x;", Release.V13, "did you mean 'exec.start'?"),
        ("allow.raw_socket;", Release.V13, "did you mean 'allow.raw_sockets'?"),
        ("nopersit;", Release.V13, "did you mean 'nopersist'?"),
        ("zfs.dataset = x;", Release.V13, "FreeBSD 15 has it"),
        ("exec.prepare = x;", Release.V12, "FreeBSD 13 has it"),
        ("'.include' x;", Release.V13, "from FreeBSD 14 on"),
    ],
)
def test_hints_for_unknown_parameters(text: str, release: Release, hint: str) -> None:
    (message,) = _check(text, release).messages
    assert message.hint is not None
    assert hint in message.hint.text


def test_an_unknown_parameter_like_no_other_gets_no_hint() -> None:
    (message,) = _check("qqqq;").messages
    assert message.hint is None


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("em0|10.0.0.1/24", ("em0", "10.0.0.1", "24", ())),
        ("em0|10.0.0.1", ("em0", "10.0.0.1", None, ())),
        ("em0|10.0.0.1/255.0.0.0 media  auto", ("em0", "10.0.0.1", "255.0.0.0", ("media", "auto"))),
        ("10.0.0.1 mtu 9000/1", ("vtnet0", "10.0.0.1", None, ("mtu", "9000/1"))),
        ("|10.0.0.1/8", ("", "10.0.0.1", "8", ())),
    ],
)
def test_addresses_for_interfaces(element: str, expected: tuple[str, str, str | None, tuple[str, ...]]) -> None:
    checked = _check(f"interface = vtnet0; ip4.addr = '{element}';")
    assert checked.ok
    (address,) = checked.addresses
    assert address == InterfaceAddress(Family.INET, *expected, origins=address.origins)
    assert checked.kernel[-1].value == ("10.0.0.1",)


def test_without_an_interface_nothing_is_set_on_the_host() -> None:
    checked = _check("ip4.addr = 10.0.0.1/24; ip6.addr = '2001:db8::1/64', 'em0|2001:db8::2';")
    assert [address.address for address in checked.addresses] == ["2001:db8::2"]
    assert [parameter.value for parameter in checked.kernel[1:]] == [("10.0.0.1",), ("2001:db8::1", "2001:db8::2")]


def test_one_element_with_commas_is_one_argument_but_two_addresses() -> None:
    checked = _check("interface = em0; ip4.addr = '10.0.0.1,10.0.0.2';")
    assert [address.address for address in checked.addresses] == ["10.0.0.1,10.0.0.2"]
    assert checked.kernel[-1].value == ("10.0.0.1", "10.0.0.2")


def test_addresses_of_the_host_name() -> None:
    jail = _jail("ip_hostname; host.hostname = h; interface = em0; ip4.addr = 10.0.0.1;")
    checked = check_types(jail, Release.V13, world=_World())
    assert [parameter.value for parameter in checked.kernel if "addr" in parameter.name] == [
        ("10.0.0.1", "10.0.0.9"),
        ("2001:db8::9",),
    ]
    assert [address.address for address in checked.addresses] == ["10.0.0.1", "10.0.0.9", "2001:db8::9"]
    stopped = check_types(_jail("ip_hostname; host.hostname = h;"), Release.V13, Operation.STOP, world=_World())
    assert not stopped.addresses


def test_a_host_name_that_is_not_known() -> None:
    checked = check_types(_jail("ip_hostname; host.hostname = x;"), Release.V13, world=_World())
    assert _said(checked) == ["j: host.hostname x: Name does not resolve"]


def test_mounts_from_fstab() -> None:
    jail = _jail("mount.fstab = '', /etc/fstab.j;")
    assert check_types(jail, Release.V13, world=_World()).fstab == ("a b nullfs ro ", "", "", "c d nullfs rw")
    missing = check_types(_jail("mount.fstab = /x;"), Release.V13, world=_World())
    assert _said(missing) == ["j: mount.fstab: /x: No such file or directory"]


def _arguments(arguments: list[str], release: Release = Release.V13) -> list[tuple[str, tuple[str, ...]]]:
    (jail,) = command_line(arguments, release).jails
    return [(parameter.name, parameter.texts) for parameter in jail.parameters]


def test_arguments() -> None:
    assert _arguments(["vnet", "name=jj", "path=/a=b", "x=$y 'z'", "x=", "persist"]) == [
        ("vnet", ()),
        ("name", ("jj",)),
        ("path", ("/a=b",)),
        ("x", ("$y 'z'", "")),
        ("persist", ()),
    ]
    assert _arguments(["persist=1", "nopersist"]) == [("nopersist", ())]


def test_arguments_after_command_are_its_words() -> None:
    assert _arguments(["path=/", "command=/bin/sh", "-c", "x=1"]) == [
        ("path", ("/",)),
        ("command", ("/bin/sh", "-c", "x=1")),
    ]
    assert _arguments(["command", "a", "b"]) == [("command", ("a", "b"))]


def test_argument_lists_are_split_at_commas() -> None:
    arguments = ["ip4.addr=1,2", "ip4.addr=3", "vnet.interface=a,b"]
    assert _arguments(arguments) == [("ip4.addr", ("1", "2", "3")), ("vnet.interface", ("a,b",))]
    assert _arguments(arguments, Release.V15)[1] == ("vnet.interface", ("a", "b"))


def test_messages_of_arguments_have_no_name_and_point_at_the_argument() -> None:
    configuration = command_line(["path=/", "name=a", "name=b"], Release.V13)
    (message,) = configuration.messages
    assert message.line == 'jail: cannot redefine parameter "name".'
    assert str(message.span) == "arguments:3:1"
    assert configuration.jails[0].failed
    assert configuration.jails[0].block is None


def test_the_table_of_parameters() -> None:
    known = known_parameters(Release.V13)
    assert known["vnet"].type is Type.JAILSYS
    assert known["exec.start"].role is Role.PSEUDO
    assert "zfs.dataset" not in known
    assert "zfs.dataset" in known_parameters(Release.V15)
    assert "exec.prepare" not in known_parameters(Release.V12)
    negated = lookup("allow.noraw_sockets", Release.V13)
    assert negated is not None
    assert negated.name == "allow.raw_sockets"
    key = lookup("meta.owner", Release.V15)
    assert key is not None
    assert (key.name, key.type) == ("meta.owner", Type.STRING)
    assert lookup("meta.owner", Release.V13) is None
    assert suggest("exec.pre_start", Release.V13) == "exec.prestart"


def test_the_table_has_the_parameters_of_a_freebsd_machine() -> None:
    recorded = (Path(__file__).parent.parent / "data/freebsd-13.2/observed/b1_two_jails.txt").read_text()
    (listed,) = {line for line in recorded.splitlines() if line.startswith("devfs_ruleset dying enforce_statfs")}
    kernel = {name for name, known in known_parameters(Release.V13).items() if known.role is not Role.PSEUDO}
    assert set(listed.split()) <= kernel
    assert {name for name in kernel if known_parameters(Release.V13)[name].module is None} <= set(listed.split())
