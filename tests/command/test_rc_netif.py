"""service netif: which ifconfig(8) lines rc.conf becomes, in which order, and what is said."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from rchost import RcHost

from vjail.kernel.core.modules import KernelImage
from vjail.kernel.observed import Inet, Inet6


def started(host: RcHost, *words: str) -> list[str]:
    """The lines that change something, what only shows an interface left out."""
    assert host.script("netif", *(words or ("start",))) == 0
    return [line for line in host.calls("ifconfig") if " " in line]


CONFIGURATIONS = {
    "nothing": ("", ["lo0", "em0"], ["lo0 up", "lo0 inet 127.0.0.1/8 alias"]),
    "address": ('ifconfig_em0="inet 10.0.0.1/24"', ["em0"], ["em0 inet 10.0.0.1/24", "em0 up"]),
    "no address": ('ifconfig_em0="up"', ["em0"], ["em0 up", "em0 up"]),
    "every kind of line": (
        'ifconfig_em0="inet 10.0.0.1/24 mtu 1400"\n'
        'ifconfig_em0_ipv6="inet6 fd00::1/64"\n'
        'ifconfig_em0_descr="to the world"\n'
        'ifconfig_em0_alias0="ether 02:00:00:00:00:01"\n'
        'ifconfig_em0_alias1="inet 10.0.0.2/32"\n'
        'ifconfig_em0_alias2="inet6 fd00::2/128"\n'
        'ifconfig_em0_aliases="inet 10.0.0.3/32 inet6 fd00::3/128"\n'
        'ipv4_addrs_em0="10.0.0.4/32 10.0.0.5/32"\n'
        'ipv6_activate_all_interfaces="YES"\n',
        ["em0"],
        [
            "em0 inet6 -ifdisabled",
            "em0 inet 10.0.0.1/24 mtu 1400",
            "em0 inet6 -ifdisabled",
            "em0 inet6 fd00::1/64",
            "em0 ether 02:00:00:00:00:01 alias",
            "em0 description 'to the world'",
            "em0 up",
            "em0 inet 10.0.0.3/32 alias",
            "em0 inet 10.0.0.2/32 alias",
            "em0 inet 10.0.0.4/32 alias",
            "em0 inet 10.0.0.5/32 alias",
            "em0 inet6 fd00::3/128 alias",
            "em0 inet6 fd00::2/128 alias",
        ],
    ),
    "aliases in the order of their numbers, gaps and all": (
        'ifconfig_em0="up"\n'
        + "".join(f'ifconfig_em0_alias{number}="inet 10.0.0.{number}/32"\n' for number in (10, 2, 0, 9)),
        ["em0"],
        ["em0 up", "em0 up", *(f"em0 inet 10.0.0.{number}/32 alias" for number in (0, 2, 9, 10))],
    ),
    "an empty alias ends them": (
        'ifconfig_em0_alias0="inet 10.0.0.1/32"\nifconfig_em0_alias1=""\nifconfig_em0_alias2="inet 10.0.0.3/32"',
        ["em0"],
        ["em0 inet 10.0.0.1/32 alias"],
    ),
    "ranges": (
        'ifconfig_em0_alias0="inet 10.0.0.5-7/24"\n'
        'ifconfig_em0_alias1="inet 10.1.0.5-6"\n'
        'ifconfig_em0_alias2="inet 10.2-3.0.5/24 netmask 255.0.0.0"\n'
        'ifconfig_em0_alias3="inet6 fd00::9-b/64"\n'
        'ifconfig_em0_alias4="inet6 fd01::1-2:1"\n'
        'ifconfig_em0_ipv6="inet6 auto_linklocal"\n'
        'ipv4_addrs_em0="10.4.0.1-2/24"\n',
        ["em0"],
        [
            "em0 inet6 -ifdisabled",
            "em0 inet6 auto_linklocal",
            "em0 up",
            "em0 inet 10.0.0.5/24 alias",
            "em0 inet 10.0.0.6/32 alias",
            "em0 inet 10.0.0.7/32 alias",
            "em0 inet 10.1.0.5/32 alias",
            "em0 inet 10.1.0.6/32 alias",
            "em0 inet 10.2.0.5 netmask 255.0.0.0 alias",
            "em0 inet 10.3.0.5 netmask 255.0.0.0 alias",
            "em0 inet 10.4.0.1/24 alias",
            "em0 inet 10.4.0.2/32 alias",
            "em0 inet6 fd00::0009/64 alias",
            "em0 inet6 fd00::000a/64 alias",
            "em0 inet6 fd00::000b/64 alias",
            "em0 inet6 fd01::0001:1/64 alias",
            "em0 inet6 fd01::0002:1/64 alias",
        ],
    ),
    "prefixes": (
        'ipv6_prefix_em0="fd00:0:0:1 fd00:0:0:2::/72"\nipv6_gateway_enable=YES',
        ["em0"],
        [
            "em0 inet6 -ifdisabled",
            "em0 up",
            "em0 inet6 fd00:0:0:1:: prefixlen 64 eui64 alias",
            "em0 inet6 fd00:0:0:1:: prefixlen 64 alias anycast",
            "em0 inet6 fd00:0:0:2:: prefixlen 72 eui64 alias",
            "em0 inet6 fd00:0:0:2:: prefixlen 72 alias anycast",
        ],
    ),
    "router advertisements": (
        'ifconfig_em0_ipv6="inet6 accept_rtadv"',
        ["em0"],
        ["em0 inet6 -ifdisabled", "em0 inet6 accept_rtadv", "em0 up", "em0 inet6 accept_rtadv up"],
    ),
    "a name of its own": (
        'ifconfig_em0_name="wan"\nifconfig_wan="inet 10.0.0.1/24"\nifconfig_em0="inet 10.9.9.9/24"',
        ["em0"],
        ["em0 name wan", "wan inet 10.0.0.1/24", "wan up"],
    ),
    "a name with a dot": ('ifconfig_em0_5="inet 10.0.0.1/24"', ["em0.5"], ["em0.5 inet 10.0.0.1/24", "em0.5 up"]),
    "words for others": (
        'ifconfig_em0="NOAUTO inet 10.0.0.1/24"\nifconfig_em1="vnet j1 WPA inet 10.0.0.2/24"\n',
        ["em0", "em1", "em2"],
        ["em1 inet 10.0.0.2/24", "em1 up"],
    ),
    "a default, which stands for IPv6 lines too": (
        'ifconfig_em0="mtu 800"\nifconfig_em0_ipv6="inet6 fd00::1"\nifconfig_DEFAULT="DHCP mtu 900"',
        ["em0", "em2"],
        [
            "em0 mtu 800",
            "em0 inet6 -ifdisabled",
            "em0 inet6 fd00::1",
            "em0 up",
            "em2 mtu 900",
            "em2 inet6 -ifdisabled",
            "em2 mtu 900",
            "em2 up",
        ],
    ),
    "quotes and variables inside": (
        "who=me\nifconfig_em0='description \"to $who\"'",
        ["em0"],
        ["em0 description 'to me'", "em0 up"],
    ),
    "a list of interfaces": (
        'network_interfaces="em1"\ncloned_interfaces="epair0"\nifconfig_em0="up"\nifconfig_em1="mtu 1400"\n'
        'ifconfig_epair0b="up"',
        ["em0", "em1", "lo0"],
        ["epair0 create", "lo0 up", "lo0 inet 127.0.0.1/8 alias", "em1 mtu 1400", "em1 up", "epair0b up", "epair0b up"],
    ),
    "clones": (
        'cloned_interfaces="bridge0:sticky epair0 lo1:nosticky"\ncreate_args_bridge0="priority 7"\n'
        'ifconfig_bridge0="inet 10.0.0.254/24 addm em0 addm epair0a up"\nifconfig_epair0a=up',
        ["em0"],
        [
            "bridge0 create priority 7",
            "epair0 create",
            "lo1 create",
            "bridge0 inet 10.0.0.254/24 addm em0 addm epair0a up",
            "bridge0 up",
            "epair0a up",
            "epair0a up",
        ],
    ),
    "a half of a pair counts for the pair": ('cloned_interfaces="epair1"', ["epair1b"], []),
    "vlans": (
        'vlans_em0="5 vlan7 guests"\ncreate_args_em0_5="up"\ncreate_args_vlan7="vlan 7"\ncreate_args_guests="vlan 9"\n'
        'ifconfig_em0="up"\nifconfig_em0_5="inet 10.5.0.1/24"\nifconfig_guests="inet 10.9.0.1/24"',
        ["em0"],
        [
            "em0 up",
            "em0 up",
            "em0.5 create up",
            "em0.5 inet 10.5.0.1/24",
            "em0.5 up",
            "vlan7 create vlandev em0 vlan 7",
            "vlan create vlandev em0 vlan 9",
            "vlan0 name guests",
            "guests inet 10.9.0.1/24",
            "guests up",
        ],
    ),
    "no addresses on some": (
        'ifconfig_pflog0="up"\nifconfig_pflog0_alias0="inet 10.0.0.1/8"',
        ["pflog0"],
        ["pflog0 up"] * 2,
    ),
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_what_is_called(case: str) -> None:
    rc_conf, interfaces, expected = CONFIGURATIONS[case]
    host = RcHost(rc_conf, interfaces)
    assert started(host) == expected


def test_lo0_is_first_and_gets_its_address_unless_it_has_a_line() -> None:
    host = RcHost("ifconfig_em0=up")
    assert started(host) == ["lo0 up", "lo0 inet 127.0.0.1/8 alias", "em0 up", "em0 up"]
    host = RcHost('ifconfig_lo0="inet 127.0.0.1/32"')
    assert started(host) == ["lo0 inet 127.0.0.1/32", "lo0 up"]


def test_what_the_slides_set_up() -> None:
    """The slides' rc.conf: its alias begins with blanks, which the warning names, and works."""
    host = RcHost(
        'cloned_interfaces="bridge0 epair0"\n'
        'ifconfig_epair0a="up"\n'
        'ifconfig_bridge0="addm epair0a \\\n                  addm em0"\n'
        'ifconfig_bridge0_alias0=" \\\n                 inet 192.168.2.3/24"\n',
        ["em0"],
    )
    assert started(host) == [
        "bridge0 create",
        "epair0 create",
        "bridge0 addm epair0a addm em0",
        "bridge0 up",
        "bridge0 inet 192.168.2.3/24 alias",
        "epair0a up",
        "epair0a up",
    ]
    assert host.session.output == (
        "Created clone interfaces: bridge0 epair0a epair0b.\nStarting Network: em0 bridge0 epair0a epair0b.\n"
    )
    assert host.session.errors == (
        '/etc/rc.d/netif: WARNING: $ifconfig_bridge0_alias0 needs leading "inet" keyword for an IPv4 address.\n'
    )


WARNINGS = {
    'ifconfig_em0_alias0="10.0.0.2/32"': (
        ["em0 inet 10.0.0.2/32 alias"],
        '$ifconfig_em0_alias0 needs leading "inet" keyword for an IPv4 address.',
    ),
    'ifconfig_em0_ipv6="fd00::1/64"': (
        ["em0 inet6 -ifdisabled", "em0 inet6 fd00::1/64", "em0 up"],
        '$ifconfig_em0_ipv6 needs leading "inet6" keyword for an IPv6 address.',
    ),
    'netif_ipexpand_max=2\nipv4_addrs_em0="10.0.0.1-9/24"': (
        [
            "em0 inet 10.0.0.1/24 alias",
            "em0 inet 10.0.0.2/32 alias",
            "em0 inet 10.0.0.3/32 alias",
            "em0 inet 10.0.0.4/32 alias",
        ],
        "Range specification is too large (10.0.0.1-10.0.0.9).  10.0.0.1-10.0.0.4 was processed.  "
        "Increase $netif_ipexpand_max in rc.conf.",
    ),
    'ifconfig_em0="inet \'10.0.0.1/24"': (["em0 inet ''\"'\"'10.0.0.1/24'", "em0 up"], None),
}


@pytest.mark.parametrize("rc_conf", WARNINGS)
def test_warnings(rc_conf: str) -> None:
    lines, text = WARNINGS[rc_conf]
    host = RcHost(rc_conf, ["em0"])
    assert started(host) == lines
    if text is None:
        assert host.session.errors.startswith("/etc/rc.d/netif: WARNING: inet '10.0.0.1/24: ")
    else:
        assert host.session.errors == f"/etc/rc.d/netif: WARNING: {text}\n"


def test_everything_is_shown_unless_messages_are_off() -> None:
    host = RcHost("ifconfig_em0=up")
    host.script("netif", "start")
    assert host.calls("ifconfig")[-2:] == ["lo0", "em0"]
    assert host.session.output == "Starting Network: lo0 em0.\n"
    host = RcHost("ifconfig_em0=up\nrc_startmsgs=NO")
    host.script("netif", "quietstart")
    assert (host.session.output, host.calls("ifconfig")[-1]) == ("", "em0 up")


def test_duplicate_address_detection_is_waited_for() -> None:
    host = RcHost('ifconfig_em0_ipv6="inet6 fd00::1/64"')
    host.script("netif", "start")
    assert host.session.slept == [2]
    host = RcHost("ifconfig_em0=up")
    host.script("netif", "start")
    assert host.session.slept == []


def test_some_named() -> None:
    """Named interfaces only, their pair halves both; then bridges and routes that go with them."""
    host = RcHost(
        'cloned_interfaces="bridge0 epair0 epair1"\nifconfig_epair0a=up\nifconfig_epair0b="mtu 900"\n'
        'autobridge_interfaces="bridge0"\nautobridge_bridge0="epair*"\n'
        'static_routes="far:epair0 near other:em0"\n'
        'route_far="10.1.0.0/16 10.0.0.9"\nroute_other="10.2.0.0/16 10.0.0.1"\n'
    )
    host.script("netif", "start", "epair0")
    changing = [line for line in host.calls("ifconfig") if " " in line]
    assert changing == [
        "epair0 create",
        "epair0a up",
        "epair0a up",
        "epair0b mtu 900",
        "epair0b up",
        "bridge0 addm epair0",
    ]
    assert host.calls("route") == ["add 10.1.0.0/16 10.0.0.9"]
    assert "Starting Network: epair0a epair0b.\n" in host.session.output


def test_dhcp() -> None:
    rc_conf = 'ifconfig_em0="SYNCDHCP"\nifconfig_em1="DHCP mtu 1400"\nsynchronous_dhclient=NO'
    host = RcHost(rc_conf, ["em0", "em1"])
    assert started(host) == ["em0 up", "em1 mtu 1400", "em1 up"]
    assert host.session.errors == "/etc/rc.d/dhclient: WARNING: run_rc_command: cannot run /sbin/dhclient\n"
    host.files.put("/sbin/dhclient", "", mode=0o755)
    started(host)
    assert [process.argv for process in host.session.started] == [("/sbin/dhclient", "em0")]
    assert "Starting dhclient.\n" in host.session.output


def test_scripts_of_an_interface() -> None:
    host = RcHost("", ["em0"])
    host.files.put("/etc/start_if.em0", "")
    host.files.put("/etc/stop_if.em0", "")
    host.script("netif", "start")
    assert [process.argv for process in host.session.started] == [("/bin/sh", "/etc/start_if.em0")]
    host.script("netif", "stop")
    assert [process.argv for process in host.session.started] == [("/bin/sh", "/etc/stop_if.em0")]


def test_a_clone_that_is_refused_is_not_said_to_be_made() -> None:
    host = RcHost('cloned_interfaces="bridge0 lo1"', [])
    host.results["/sbin/ifconfig", "bridge0", "create"] = 1
    host.script("netif", "cloneup")
    assert host.session.output == "Created clone interfaces: lo1.\n"


def test_vlans_need_a_module_where_the_kernel_has_none() -> None:
    host = RcHost("vlans_em0=5", ["em0"], image=KernelImage(compiled_in=("if_epair",)))
    host.script("netif", "start")
    assert ("/sbin/kldload", "if_vlan") in host.session.calls
    host = RcHost("vlans_em0=5", ["em0"])
    host.script("netif", "start")
    assert not host.calls("kldload")


# --- stopping --------------------------------------------------------------------------------------------------------


def test_stop_takes_everything_back() -> None:
    host = RcHost(
        'cloned_interfaces="bridge0:sticky epair0 lo1"\nifconfig_em0="inet 10.0.0.1/24"\nvlans_em0="5"\n'
        'ifconfig_em0_alias0="inet 10.0.0.2/32"\nifconfig_em0_ipv6="inet6 fd00::1/64"\n',
        [],
    )
    inet = Inet(IPv4Address("10.0.0.1"), IPv4Address("255.255.255.0"))
    host.add("em0", inet, Inet6(IPv6Address("fd00::1"), 64))
    for name in ("em0.5", "bridge0", "epair0a", "epair0b", "lo1"):
        host.add(name)
    assert host.script("netif", "stop") == 0
    changing = [line for line in host.calls("ifconfig") if " " in line]
    assert changing[:5] == [
        "em0 inet6 fd00::1 -alias",
        "em0 inet 10.0.0.2/32 -alias",
        "em0 inet 10.0.0.1 delete",
        "em0 down",
        "-n em0.5 destroy",
    ]
    assert changing[-2:] == ["-n epair0a destroy", "-n lo1 destroy"]
    assert host.names() == ["em0", "bridge0"]
    assert host.session.output.startswith("Stopping Network: em0 bridge0 epair0a epair0b lo1.\n")
    assert host.session.errors == "/etc/rc.d/netif: WARNING: em0.5 does not exist.  Skipped.\n"
    assert host.session.output.endswith("Destroyed clone interfaces: epair0a epair0b lo1.\n")


def test_sticky_clones() -> None:
    host = RcHost('cloned_interfaces="bridge0 lo1:nosticky"\ncloned_interfaces_sticky=YES', ["bridge0", "lo1"])
    host.script("netif", "clonedown")
    assert host.session.output == "Destroyed clone interfaces: lo1.\n"


def test_what_does_not_exist_is_not_stopped() -> None:
    host = RcHost()
    host.script("netif", "stop", "em7")
    assert host.session.errors == "/etc/rc.d/netif: WARNING: em7 does not exist.  Skipped.\n"
    assert not host.calls("ifconfig")


# --- into jails ------------------------------------------------------------------------------------------------------


def test_moving_into_jails_and_back() -> None:
    host = RcHost('ifconfig_em0="vnet j1 inet 10.0.0.1/24"\nifconfig_em1="vnet j2"', ["em0", "em1", "em2"])
    host.script("netif", "vnetup")
    assert host.calls("ifconfig") == ["em0 vnet j1", "em1 vnet j2"]
    assert host.session.output == "Moving Network: em0 em1.\n"
    host.script("netif", "vnetdown", "em1")
    assert host.calls("ifconfig")[0] == "em1 -vnet j2"
    assert host.session.output == "Reclaiming Network: em1.\n"


def test_a_jail_s_own_network() -> None:
    host = RcHost('ifconfig_epair0b="inet 10.0.0.2/24"', ["lo0", "epair0b"], jid=4, vnet="new")
    assert started(host) == ["lo0 up", "lo0 inet 127.0.0.1/8 alias", "epair0b inet 10.0.0.2/24", "epair0b up"]
