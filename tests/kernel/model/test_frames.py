"""What the conformance suite has no second kernel for: storms and spanning tree, releases, spans, stacked tags."""

from __future__ import annotations

import pytest

from vjail.kernel.model.trace import Loss, Step
from vjail.rehearsal import Rehearsal
from vjail.release import Release

LOOP = """
for j in l r; do jail -c name=$j vnet persist path=/; done
ifconfig bridge0 create up; ifconfig bridge1 create up
for i in 1 2 3 4; do ifconfig epair$i create up; ifconfig epair${i}b up; done
ifconfig bridge0 addm epair1a addm epair2a addm epair3a
ifconfig bridge1 addm epair1b addm epair2b addm epair4a
ifconfig epair3b vnet l; ifconfig epair4b vnet r
jexec l ifconfig epair3b inet 10.0.0.1/24; jexec r ifconfig epair4b inet 10.0.0.2/24
"""
STP = """
ifconfig bridge0 stp epair1a stp epair2a
ifconfig bridge1 stp epair1b stp epair2b
"""


def host(script: str, release: Release = Release.V13) -> Rehearsal:
    lab = Rehearsal(release)
    lab.add_host("a", {"em0": b"\x02\0\0\0\0\x01"}, {"em0": "w0"})
    done = lab.type("a", f"set -e\n{script}")
    assert (done.code, done.err) == (0, ""), done
    lab.settle()
    return lab


def test_a_loop_of_bridges_is_a_storm() -> None:
    assert host(LOOP).echo("a", "l", "10.0.0.2").loss is Loss.STORM


def test_spanning_tree_opens_the_loop_and_closes_it_again() -> None:
    lab = host(LOOP + STP)
    assert lab.echo("a", "l", "10.0.0.2").answered
    listing = lab.type("a", "ifconfig bridge0; ifconfig bridge1").out
    assert listing.count("role alternate state discarding") == 1
    assert listing.count("state forwarding") == 3
    lab.type("a", "ifconfig epair1a down")
    assert lab.echo("a", "r", "10.0.0.1").answered
    lab.type("a", "ifconfig epair2a down")
    assert not lab.echo("a", "r", "10.0.0.1").answered


@pytest.mark.parametrize("release", [Release.V15, Release.V16])
def test_a_vlan_may_lie_on_a_bridge_from_15_on(release: Release) -> None:
    lab = host(
        """
        jail -c name=j vnet persist path=/
        ifconfig epair1 create up; ifconfig epair1b vnet j; ifconfig bridge0 create; ifconfig bridge0 addm epair1a up
        ifconfig vlan9 create vlan 9 vlandev bridge0; ifconfig vlan9 inet 10.9.0.1/24
        jexec j ifconfig epair1b up; jexec j ifconfig vlan9 create vlan 9 vlandev epair1b
        jexec j ifconfig vlan9 inet 10.9.0.2/24
        """,
        release,
    )
    assert lab.echo("a", "j", "10.9.0.1").answered
    assert lab.echo("a", "", "10.9.0.2").answered


@pytest.mark.parametrize(("release", "seen"), [(Release.V14, True), (Release.V15, False)])
def test_pf_sees_what_a_bridge_passes_on_where_the_settings_say_so(release: Release, seen: bool) -> None:
    """Spec ifconfig §5: pfil_member and pfil_bridge are 1 by default up to 14, 0 from 15 on."""
    lab = host(
        """
        for i in 0 1; do
            jail -c name=t$i vnet persist path=/; ifconfig epair$i create up; ifconfig epair${i}b vnet t$i
            jexec t$i ifconfig epair${i}b inet 192.168.0.1$i/24
        done
        ifconfig bridge0 create; ifconfig bridge0 addm epair0a addm epair1a up
        echo block all > /tmp/pf.conf; pfctl -qf /tmp/pf.conf; pfctl -qe
        """,
        release,
    )
    assert lab.echo("a", "t0", "192.168.0.11").answered is not seen
    assert lab.type("a", f"sysctl net.link.bridge.pfil_member={int(not seen)}").code == 0
    assert lab.type("a", f"sysctl net.link.bridge.pfil_bridge={int(not seen)}").code == 0
    assert lab.echo("a", "t0", "192.168.0.11").answered is seen


def test_who_has_no_address_near_asks_from_another() -> None:
    """sys/netinet/if_ether.c, arprequest: the last one serves; without any nobody is asked."""
    lab = host("ifconfig em0 up; route add -host 192.0.2.1 -iface em0")
    assert lab.echo("a", "", "192.0.2.1").loss is Loss.NO_SOURCE
    lab.add_host("b", {"em0": b"\x02\0\0\0\0\x02"}, {"em0": "w0"})
    assert lab.type("b", "ifconfig em0 inet 192.0.2.1/24; ifconfig em0 inet 203.0.113.1/24 alias").code == 0
    assert lab.type("a", "route -q delete 192.0.2.1; ifconfig em0 inet 203.0.113.5/32").code == 0
    assert lab.type("a", "route add -host 192.0.2.1 -iface em0").code == 0
    lab.settle()
    assert lab.echo("a", "", "192.0.2.1").answered


def test_tags_stack() -> None:
    lab = host(
        """
        jail -c name=j vnet persist path=/
        ifconfig epair1 create up; ifconfig epair1b vnet j; jexec j ifconfig epair1b up
        ifconfig vlan5 create vlan 5 vlandev epair1a up; ifconfig vlan6 create vlan 6 vlandev vlan5
        ifconfig vlan6 inet 10.6.0.1/24
        jexec j ifconfig vlan5 create vlan 5 vlandev epair1b up; jexec j ifconfig vlan6 create vlan 6 vlandev vlan5
        jexec j ifconfig vlan6 inet 10.6.0.2/24
        """
    )
    there = lab.echo("a", "j", "10.6.0.1")
    assert there.answered
    assert [hop.detail for hop in there.hops if hop.step is Step.TAGGED][:2] == ["6", "5"]


def test_a_span_port_gets_a_copy_and_nothing_from_it_is_bridged() -> None:
    lab = host(
        """
        for j in l r s; do jail -c name=$j vnet persist path=/; done
        ifconfig bridge0 create up
        for i in 1 2 3; do ifconfig epair$i create up; done
        ifconfig bridge0 addm epair1a addm epair2a span epair3a
        ifconfig epair1b vnet l; ifconfig epair2b vnet r; ifconfig epair3b vnet s
        jexec l ifconfig epair1b inet 10.0.0.1/24; jexec r ifconfig epair2b inet 10.0.0.2/24
        jexec s ifconfig epair3b inet 10.0.0.3/24
        """
    )
    assert lab.echo("a", "l", "10.0.0.2").answered
    assert not lab.echo("a", "s", "10.0.0.2").answered
    # What is copied to it arrives there, and what it answers goes no further.
    assert not lab.echo("a", "l", "10.0.0.3").answered


def test_the_way_of_a_packet_is_told_hop_by_hop() -> None:
    lab = host(
        """
        jail -c name=j vnet persist path=/
        ifconfig epair1 create up; ifconfig epair1b vnet j; ifconfig bridge0 create; ifconfig bridge0 addm epair1a up
        ifconfig bridge0 inet 10.0.0.254/24; jexec j ifconfig epair1b inet 10.0.0.1/24
        jexec j route add default 10.0.0.254
        """
    )
    assert lab.echo("a", "j", "10.0.0.254").answered
    lost = lab.echo("a", "j", "192.0.2.1")
    assert [str(hop) for hop in lost.hops] == [
        "a:j epair1b: sent to 192.0.2.1 via 10.0.0.254",
        "a:j epair1b: out",
        "a epair1a: in",
        "a bridge0: in",
        "a bridge0: lost 192.0.2.1: the packet is for another host and this one does not forward",
    ]
    lab.type("a", "sysctl net.inet.ip.forwarding=1")
    assert lab.echo("a", "j", "192.0.2.1").loss is Loss.NO_ROUTE
