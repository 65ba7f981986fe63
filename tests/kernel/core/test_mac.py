"""The addresses FreeBSD 13.2 gave its interfaces on the recorded machine, and the specification's worked values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from network_bench import HOST, Bench

from vjail.kernel.core.mac import NO_UUID, Identity, bridge, epair, generated, jenkins_hash32
from vjail.kernel.operations import CreateInterface, DestroyInterface
from vjail.release import Release

OBSERVED = Path(__file__).parents[2] / "data" / "freebsd-13.2" / "observed"
AFTER_RESET = Identity(851261837, "2636f9aa-9d7d-45e8-85d7-2593848bb211", "0")
AFTER_BOOT3 = Identity(3476132175, "11111111-2222-3333-4444-555555555556", "0")
MODEL = Identity(0x12345678, "2f6ea4b1-5b9d-11ee-9c2a-0800270d1e5c", "0")


def recorded_macs(path: str) -> dict[str, str]:
    """The lines of a recording that name an interface and its address."""
    return dict(re.findall(r"^(\w+) ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})$", (OBSERVED / path).read_text(), re.MULTILINE))


def nothing_random(size: int) -> bytes:
    raise AssertionError("nothing random is wanted")


@pytest.mark.parametrize(
    ("words", "value"), [((5, 0x12345678, 0), 0xBFBE8C08), ((1, 0xFFFFFFFF, 0), 0xAFF80682)], ids=["first", "second"]
)
def test_the_hash_gives_the_worked_values(words: tuple[int, int, int], value: int) -> None:
    assert jenkins_hash32(words) == value


def test_an_epair_gets_the_hash_little_endian() -> None:
    ends = epair(Release.V13, MODEL, 5, ("epair0a", "epair0b"), nothing_random, by_name=False)
    assert [end.hex(":") for end in ends] == ["02:08:8c:be:bf:0a", "02:08:8c:be:bf:0b"]


@pytest.mark.parametrize(
    ("name", "of_13", "of_15"),
    [
        ("bridge0", "58:9c:fc:10:f9:72", "58:9c:fc:10:86:f9"),
        ("bridge1", "58:9c:fc:00:3a:6b", "58:9c:fc:10:69:3a"),
    ],
)
def test_a_bridge_gets_the_worked_values_of_each_release(name: str, of_13: str, of_15: str) -> None:
    for release, expected in ((Release.V13, of_13), (Release.V14, of_13), (Release.V15, of_15), (Release.V16, of_15)):
        assert bridge(release, MODEL, name, 0, nothing_random).hex(":") == expected


def test_a_bridge_of_release_12_gets_hostid_and_unit() -> None:
    assert bridge(Release.V12, MODEL, "bridge7", 7, nothing_random).hex(":") == "02:12:34:56:78:07"


def test_two_bridges_of_release_12_never_share_an_address() -> None:
    bench = Bench(release=Release.V12, identities={0: MODEL})
    bench.create("bridge1")
    bench.create("bridge257")
    macs = bench.macs()
    assert macs["bridge1"] == "02:12:34:56:78:01"
    assert macs["bridge257"] not in (macs["bridge1"], "02:12:34:56:78:01")


def test_epairs_of_release_15_are_made_from_their_names() -> None:
    ends = epair(Release.V15, MODEL, 5, ("epair0a", "epair0b"), nothing_random, by_name=True)
    assert ends == [generated(Release.V15, MODEL, name, nothing_random) for name in ("epair0a", "epair0b")]
    assert all(end.hex(":").startswith("58:9c:fc:10:") for end in ends)


@pytest.mark.parametrize("release", [Release.V15, Release.V16])
def test_epairs_of_release_15_are_made_as_before_where_a_sysctl_says_so(release: Release) -> None:
    """if_epair.c of 15: net.link.epair.ether_gen_addr."""
    bench, old = Bench(release=release, identities={0: MODEL}), Bench(release=Release.V14, identities={0: MODEL})
    bench.create("epair0")
    assert bench.macs()["epair0a"].startswith("58:9c:fc:10:")
    old.create("epair0")
    bench.settings["net.link.epair.ether_gen_addr"] = "0"
    for each in (bench, old):
        each.create("epair1")
    assert bench.macs()["epair1a"] == old.macs()["epair1a"]
    assert bench.macs()["epair1b"] == old.macs()["epair1b"]


def test_without_a_hostuuid_addresses_are_random_unicast_and_local() -> None:
    lladdr = generated(Release.V13, Identity(0, NO_UUID, "m"), "bridge0", lambda size: b"\xff" * size)
    assert lladdr[0] & 0b11 == 0b10


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("e1_boot1.txt", HOST),
        ("e7_after_reset_boot2.txt", HOST),
        ("e9_boot3_after_new_hostid.txt", AFTER_BOOT3),
    ],
)
def test_the_first_interfaces_after_boot_have_the_recorded_addresses(path: str, identity: Identity) -> None:
    bench = Bench(identities={0: identity})
    bench.create("pflog0")
    for name in ("epair1", "epair2", "bridge0", "bridge1"):
        bench.create(name)
    assert bench.seen("epair1a").index == 5
    macs = bench.macs()
    expected = recorded_macs(path)
    assert len(expected) == 6
    assert {name: macs[name] for name in expected} == expected


def test_a_new_hostid_counts_for_interfaces_made_from_then_on() -> None:
    """observed/e8_hostid_reset: 122 epairs into the life of the machine."""
    bench = Bench()
    bench.create("pflog0")
    while bench.create("epair1") and bench.macs()["epair1a"] != "02:36:a9:59:3e:0a":
        bench.apply(DestroyInterface("epair1a"))
        assert bench.drawn == 0
    bench.create("bridge0")
    bench.identities[0] = AFTER_RESET
    assert bench.macs()["epair1a"] == "02:36:a9:59:3e:0a"
    assert bench.macs()["bridge0"] == "58:9c:fc:10:ff:e1"
    for name in ("epair1a", "bridge0"):
        bench.apply(DestroyInterface(name))
    bench.create("epair1")
    bench.create("bridge0")
    assert bench.macs()["epair1a"] == "02:7e:5e:65:e9:0a"
    assert bench.macs()["bridge0"] == "58:9c:fc:10:ff:a9"


def test_a_bridge_of_a_third_hostuuid_has_the_recorded_address() -> None:
    assert bridge(Release.V13, AFTER_BOOT3, "bridge0", 0, nothing_random).hex(":") == "58:9c:fc:10:ff:df"


def test_epairs_made_in_a_jail_are_random_but_counted() -> None:
    """observed/e_mac e4: the epair after the jail's has the number after the jail's."""
    bench = Bench()
    bench.create("pflog0")
    bench.create("epair1")
    bench.network.add_vnet(7)
    bench.create("epair1", 7)
    assert bench.macs(7)["epair1a"] == "02:00:00:00:01:0a"
    bench.create("epair2")
    third = epair(Release.V13, HOST, 7, ("epair2a", "epair2b"), nothing_random, by_name=False)
    assert bench.macs()["epair2a"] == third[0].hex(":")


def test_the_counter_never_falls_below_the_index() -> None:
    bench = Bench(nics=tuple(f"vtnet{unit}" for unit in range(20)))
    bench.create("epair0")
    assert bench.macs()["epair0a"] == epair(Release.V13, HOST, 22, ("", ""), nothing_random, by_name=False)[0].hex(":")


def test_a_name_given_to_create_and_a_chosen_one_make_the_same_address() -> None:
    named, chosen = Bench(), Bench()
    assert named.create("bridge0") == chosen.apply(CreateInterface("bridge"))
    assert named.macs() == chosen.macs()
