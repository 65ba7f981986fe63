"""service routing, bridge and defaultroute: which lines they run and what they say."""

from __future__ import annotations

import pytest
from hostfake import run_now
from rchost import RcHost

from vjail.command.rc.boot import rc
from vjail.release import Release

LOOPBACKS = [
    "add -inet 127.0.0.1 -iface lo0",
    "add -inet6 ::1 -prefixlen 128 -iface lo0",
    "add -inet6 fe80:: -prefixlen 10 ::1 -reject",
    "add -inet6 ff02:: -prefixlen 16 ::1 -reject",
    "add -inet6 ::ffff:0.0.0.0 -prefixlen 96 ::1 -reject",
    "add -inet6 ::0.0.0.0 -prefixlen 96 ::1 -reject",
]
BLACKHOLE = """\
defaultrouter="10.0.0.254"
ipv6_static_routes="bh"
ipv6_route_bh="default ::1 -blackhole"
"""
"""The routes of observed/d5_rcconf_blackhole.txt."""

ROUTES = {
    "none": ("", LOOPBACKS),
    "a default route and a blackhole": (
        BLACKHOLE,
        [LOOPBACKS[0], "add default 10.0.0.254", *LOOPBACKS[1:], "add -inet6 default ::1 -blackhole"],
    ),
    "in the order of their list, the default one last": (
        'static_routes="b a:em0"\nroute_a="-net 10.1.0.0/16 10.0.0.9"\nroute_b="-host 10.2.0.1 10.0.0.8"\n'
        'defaultrouter=10.0.0.1\nipv6_static_routes=c\nipv6_route_c="fd01::/64 fd00::9"\nipv6_defaultrouter="fd00::1"',
        [
            LOOPBACKS[0],
            "add -host 10.2.0.1 10.0.0.8",
            "add -net 10.1.0.0/16 10.0.0.9",
            "add default 10.0.0.1",
            *LOOPBACKS[1:],
            "add -inet6 fd01::/64 fd00::9",
            "add -inet6 default fd00::1",
        ],
    ),
}


@pytest.mark.parametrize("case", ROUTES)
def test_routes(case: str) -> None:
    rc_conf, expected = ROUTES[case]
    host = RcHost(rc_conf)
    assert host.script("routing", "start") == 0
    assert host.calls("route") == expected
    assert (host.session.output, host.session.errors) == ("", "")


def test_a_route_without_words() -> None:
    host = RcHost('static_routes="near far:em0"\nipv6_static_routes="six"\nroute_near=""')
    host.script("routing", "start")
    assert host.calls("route") == LOOPBACKS
    assert host.session.errors.splitlines() == [
        "/etc/rc.d/routing: WARNING: route_near not found.",
        "/etc/rc.d/routing: WARNING: route_far not found.",
        "/etc/rc.d/routing: WARNING: route_six not found",
    ]


def test_options_are_set_and_named() -> None:
    host = RcHost("gateway_enable=YES\nipv6_gateway_enable=YES\nicmp_bmcastecho=YES\nicmp_drop_redirect=YES")
    host.script("routing", "start")
    assert host.session.output == (
        "Additional inet routing options: broadcast ping responses=YES ignore ICMP redirect=YES gateway=YES.\n"
        "Additional inet6 routing options: gateway=YES.\n"
    )
    assert "net.inet.ip.forwarding=1" in host.calls("sysctl")
    assert host.machine.network.forwarding == {(0, 4): True, (0, 6): True}
    host = RcHost()
    host.script("routing", "options")
    assert host.session.output == ""
    assert {"net.inet.ip.forwarding=0", "net.inet6.ip6.forwarding=0"} <= set(host.calls("sysctl"))


def test_a_value_that_is_no_answer() -> None:
    host = RcHost("gateway_enable=maybe")
    host.script("routing", "options", "inet")
    assert host.session.errors == (
        "/etc/rc.d/routing: WARNING: $gateway_enable is not set properly - see rc.conf(5).\n"
    )
    assert "net.inet.ip.forwarding=0" in host.calls("sysctl")


def test_one_family_one_interface() -> None:
    rc_conf = 'static_routes="a:em0 b:em1 c"\nroute_a="10.1 10.0.0.9"\nroute_b="10.2 10.0.0.9"\nroute_c="10.3 10.0.0.9"'
    host = RcHost(rc_conf)
    host.script("routing", "static", "inet", "em1")
    assert host.calls("route") == ["add 10.2 10.0.0.9"]
    host.script("routing", "static", "any", "em0")
    assert host.calls("route") == ["add 10.1 10.0.0.9"]
    assert host.calls("sysctl") == []
    host.script("routing", "start", "inet6")
    assert host.calls("route") == LOOPBACKS[1:]
    host.script("routing", "start", "ipx")
    assert host.session.errors == "/etc/rc.d/routing: ERROR: Unsupported address family: ipx.\n"


def test_stop_and_restart_empty_the_table() -> None:
    host = RcHost('defaultrouter="10.0.0.254"')
    host.script("routing", "stop")
    calls = host.calls("route")
    assert calls[:3] == ["delete -inet 127.0.0.1 -iface lo0", "delete default 10.0.0.254", "-n flush -inet"]
    assert calls[-1] == "-n flush -inet6"
    host.script("routing", "restart")
    calls = host.calls("route")
    assert calls.index("-n flush -inet6") < calls.index("add default 10.0.0.254")


def test_default_interface_of_a_host_that_is_no_router() -> None:
    host = RcHost("ipv6_default_interface=em0")
    host.script("routing", "start")
    assert host.calls("ifconfig") == ["em0 inet6 defaultif"]
    assert "net.inet6.ip6.use_defaultzone=1" in host.calls("sysctl")
    host = RcHost("ipv6_default_interface=em0\nipv6_gateway_enable=YES")
    host.script("routing", "start")
    assert host.calls("ifconfig") == []


# --- bridge ----------------------------------------------------------------------------------------------------------

BRIDGES = """\
autobridge_interfaces="bridge0 bridge1"
autobridge_bridge0="tap* em1"
autobridge_bridge1="em?"
"""


def test_interfaces_join_bridges_by_pattern() -> None:
    host = RcHost(BRIDGES, ["em0", "em1", "tap0", "tap1", "bridge0", "bridge1"])
    host.script("bridge", "start")
    assert host.calls("ifconfig") == [
        "bridge0 addm em1",
        "bridge0 addm tap0",
        "bridge0 addm tap1",
        "bridge1 addm em0",
        "bridge1 addm em1",
    ]
    host.script("bridge", "start", "tap1")
    assert host.calls("ifconfig") == ["bridge0 addm tap1"]
    host.script("bridge", "stop", "em1")
    assert host.calls("ifconfig") == ["bridge0 deletem em1", "bridge1 deletem em1"]
    host = RcHost("autobridge_bridge0=em*")
    host.script("bridge", "start")
    assert host.calls("ifconfig") == []


@pytest.mark.parametrize(("release", "runs"), [(Release.V13, False), (Release.V15, True)])
def test_bridges_of_a_jail_that_owns_its_network(release: Release, runs: bool) -> None:
    host = RcHost(BRIDGES + "rc_startmsgs=NO", ["lo0", "em1"], jid=3, vnet="new", release=release)
    run_now(rc, host.new_session("rc"))
    assert ("bridge0 addm em1" in host.calls("ifconfig")) is runs


# --- defaultroute ----------------------------------------------------------------------------------------------------


def test_a_default_route_by_dhcp_is_waited_for_where_there_is_a_dhclient() -> None:
    host = RcHost('ifconfig_em0="DHCP"\ndefaultroute_delay=3')
    host.script("defaultroute", "start")
    assert (host.session.output, host.session.slept) == ("", [])
    host.files.put("/sbin/dhclient", "", mode=0o755)
    host.script("defaultroute", "start")
    assert host.session.output == "Waiting 3s for the default route interface: ..\n"
    assert host.session.slept == [1, 1, 1]
