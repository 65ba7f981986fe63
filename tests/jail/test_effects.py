"""The table of what parameters do on Linux: complete, and the same in code, in reports and in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest
from jail_fakes import FakeHost, command

from vjail.conf.jailconf import known_parameters
from vjail.jail.effects import Coverage, coverage_table, effects, reports, without_effect
from vjail.release import Release

DOCUMENT = (Path(__file__).parents[2] / "docs" / "jail-parameters.md").read_text()


@pytest.mark.parametrize("release", Release)
def test_every_parameter_of_every_release_is_in_it(release: Release) -> None:
    assert set(known_parameters(release)) <= set(effects())


def test_nothing_else_is_in_it() -> None:
    assert set(effects()) == set(known_parameters(max(Release)))


def test_the_document_has_the_table_and_the_list() -> None:
    assert coverage_table() in DOCUMENT
    section = DOCUMENT.partition("## Without effect\n")[2].partition("\n## ")[0]
    assert section.replace(",", " ").split() == [f"`{name}`" for name in without_effect()]


def report_of(line: str, release: Release = Release.V13) -> list[str]:
    host = FakeHost(release)
    assert command(host, f"jail -c path=/ persist {line}").code == 0
    (jail,) = host.system().jails()
    return [text.partition(":")[0] for text in reports(jail.parameters)]


@pytest.mark.parametrize(
    "line", ["", "vnet", "ip4.addr=10.0.0.1", "allow.raw_sockets allow.set_hostname", "ip4=inherit"]
)
def test_an_ordinary_jail_is_not_reported(line: str) -> None:
    assert report_of(line) == []
    assert report_of(line, Release.V15) == []


def test_what_has_no_effect_is_reported_if_it_is_asked_for() -> None:
    assert report_of("allow.chflags securelevel=2 allow.quotas") == ["securelevel", "allow.chflags", "allow.quotas"]
    assert report_of("securelevel=-1 allow.nochflags") == []
    assert report_of("allow.nounprivileged_proc_debug ip4.nosaddrsel") == ["allow.unprivileged_proc_debug"]


_ASKING = {"securelevel": "securelevel=1"}
_ASKING["allow.unprivileged_proc_debug"] = "allow.nounprivileged_proc_debug"


@pytest.mark.parametrize(
    ("name", "release"),
    [
        (name, release)
        for release in (Release.V13, Release.V15)
        for name in known_parameters(release)
        if effects()[name].coverage is Coverage.NONE
    ],
)
def test_none_is_silently_dropped(name: str, release: Release) -> None:
    """Each that has no effect is accepted and reported once, or where its module is missing refused by name."""
    host = FakeHost(release)
    done = command(host, f"jail -c path=/ persist {_ASKING.get(name, name)}")
    if done.code:
        assert done.stderr == f"jail: unknown parameter: {name}\n"
        assert known_parameters(release)[name].module is not None
    else:
        (jail,) = host.system().jails()
        assert [text.partition(":")[0] for text in reports(jail.parameters)] == [name]


def test_a_report_says_why() -> None:
    assert reports({"securelevel": 1}) == ["securelevel: kept and read back; it raises no protection"]


def test_what_works_is_never_reported() -> None:
    reported = {text.partition(":")[0] for text in reports(dict.fromkeys(effects(), True))}
    assert "allow.chflags" in reported
    assert {effects()[name].coverage for name in reported} == {Coverage.NONE}
