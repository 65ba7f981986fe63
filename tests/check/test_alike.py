"""What is told of jails that are alike another, against looking at each of them."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vjail.check import Subject, find, read
from vjail.check.run import alike, orders
from vjail.check.run.stage import Standing
from vjail.lab import folder

RC_CONF = """\
cloned_interfaces="bridge0 lo1"
ifconfig_em0="inet 192.168.1.1/24"
ifconfig_em0_ipv6="inet6 fd01::1/64"
"""
LINES = (
    "ifconfig epair{n} create up",
    "ifconfig epair{n} create up && ifconfig bridge{m} addm epair{n}a",
    "ifconfig epair{n}a >/dev/null 2>&1 || ifconfig epair{n} create up",
    "ifconfig bridge{m} >/dev/null 2>&1 || ifconfig bridge{m} create up",
    "ifconfig bridge{m} create up",
    "ifconfig bridge{m} destroy",
    "ifconfig epair{n}a ether 02:00:00:00:0{m}:0{n}",
    "ifconfig lo1 inet 10.{m}.0.{n}/16 alias",
    "route add 10.9.{n}.0/24 10.{m}.0.1",
    "route add 10.9.{n}.0/24 192.168.{m}.{n}",
    "route -6 add fd09:{n}::/64 fd0{m}::{n}",
)
STARTS = (
    "inet 10.{m}.0.{n}/24 up && route add 10.9.0.0/16 10.{k}.0.9",
    "inet 10.0.{m}.{n}/16 up && route add 10.9.0.0/16 10.{k}.0.9",
    "inet 10.0.0.{n} netmask 255.255.255.248 up && route add 10.9.0.0/16 10.0.0.{k}7",
    "inet 10.0.0.{n} netmask 0xffffff00 up && route add 10.9.0.0/16 10.0.{k}.7",
    "inet 192.168.{m}.{n} up && route add 10.9.0.0/16 192.168.{k}.9",
    "inet6 fd0{m}::{n}/64 up && route -6 add fd09::/16 fd0{k}::9",
    "inet6 fd0{m}::{n} prefixlen 64 up && route -6 add fd09::/16 fd0{k}::9",
)
numbers = st.fixed_dictionaries(
    {"n": st.integers(1, 6), "m": st.sampled_from((0, 0, 1)), "k": st.sampled_from((0, 0, 1))}
)
forms = st.tuples(st.lists(st.sampled_from(LINES), max_size=2), st.sampled_from(STARTS))


@st.composite
def jails(draw: st.DrawFn) -> str:
    """A jail.conf of jails of one text or two, each with numbers of its own."""
    texts = st.sampled_from(draw(st.lists(forms, min_size=1, max_size=2)))
    made = []
    for number, (lines, start) in enumerate(draw(st.lists(texts, min_size=2, max_size=5))):
        own, end = draw(numbers), f"epair1{number}b"
        runs = "".join(f' exec.prestart += "{line.format(**own)}";' for line in (f"ifconfig {end[:-1]} create", *lines))
        inside = f"ifconfig {end} {start.format(**own)}"
        made.append(
            f'j{number} {{ path = "/jails/j{number}"; persist; vnet; vnet.interface = {end};{runs}'
            f' exec.start = "{inside}"; exec.poststop = "ifconfig {end} destroy"; }}\n'
        )
    return "".join(made)


def subject_of(jail_conf: str) -> Subject:
    """A host with this jail.conf."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        (path / "jail.conf").write_text(jail_conf)
        (path / "rc.conf").write_text(RC_CONF)
        lab = folder.load(path)
        return read(lab, lab.release)


def found(jail_conf: str) -> list[tuple[str, int, str]]:
    """The findings there are, each with its line: what is told again is told at the whole value."""
    return sorted(
        (each.rule.code, each.span.position.line if each.span is not None else 0, each.text)
        for each in find(subject_of(jail_conf))
    )


def are_alike(one: str, other: str) -> bool:
    """Whether two jails that run these lines are taken for alike."""
    lines = zip(("a", "b"), (one, other), strict=True)
    (host,) = subject_of("".join(f'{name} {{ vnet; exec.start = "{line}"; }}\n' for name, line in lines)).hosts
    forms = [alike.form([jail], Standing(frozenset(), ())) for jail in host.jails]
    return forms[0] == forms[1]


def test_masks_are_no_addresses() -> None:
    route = "route add -net {} -netmask {} 10.0.0.9"
    assert are_alike(route.format("10.8.0.0", "255.255.0.0"), route.format("10.9.0.0", "255.255.0.0"))
    assert not are_alike(route.format("10.9.0.0", "255.255.0.0"), route.format("10.9.0.0", "255.255.128.0"))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(jails())
def test_what_is_told_again_is_what_there_is(jail_conf: str) -> None:
    told = found(jail_conf)
    number = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        for module in (alike, orders):
            patch.setattr(module, "form", lambda group, standing: (str(next(number)),))
        assert found(jail_conf) == told
