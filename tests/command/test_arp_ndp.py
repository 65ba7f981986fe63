"""arp(8) and ndp(8) where no recording has them. Source: 13.2 usr.sbin/arp/arp.c, usr.sbin/ndp/ndp.c."""

from __future__ import annotations

import pytest
from network_lab import Lab, Result, type_command

ARP_USAGE = """\
usage: arp [-n] [-i interface] hostname
       arp [-n] [-i interface] -a
       arp -d hostname [pub]
       arp -d [-i interface] -a
       arp -s hostname ether_addr [temp] [reject | blackhole] [pub [only]]
       arp -S hostname ether_addr [temp] [reject | blackhole] [pub [only]]
       arp -f filename
"""
HEADER = "Neighbor                             Linklayer Address  Netif Expire    1s 5s\n"


def lab() -> Lab:
    """A host with addresses on vtnet0, on a bridge and on a vlan, and IPv6 on vtnet0."""
    made = Lab()
    for line in (
        "lo0 up",
        "lo0 127.0.0.1/8",
        "vtnet0 10.0.0.1/24",
        "vtnet0 inet6 fd00::1/64",
        "bridge create",
        "bridge0 10.5.0.1/24",
        "vtnet1 up",
        "vlan create vlan 5 vlandev vtnet1",
        "vlan0 10.6.0.1/24",
    ):
        assert type_command(made, f"ifconfig {line}").code == 0
    return made


def parts(result: Result) -> tuple[str, str, int]:
    return result.stdout, result.stderr, result.code


# --- arp ---


def test_entries_are_set_shown_and_deleted_on_every_kind_of_ethernet() -> None:
    at = lab()
    for net in (0, 5, 6):
        assert parts(type_command(at, f"arp -s 10.{net}.0.7 2:0:0:0:0:7")) == ("", "", 0)
    shown = type_command(at, "arp -an").stdout
    assert "? (10.0.0.7) at 02:00:00:00:00:07 on vtnet0 permanent [ethernet]\n" in shown
    assert "? (10.5.0.7) at 02:00:00:00:00:07 on bridge0 permanent [bridge]\n" in shown
    assert "? (10.6.0.7) at 02:00:00:00:00:07 on vlan0 permanent [vlan]\n" in shown
    assert type_command(at, "arp -an -i vtnet0").stdout.count("\n") == 2
    assert parts(type_command(at, "arp -d 10.0.0.7")) == ("10.0.0.7 (10.0.0.7) deleted\n", "", 0)
    assert type_command(at, "arp -d -a").stdout == "10.6.0.7 (10.6.0.7) deleted\n10.5.0.7 (10.5.0.7) deleted\n"
    assert ".7)" not in type_command(at, "arp -an").stdout


def test_an_entry_can_be_replaced() -> None:
    at = lab()
    type_command(at, "arp -s 10.0.0.7 2:0:0:0:0:7")
    assert parts(type_command(at, "arp -S 10.0.0.7 2:0:0:0:0:8")) == ("10.0.0.7 (10.0.0.7) deleted\n", "", 0)
    assert "at 02:00:00:00:00:08 on" in type_command(at, "arp 10.0.0.7").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("10.0.0.8", "10.0.0.8 (10.0.0.8) -- no entry\n"),
        ("-i vlan0 10.0.0.8", "10.0.0.8 (10.0.0.8) -- no entry on vlan0\n"),
        ("localhost", "localhost (127.0.0.1) -- no entry\n"),
    ],
)
def test_what_has_no_entry(words: str, said: str) -> None:
    assert parts(type_command(lab(), f"arp {words}")) == (said, "", 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nosuch", "arp: nosuch: Unknown host\n"),
        ("-i nosuch -a", "arp: interface nosuch does not exist\n"),
        ("-i vtnet0 -d 10.0.0.7", "arp: -i not applicable to this operation\n"),
        ("-s 10.0.0.7 foo", "arp: invalid Ethernet address 'foo'\n"),
        ("-s 10.0.0.7 2:0:0:0:0:7 bogus", f"arp: Invalid parameter 'bogus'\n{ARP_USAGE}"),
        ("-s localhost 2:0:0:0:0:7", "arp: cannot intuit interface index and type for localhost\n"),
        ("-s 10.0.0.1 2:0:0:0:0:7", "arp: writing to routing socket: Operation not permitted\n"),
        ("-s 192.0.2.1 2:0:0:0:0:7",
         "arp: writing to routing socket: No such process\narp: 192.0.2.1: No such process\n"),
        ("-d 10.0.0.1", "arp: writing to routing socket: Operation not permitted\n"),
        ("-d 10.0.0.99", "arp: writing to routing socket: No such file or directory\n"),
        ("-f /nosuch", "arp: cannot open /nosuch: No such file or directory\n"),
        ("-x", f"arp: illegal option -- x\n{ARP_USAGE}"),
        ("-s 10.0.0.7", ARP_USAGE),
        ("-d -s", ARP_USAGE),
        ("-a extra", ARP_USAGE),
        ("", ARP_USAGE),
    ],
)  # fmt: skip
def test_arp_refuses(words: str, said: str) -> None:
    at = lab()
    before = type_command(at, "arp -an").stdout
    assert parts(type_command(at, f"arp {words}")) == ("", said, 1)
    assert type_command(at, "arp -an").stdout == before


def test_a_gateway_has_no_entry_of_what_lies_behind_it() -> None:
    at = lab()
    type_command(at, "route add 192.0.2.0/24 10.0.0.9")
    result = type_command(at, "arp -s 192.0.2.1 2:0:0:0:0:7")
    assert parts(result) == ("", "arp: cannot intuit interface index and type for 192.0.2.1\n", 1)
    assert type_command(at, "arp -d 192.0.2.1").stderr == "arp: delete: cannot locate 192.0.2.1\n"


def test_only_root_changes_the_tables() -> None:
    at = lab()
    for line in ("arp -s 10.0.0.7 2:0:0:0:0:7", "arp -d 10.0.0.1", "ndp -s fd00::7 2:0:0:0:0:7", "ndp -d fd00::1"):
        name = line.split()[0]
        said = f"{name}: writing to routing socket: Operation not permitted\n"
        assert parts(type_command(at, line, uid=1001)) == ("", said, 1)
    assert type_command(at, "arp -an", uid=1001).code == 0


# --- ndp ---


def test_neighbours_of_ipv6_are_set_shown_and_deleted() -> None:
    at = lab()
    for address in ("fd00::7", "fe80::9%vtnet0"):
        assert parts(type_command(at, f"ndp -s {address} 2:0:0:0:0:7")) == ("", "", 0)
        row = f"{address:36} 02:00:00:00:00:07 vtnet0 permanent R \n"
        assert parts(type_command(at, f"ndp -n {address}")) == (HEADER + row, "", 0)
        assert row in type_command(at, "ndp -an").stdout
    assert parts(type_command(at, "ndp -d fe80::9%vtnet0")) == ("fe80::9%vtnet0 (fe80::9%vtnet0) deleted\n", "", 0)
    assert type_command(at, "ndp -c").stdout == "fd00::7 (fd00::7) deleted\n"
    assert "02:00:00:00:00:07" not in type_command(at, "ndp -an").stdout


@pytest.mark.parametrize(
    ("words", "printed", "said", "code"),
    [
        ("fd00::99", f"{HEADER}fd00::99 (fd00::99) -- no entry\n", "", 1),
        ("nosuch", "", "ndp: nosuch: Name does not resolve\n", 0),
        ("-s nosuch 2:0:0:0:0:7", "", "ndp: nosuch: Name does not resolve\n", 1),
        ("-s fd00::8 x", "", "ndp: invalid Ethernet address 'x'\n", 1),
        ("-s fd09::8 2:0:0:0:0:7", "cannot intuit interface index and type for fd09::8\n", "", 1),
        ("-d fd09::8", "cannot locate fd09::8\n", "", 0),
        ("-d fd00::8", "", "ndp: writing to routing socket: No such file or directory\n", 1),
        ("-d fd00::1", "", "ndp: writing to routing socket: Operation not permitted\n", 1),
    ],
)
def test_ndp_refuses(words: str, printed: str, said: str, code: int) -> None:
    assert parts(type_command(lab(), f"ndp {words}")) == (printed, said, code)


def test_ndp_prints_its_usage_on_standard_output() -> None:
    for words in ("", "-a -c", "-a extra", "-s fd00::7"):
        result = type_command(lab(), f"ndp {words}")
        assert (result.stdout.splitlines()[0], result.stderr, result.code) == ("usage: ndp [-nt] hostname", "", 1)
