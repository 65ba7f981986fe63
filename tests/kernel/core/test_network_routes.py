"""Which routes may be added, changed and deleted, and what becomes of them. Most of it is in the recordings as well."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from network_bench import Bench, parsed

from vjail.kernel.errno import Errno
from vjail.kernel.observed import RouteFlag
from vjail.kernel.operations import (
    AddNeighbour,
    AddRoute,
    ChangeRoute,
    DeleteNeighbour,
    DeleteRoute,
    RemoveAddress,
    RouteSpec,
)
from vjail.release import Release


def made(release: Release = Release.V13) -> Bench:
    bench = Bench(release=release)
    bench.create("epair1")
    return bench


@pytest.fixture
def bench() -> Bench:
    return made()


def spec(
    destination: str, gateway: str | None = None, interface: str | None = None, flags: RouteFlag = RouteFlag.STATIC
) -> RouteSpec:
    via = None if gateway is None else ip_address(gateway)
    return RouteSpec(ip_network(destination), via, interface, flags)


BLACKHOLE = RouteFlag.STATIC | RouteFlag.BLACKHOLE
REJECT = RouteFlag.STATIC | RouteFlag.REJECT


@pytest.mark.parametrize("flags", [BLACKHOLE, REJECT])
@pytest.mark.parametrize(("destination", "address"), [("0.0.0.0/0", "127.0.0.1/8"), ("::/0", "::1/128")])
def test_a_route_to_nowhere_needs_an_address_of_lo0(
    bench: Bench, flags: RouteFlag, destination: str, address: str
) -> None:
    assert bench.refusal(AddRoute(spec(destination, flags=flags))) is Errno.EOPNOTSUPP
    bench.address("lo0", address)
    assert bench.refusal(AddRoute(spec(destination, flags=flags))) is None
    gateway = address.partition("/")[0]
    assert f"{destination} {gateway} lo0" in bench.routes()


def test_release_12_looks_for_the_gateway_of_a_route_to_nowhere() -> None:
    """Spec host-files §5: 13 and later say that it is not supported."""
    bench = made(Release.V12)
    assert bench.refusal(AddRoute(spec("0.0.0.0/0", flags=BLACKHOLE))) is Errno.ENETUNREACH
    bench.address("lo0", "127.0.0.1/8")
    assert bench.refusal(AddRoute(spec("0.0.0.0/0", flags=BLACKHOLE))) is None


def test_a_host_route_onto_an_interface_makes_a_gateway_reachable(bench: Bench) -> None:
    bench.address("epair1a", "203.0.113.5/32")
    assert bench.refusal(AddRoute(spec("0.0.0.0/0", "203.0.113.1"))) is Errno.ENETUNREACH
    bench.apply(AddRoute(spec("203.0.113.1/32", interface="epair1a")))
    bench.apply(AddRoute(spec("0.0.0.0/0", "203.0.113.1")))
    assert "0.0.0.0/0 203.0.113.1 epair1a" in bench.routes()


def test_a_gateway_must_be_on_a_network_that_is_up(bench: Bench) -> None:
    assert bench.refusal(AddRoute(spec("0.0.0.0/0", "10.0.0.254"))) is Errno.ENETUNREACH
    bench.address("epair1a", "10.0.0.1/24")
    assert bench.refusal(AddRoute(spec("0.0.0.0/0", "10.0.1.254"))) is Errno.ENETUNREACH
    bench.down("epair1a")
    assert bench.refusal(AddRoute(spec("0.0.0.0/0", "10.0.0.254"))) is Errno.ENETUNREACH
    bench.up("epair1a")
    assert bench.refusal(AddRoute(spec("0.0.0.0/0", "10.0.0.254"))) is None


def test_the_default_route_does_not_make_gateways_reachable_others_do(bench: Bench) -> None:
    bench.address("epair1a", "10.0.0.1/24")
    bench.apply(AddRoute(spec("0.0.0.0/0", "10.0.0.254")))
    assert bench.refusal(AddRoute(spec("10.9.0.0/16", "192.0.2.1"))) is Errno.ENETUNREACH
    bench.apply(AddRoute(spec("192.0.2.0/24", interface="epair1a")))
    bench.apply(AddRoute(spec("10.9.0.0/16", "192.0.2.1")))
    assert "10.9.0.0/16 192.0.2.1 epair1a" in bench.routes()


def test_an_own_address_is_a_gateway_on_its_interface(bench: Bench) -> None:
    bench.address("epair1a", "10.0.0.1/24")
    bench.apply(AddRoute(spec("10.9.0.0/16", "10.0.0.1")))
    assert "10.9.0.0/16 10.0.0.1 epair1a" in bench.routes()


def test_a_link_local_gateway_needs_its_interface(bench: Bench) -> None:
    assert bench.refusal(AddRoute(spec("::/0", "fe80::1", "epair1a"))) is Errno.ENETUNREACH
    bench.address("epair1a", "fd00::1/64")
    assert bench.refusal(AddRoute(spec("::/0", "fe80::1"))) is Errno.ENETUNREACH
    assert bench.refusal(AddRoute(spec("::/0", "fe80::1", "nosuch0"))) is Errno.ENXIO
    bench.apply(AddRoute(spec("::/0", "fe80::1", "epair1a")))
    assert "::/0%epair1a fe80::1 epair1a" in bench.routes()


def test_two_gateways_are_multipath_from_13_on() -> None:
    for release, errno in ((Release.V12, Errno.EEXIST), (Release.V13, None), (Release.V15, None)):
        bench = made(release)
        bench.address("epair1a", "10.0.0.1/24")
        bench.apply(AddRoute(spec("0.0.0.0/0", "10.0.0.254")))
        assert bench.refusal(AddRoute(spec("0.0.0.0/0", "10.0.0.253"))) is errno
        assert bench.refusal(AddRoute(spec("0.0.0.0/0", "10.0.0.254"))) is Errno.EEXIST


def test_only_routes_with_gateways_stand_beside_each_other(bench: Bench) -> None:
    bench.address("lo0", "127.0.0.1/8")
    bench.address("epair1a", "10.0.0.1/24")
    assert bench.refusal(AddRoute(spec("10.0.0.0/24", "10.0.0.254"))) is Errno.EEXIST
    assert bench.refusal(AddRoute(spec("127.0.0.1/32", interface="lo0"))) is Errno.EEXIST
    bench.apply(AddRoute(spec("192.0.2.0/24", flags=BLACKHOLE)))
    assert bench.refusal(AddRoute(spec("192.0.2.0/24", "10.0.0.254"))) is Errno.EEXIST


def test_of_several_routes_the_gateway_tells_which_is_deleted(bench: Bench) -> None:
    bench.address("epair1a", "10.0.0.1/24")
    for gateway in ("10.0.0.254", "10.0.0.253"):
        bench.apply(AddRoute(spec("0.0.0.0/0", gateway)))
    assert bench.refusal(DeleteRoute(spec("0.0.0.0/0"))) is Errno.ESRCH
    assert bench.refusal(DeleteRoute(spec("0.0.0.0/0", "10.0.0.9"))) is Errno.ESRCH
    bench.apply(DeleteRoute(spec("0.0.0.0/0", "10.0.0.254")))
    bench.apply(DeleteRoute(spec("0.0.0.0/0")))
    assert bench.refusal(DeleteRoute(spec("0.0.0.0/0"))) is Errno.ESRCH


def test_a_change_gives_the_one_route_another_gateway(bench: Bench) -> None:
    bench.address("epair1a", "10.0.0.1/24")
    assert bench.refusal(ChangeRoute(spec("0.0.0.0/0", "10.0.0.254"))) is Errno.ESRCH
    bench.apply(AddRoute(spec("0.0.0.0/0", "10.0.0.254")))
    bench.apply(ChangeRoute(spec("0.0.0.0/0", "10.0.0.253")))
    assert bench.routes()[0] == "0.0.0.0/0 10.0.0.253 epair1a"
    assert bench.refusal(ChangeRoute(spec("0.0.0.0/0", "192.0.2.1"))) is Errno.ENETUNREACH
    assert bench.routes()[0] == "0.0.0.0/0 10.0.0.253 epair1a"


def test_static_routes_of_ipv4_go_with_the_address_they_belong_to(bench: Bench) -> None:
    for text in ("10.0.0.1/24", "10.0.1.1/24"):
        bench.address("epair1a", text)
    bench.apply(AddRoute(spec("10.8.0.0/16", "10.0.0.254")))
    bench.apply(AddRoute(spec("10.9.0.0/16", "10.0.1.254")))
    bench.apply(RemoveAddress("epair1a", parsed("10.0.0.1/24").address))
    assert bench.routes() == ["10.0.1.0/24 link epair1a", "10.0.1.1/32 link lo0", "10.9.0.0/16 10.0.1.254 epair1a"]


def test_down_takes_the_connected_network_and_leaves_static_routes(bench: Bench) -> None:
    """in_ifadown with delete 0 passes static routes over (sys/netinet/in_rmx.c)."""
    bench.address("epair1a", "10.0.0.1/24")
    bench.apply(AddRoute(spec("0.0.0.0/0", "10.0.0.254")))
    before = bench.routes()
    bench.down("epair1a")
    assert bench.routes() == ["0.0.0.0/0 10.0.0.254 epair1a", "10.0.0.1/32 link lo0"]
    bench.up("epair1a")
    assert bench.routes() == before


def test_everything_goes_with_the_interface(bench: Bench) -> None:
    bench.network.add_vnet(1)
    bench.address("epair1a", "10.0.0.1/24")
    bench.address("epair1a", "fd00::1/64")
    bench.apply(AddRoute(spec("0.0.0.0/0", "10.0.0.254")))
    bench.apply(AddRoute(spec("::/0", "fd00::fe")))
    bench.lend("epair1a", 1)
    assert bench.routes() == bench.routes(1) == []


# --- neighbours ---


def test_a_permanent_neighbour_needs_a_connected_network(bench: Bench) -> None:
    operation = AddNeighbour(ip_address("10.0.0.77"), b"\2\0\0\0\0\7")
    assert bench.refusal(operation) is Errno.EINVAL
    bench.address("epair1a", "10.0.0.1/24")
    bench.apply(operation)
    assert bench.refusal(DeleteNeighbour(ip_address("10.0.0.78"))) is Errno.ENOENT
    assert bench.refusal(DeleteNeighbour(ip_address("10.0.0.1"))) is Errno.EPERM
    bench.apply(DeleteNeighbour(ip_address("10.0.0.77")))
    assert bench.refusal(DeleteNeighbour(ip_address("10.0.0.77"))) is Errno.ENOENT


def test_neighbours_stand_in_the_order_of_their_hash_lists(bench: Bench) -> None:
    from vjail.kernel.core.part import Caller

    bench.address("epair1a", "10.0.0.1/24")
    for last in (2, 77, 3):
        bench.apply(AddNeighbour(ip_address(f"10.0.0.{last}"), b"\2\0\0\0\0\7"))
    found = [str(entry.address) for entry in bench.network.neighbours(Caller(0, 0))]
    assert found == ["10.0.0.77", "10.0.0.2", "10.0.0.3", "10.0.0.1"]
