"""Every example comes up in memory; who reaches whom there is what its row says."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjail.kernel.model.trace import Loss
from vjail.lab.folder import load
from vjail.rehearsal import Booted, Rehearsal, up

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
FAIL = {
    "D2-interfaces-in-one-string": "interface epair11b epair12b does not exist",
    "D3-blackhole-in-start": "gateway ::1 fib 0: Operation not supported",
}
"""The examples whose jail does not start, and what is said."""


def brought_up(name: str) -> tuple[Rehearsal, list[Booted]]:
    lab = Rehearsal.of(load(EXAMPLES / name))
    return lab, up(lab)


@pytest.mark.parametrize("name", FOLDERS)
def test_an_example_comes_up_in_memory(name: str) -> None:
    lab, booted = brought_up(name)
    said = "".join(each.jails.both for each in booted)
    assert [each.boot.code for each in booted] == [0] * len(lab.hosts)
    assert FAIL.get(name, "") in said
    assert ("failed" in said) is (name in FAIL), said


@pytest.mark.parametrize(
    ("name", "host", "jail", "address", "loss"),
    [
        ("A1-two-jails", "fbsd", "jail_02", "10.0.0.1", None),
        ("C3-rc-conf-mended", "client", "", "192.168.2.5", None),
        ("C3-rc-conf-mended", "client", "", "2001:db8:2::5", None),
        ("C3-rc-conf-mended", "client", "", "192.168.2.3", None),
        ("C3-rc-conf-as-printed", "client", "", "192.168.2.5", Loss.DOWN),
        ("C4-static-nat", "client", "", "192.168.2.5", None),
        ("C4-static-nat", "client", "", "2001:db8:2::5", None),
        ("C4-static-nat", "serverC", "serverA", "192.168.2.9", None),
        ("C4-static-nat", "serverC", "serverA", "2001:db8:2::9", None),
        ("C4-static-nat", "client", "", "10.0.0.2", Loss.NO_ROUTE),
        ("C4-nat-and-rdr", "router", "web", "192.168.2.9", None),
        ("C4-nat-and-rdr", "router", "shell", "2001:db8:2::9", None),
        ("C4-nat-and-rdr", "client", "", "192.168.2.3", None),
    ],
)
def test_packets_of_an_example_go_as_its_row_says(
    name: str, host: str, jail: str, address: str, loss: Loss | None
) -> None:
    lab, _ = brought_up(name)
    outcome = lab.echo(host, jail, address)
    assert outcome.loss is loss, "\n".join(map(str, outcome.hops))


def test_the_private_address_never_shows_on_the_outer_wire() -> None:
    """Row C4."""
    lab, _ = brought_up("C4-static-nat")
    outcome = lab.echo("serverC", "serverA", "192.168.2.9")
    there = [hop.detail for hop in outcome.hops if hop.host == "client"]
    assert there
    assert not [detail for detail in there if "10.0.0." in detail]


JL1, JL2, J1, J2 = ("JL-1", ""), ("JL-2", ""), ("JL-1", "j-1"), ("JL-2", "j-2")


@pytest.mark.parametrize("prefix", ["10.1.{}.{}", "2001:db8:{}::{}"])
@pytest.mark.parametrize("net", [105, 106])
def test_the_eight_lines_of_the_document(net: int, prefix: str) -> None:
    """Row D5: while everybody talks, only the NICs of two hosts with one hostid reach each other."""
    lab, _ = brought_up("D5-one-hostid")
    addresses = {JL1: prefix.format(net, 11), JL2: prefix.format(net, 12)}
    addresses |= {J1: prefix.format(net, 101), J2: prefix.format(net, 102)}

    def reach(one: tuple[str, str], other: tuple[str, str]) -> list[Loss | None]:
        asked = ((*one, addresses[other]), (*other, addresses[one]))
        return [lab.echo(host, jail, address, amid_others=True).loss for host, jail, address in asked]

    assert reach(JL1, JL2) == [None, None]
    assert reach(JL1, J2) == reach(JL2, J1) == [Loss.NOT_FORWARDING, None]
    own = Loss.OWN_ARP if prefix.startswith("10") else Loss.SAME_PORT
    assert reach(J1, J2) == [own, own]
