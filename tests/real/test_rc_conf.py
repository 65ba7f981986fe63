"""A host comes up by its rc.conf: every network variable of FreeBSD's at once, and packets through what they made."""

from __future__ import annotations

import re

import pytest
from sandbox import Sandbox
from talk import Talk, at, share
from typed import LAB, make

pytestmark = pytest.mark.real

FILES = {
    "vjail.yml": """\
wires: {lan: {}, dmz: {}, trunk: {}}
hosts:
  r: {files: r, nics: {em0: lan, em1: trunk, em2: dmz}}
  near: {files: near, nics: {em0: lan}}
  far: {files: far, nics: {em0: dmz}}
""",
    "r/rc.conf": """\
hostname="r.example"
cloned_interfaces="bridge0 epair0 vlan7 lo1"
create_args_vlan7="vlan 7 vlandev em1"
ifconfig_em0_name="lan0"
ifconfig_lan0="inet 192.168.7.1/24"
ifconfig_lan0_alias0="inet 192.168.7.10/32"
ifconfig_lan0_alias2="inet 192.168.7.20-22/24"
ifconfig_lan0_aliases="inet 192.168.8.1/24 inet6 2001:db8:8::1/64"
ifconfig_lan0_ipv6="inet6 2001:db8:7::1/64"
ifconfig_lan0_descr="to the office"
ifconfig_lo1="inet 172.16.0.1/32"
ifconfig_em1="up"
vlans_em1="100 blue"
create_args_blue="vlan 200 vlanpcp 5"
ifconfig_em1_100="inet 10.100.0.1/24"
ifconfig_em1_100_ipv6="inet6 2001:db8:100::1/64"
ifconfig_blue="inet 10.200.0.1/24"
ifconfig_vlan7="inet 10.7.0.1/24 mtu 1400"
ifconfig_em2="up"
ifconfig_epair0a="up"
ifconfig_bridge0="inet 10.9.0.1/24 up"
ifconfig_bridge0_ipv6="inet6 2001:db8:9::1/64"
autobridge_interfaces="bridge0"
autobridge_bridge0="epair*a em2"
defaultrouter="192.168.7.254"
ipv6_defaultrouter="2001:db8:7::fe"
static_routes="net1 net2:lan0"
route_net1="-net 10.50.0.0/16 192.168.7.9"
route_net2="-net 10.51.0.0/16 192.168.7.9"
ipv6_static_routes="six"
ipv6_route_six="2001:db8:50:: -prefixlen 48 2001:db8:7::9"
gateway_enable="YES"
ipv6_gateway_enable="YES"
jail_enable="YES"
jail_list="b a"
jail_parallel_start="YES"
jail_reverse_stop="YES"
""",
    "r/jail.conf": "path = /; persist; vnet;\na { }\nb { vnet.interface = epair0b; }\nc { }\n",
    "near/rc.conf": """\
ifconfig_em0="inet 192.168.7.9/24"
ifconfig_em0_ipv6="inet6 2001:db8:7::9/64"
defaultrouter="192.168.7.1"
ipv6_defaultrouter="2001:db8:7::1"
""",
    "far/rc.conf": """\
ifconfig_em0="inet 10.9.0.2/24"
ifconfig_em0_ipv6="inet6 2001:db8:9::2/64"
defaultrouter="10.9.0.1"
ipv6_defaultrouter="2001:db8:9::1"
""",
}
_ADDRESSES = {
    "lan0": "192.168.7.1/24 192.168.8.1/24 192.168.7.10/32 192.168.7.20/24 192.168.7.21/32 192.168.7.22/32",
    "lo1": "172.16.0.1/32",
    "em1.100": "10.100.0.1/24",
    "blue": "10.200.0.1/24",
    "vlan7": "10.7.0.1/24",
    "bridge0": "10.9.0.1/24",
}
_ADDRESSES6 = {
    "lan0": "2001:db8:7::1 2001:db8:8::1",
    "em1.100": "2001:db8:100::1",
    "bridge0": "2001:db8:9::1",
}
_ROUTES = {
    "default": ("192.168.7.254", "2001:db8:7::fe"),
    "10.50.0.0/16": ("192.168.7.9",),
    "10.51.0.0/16": ("192.168.7.9",),
    "2001:db8:50::/48": ("2001:db8:7::9",),
}


def test_every_network_variable(box: Sandbox) -> None:
    make(box, FILES)
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    # What comes first is answered: no duplicate address detection, no missing carrier keeps it waiting.
    talks = [
        Talk("near", "10.9.0.2"),
        Talk("near", "2001:db8:9::2"),
        Talk("far", "192.168.7.9"),
        Talk("far", "2001:db8:7::9"),
        Talk("near", "192.168.7.22"),
        Talk("near", "2001:db8:8::1"),
    ]
    assert share(box, LAB, talks, count=3, seconds=3) == dict.fromkeys(talks, 1.0)

    assert at(box, LAB, "r", "hostname; ifconfig -l").out == (
        "r.example\nlan0 em1 em2 lo0 bridge0 epair0a vlan7 lo1 em1.100 blue\n"
    )
    for name, wanted in _ADDRESSES.items():
        shown = at(box, LAB, "r", f"ifconfig -f inet:cidr {name} inet").out
        assert " ".join(re.findall(r"^\tinet (\S+)", shown, re.MULTILINE)) == wanted
        shown6 = at(box, LAB, "r", f"ifconfig {name} inet6").out
        found = [each for each in re.findall(r"^\tinet6 (\S+)", shown6, re.MULTILINE) if "%" not in each]
        assert " ".join(found) == _ADDRESSES6.get(name, "")
    shown = at(box, LAB, "r", "ifconfig lan0; ifconfig blue; ifconfig vlan7; ifconfig bridge0").out
    for part in (
        "\tdescription: to the office\n",
        "\tvlan: 200 vlanproto: 802.1q vlanpcp: 5 parent interface: em1\n",
        "\tvlan: 7 vlanproto: 802.1q vlanpcp: 0 parent interface: em1\n",
        "metric 0 mtu 1400\n",
    ):
        assert part in shown
    assert re.findall(r"^\tmember: (\S+)", shown, re.MULTILINE) == ["epair0a", "em2"]
    routes: dict[str, tuple[str, ...]] = {}
    for line in at(box, LAB, "r", "netstat -rn").out.splitlines():
        destination, gateway, flags, *_ = [*line.split(), "", "", ""]
        if flags == "UGS":
            routes[destination] = (*routes.get(destination, ()), gateway)
    assert routes == _ROUTES
    forwarding = at(box, LAB, "r", "sysctl -n net.inet.ip.forwarding net.inet6.ip6.forwarding")
    assert forwarding.out == "1\n1\n"
    # jail_list names two of three; they start side by side and stop in reverse.
    assert sorted(at(box, LAB, "r", "jls name").out.split()) == ["a", "b"]
    stopped, started = at(box, LAB, "r", "service jail stop; service jail start").out.splitlines()
    assert stopped == "Stopping jails: a b."
    assert started in ("Starting jails: a b.", "Starting jails: b a.")
    assert box.vjail("down", LAB).code == 0
