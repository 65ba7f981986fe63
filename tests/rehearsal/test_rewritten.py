"""A host with another rc.conf: the commands that make its network what a boot with that makes, and what they cannot."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address

import pytest

from vjail.kernel.core.mac import interface_identifier, nic_address
from vjail.lab.changes import HostChange, host_change
from vjail.lab.rewiring import CardChange
from vjail.rehearsal.rewritten import Side, with_network
from vjail.release import Release

CARDS = {"em0": "w", "em1": "w"}
BASE = """\
hostname="h"
ifconfig_em0="inet 10.0.0.2/24"
ifconfig_em0_ipv6="inet6 2001:db8::2/64"
ifconfig_em1="up"
cloned_interfaces="bridge0 bridge1"
ifconfig_bridge0="inet 10.1.0.1/24 addm em1 up"
defaultrouter="10.0.0.1"
ipv6_defaultrouter="2001:db8::1"
static_routes="far"
route_far="-net 10.9.0.0/16 10.1.0.9"
"""


LINK_LOCAL = IPv6Address((0xFE80 << 112) | interface_identifier(nic_address("lab", "h", "em0")))


def changed(old: str, new: str, cards: Mapping[str, str] = CARDS, **others: object) -> HostChange:
    """What is done where rc.conf says `new` in place of `old`."""
    before, after = (
        Side.of({"rc.conf": text.encode()}, each, "lab", "h") for text, each in ((old, CARDS), (new, cards))
    )
    came = [CardChange(card, None, wire) for card, wire in cards.items() if card not in CARDS]
    change = host_change(before.files, after.files, came)
    held = others.get("held", ())
    assert isinstance(held, tuple)
    return with_network(change, (before, after), Release.V13, held)


def commands(change: HostChange) -> list[str]:
    return [" ".join(each.command) for each in change.actions]


EDITS: dict[str, tuple[str, str, list[str]]] = {
    "an address, with which the default route goes": (
        "10.0.0.2/24",
        "10.0.0.7/24",
        [
            "ifconfig em0 inet 10.0.0.2 -alias",
            "ifconfig em0 inet 10.0.0.7/24 alias",
            "route add -inet default 10.0.0.1",
        ],
    ),
    "a mask": (
        "10.0.0.2/24",
        "10.0.0.2/16",
        ["ifconfig em0 inet 10.0.0.2/16 alias", "route add -inet default 10.0.0.1"],
    ),
    "the same in other words": ('"inet 10.0.0.2/24"', '"inet 10.0.0.2 netmask 255.255.255.0"', []),
    "further addresses": (
        'ifconfig_em1="up"',
        'ifconfig_em1="up"\nifconfig_em0_alias0="inet 10.0.0.20-21/32"',
        ["ifconfig em0 inet 10.0.0.20/32 alias", "ifconfig em0 inet 10.0.0.21/32 alias"],
    ),
    "an IPv6 address": (
        "2001:db8::2/64",
        "2001:db8::3/64",
        ["ifconfig em0 inet6 2001:db8::2 -alias", "ifconfig em0 inet6 2001:db8::3/64 alias"],
    ),
    "no IPv6": (
        'ifconfig_em0_ipv6="inet6 2001:db8::2/64"\n',
        "",
        [
            "route delete -inet6 default 2001:db8::1",
            "ifconfig em0 inet6 2001:db8::2 -alias",
            f"ifconfig em0 inet6 {LINK_LOCAL}%em0 -alias",
            "ifconfig em0 inet6 ifdisabled",
        ],
    ),
    "IPv6 where there was none": (
        'ifconfig_em1="up"',
        'ifconfig_em1="up"\nifconfig_em1_ipv6="inet6 2001:db8:1::2/64"',
        ["ifconfig em1 inet6 -ifdisabled", "ifconfig em1 inet6 2001:db8:1::2/64 alias"],
    ),
    "a default route": (
        'defaultrouter="10.0.0.1"\nipv6',
        'defaultrouter="10.0.0.3"\nipv6',
        ["route delete -inet default 10.0.0.1", "route add -inet default 10.0.0.3"],
    ),
    "no default route": (
        'ipv6_defaultrouter="2001:db8::1"\n',
        "",
        ["route delete -inet6 default 2001:db8::1"],
    ),
    "a static route": (
        'route_far="-net 10.9.0.0/16 10.1.0.9"',
        'route_far="-host 10.8.0.1 127.0.0.1 -blackhole"',
        [
            "route delete -inet -net 10.9.0.0/16 10.1.0.9",
            "route add -inet -host 10.8.0.1 127.0.0.1 -blackhole",
        ],
    ),
    "a bridge's member": (" addm em1 up", " addm em0 up", ["ifconfig bridge0 deletem em1 addm em0"]),
    "down": ('ifconfig_em1="up"', 'ifconfig_em1="up"\nifconfig_em0="inet 10.0.0.2/24 down"', []),
    "a clone that goes": ('"bridge0 bridge1"', '"bridge0"', ["ifconfig bridge1 destroy"]),
    "a VLAN that comes": (
        'ifconfig_em1="up"',
        'ifconfig_em1="up"\nvlans_em0="5"\nifconfig_em0_5="inet 10.5.0.1/24"',
        ["ifconfig em0.5 create", "ifconfig em0.5 up", "ifconfig em0.5 inet 10.5.0.1/24 alias"],
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_done(edit: str) -> None:
    old, new, done = EDITS[edit]
    change = changed(BASE, BASE.replace(old, new))
    assert commands(change) == done
    assert change.not_live == ()
    # And back.
    back = changed(BASE.replace(old, new), BASE)
    assert back.not_live == ()
    assert bool(back.actions) == bool(done)


def test_what_cannot_be_had_while_it_is_up() -> None:
    """It is told, and what can be had is done nevertheless."""
    old = BASE.replace('"bridge0 bridge1"', '"bridge0 bridge1 vlan7"') + 'create_args_vlan7="vlan 7 vlandev em0"\n'
    new = old.replace("vlan 7", "vlan 8").replace("10.0.0.2/24", "10.0.0.7/24") + 'ifconfig_bridge1_name="lan0"\n'
    change = changed(old, new)
    assert commands(change)[:2] == ["ifconfig em0 inet 10.0.0.2 -alias", "ifconfig em0 inet 10.0.0.7/24 alias"]
    assert change.not_live == (
        "rc.conf: create_args_vlan7: vlan 7 vlandev em0 -> vlan 8 vlandev em0",
        "rc.conf: ifconfig_bridge1_name: not set -> lan0",
    )


def test_what_others_give_is_not_known() -> None:
    for words in ("DHCP", "SYNCDHCP", "inet6 accept_rtadv"):
        change = changed(BASE, BASE.replace('em1="up"', f'em1="{words}"'))
        assert change.actions == ()
        assert change.not_live == (f"rc.conf: ifconfig_em1: up -> {words}",)


def test_a_card_that_is_in_a_jail_is_left_as_it_is() -> None:
    new = BASE.replace('em1="up"', 'em1="inet 10.3.0.1/24"').replace("10.0.0.2/24", "10.0.0.7/24")
    change = changed(BASE, new, held=("em1",))
    assert "em1" not in " ".join(commands(change))
    assert change.not_live == ("rc.conf: ifconfig_em1: up -> inet 10.3.0.1/24",)


def test_a_card_that_is_new_is_no_second_time_configured() -> None:
    change = changed(BASE, BASE + 'ifconfig_em2="inet 10.4.0.1/24"\n', {**CARDS, "em2": "w"})
    assert commands(change) == ["service netif start em2"]


def test_rules_are_loaded_again_with_other_addresses() -> None:
    change = changed(BASE + 'pf_enable="YES"\n', BASE.replace("10.0.0.2", "10.0.0.7") + 'pf_enable="YES"\n')
    assert commands(change)[-1] == "service pf reload"


def test_what_leads_by_an_interface_that_is_left_stays_too() -> None:
    """A boot that calls em0 otherwise gives it no address, and has no default route: neither is taken away."""
    new = BASE.replace("10.1.0.1/24", "10.1.0.3/24") + 'ifconfig_em0_name="lan0"\n'
    change = changed(BASE, new)
    assert commands(change) == [
        "ifconfig bridge0 inet 10.1.0.1 -alias",
        "ifconfig bridge0 inet 10.1.0.3/24 alias",
        "route add -inet -net 10.9.0.0/16 10.1.0.9",
    ]
    assert change.not_live == ("rc.conf: ifconfig_em0_name: not set -> lan0",)
    change = changed(BASE, new.replace('er="10.0.0.1"', 'er="10.0.0.4"'))
    assert [each.name for each in change.variables] == ["defaultrouter", "ifconfig_em0_name"]
