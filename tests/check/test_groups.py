"""The split into groups against brute force: what a start comes to depends on the order of its own group alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vjail.check import read
from vjail.check.run.groups import groups
from vjail.check.run.stage import Stage, stages
from vjail.lab import folder

LINES = (
    "ifconfig epair{n} create",
    "ifconfig epair{n}a up",
    "ifconfig epair{n} create && ifconfig bridge0 addm epair{n}a",
    "ifconfig epair{n}a >/dev/null 2>&1 || ifconfig epair{n} create",
    "ifconfig epair{n}a destroy",
    "ifconfig bridge{n} create",
    "ifconfig bridge{n} >/dev/null 2>&1 || ifconfig bridge{n} create",
    "ifconfig bridge{n} destroy",
    "e=\\$(ifconfig epair create) && ifconfig \\$e name h{n}",
    "ifconfig lo1 inet 10.0.0.{n}/32 alias",
    "ifconfig lo1 inet 10.0.0.{n} -alias",
    "test ! -e /var/run/flag{n} && touch /var/run/flag{n}",
    "jib addm n{n} em0",
    "jib destroy n{n}",
    "jls -j j{n} >/dev/null",
    "mount -t tmpfs tmpfs /mnt/{n}",
)
line = st.builds(lambda text, number: text.format(n=number), st.sampled_from(LINES), st.integers(1, 3))


def stage_of(texts: Sequence[Sequence[str]]) -> Stage:
    jails = []
    for number, lines in enumerate(texts):
        runs = ", ".join(f'"{each}"' for each in lines)
        jails.append(f'j{number} {{ path = "/j/{number}"; persist; exec.prestart = {runs}; }}\n')
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        (path / "jail.conf").write_text("".join(jails))
        (path / "rc.conf").write_text('cloned_interfaces="bridge0 lo1"\nifconfig_em0="up"\n')
        lab = folder.load(path)
        return stages(read(lab, lab.release))["fbsd"]


def agree(stage: Stage) -> None:
    """Start the jails in every order; a start after the same others of its group must come to the same."""
    jails = [each.jail for each in stage.world.jails]
    group_of = {each.name: place for place, group in enumerate(groups(stage.world.jails)) for each in group}
    seen: dict[tuple[str, tuple[str, ...]], bool] = {}

    def go_on(now: Stage, before: tuple[str, ...]) -> None:
        for name in group_of:
            if name in before:
                continue
            then = now.fork()
            fails = then.start(jails, name).failure() is not None
            own = tuple(other for other in before if group_of[other] == group_of[name])
            assert seen.setdefault((name, own), fails) == fails, (name, before)
            go_on(then, (*before, name))

    go_on(stage, ())


def test_who_makes_one_of_any_number_may_make_the_one_that_another_uses() -> None:
    anyone = "e=\\$(ifconfig epair create) && ifconfig \\$e name h1"
    stage = stage_of([["ifconfig epair1a up"], [anyone, anyone]])
    assert [len(group) for group in groups(stage.world.jails)] == [2]
    agree(stage)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(line, min_size=1, max_size=2), min_size=2, max_size=4))
def test_groups_are_independent(texts: list[list[str]]) -> None:
    agree(stage_of(texts))


def test_six_jails_in_every_order() -> None:
    """1,956 starts: two that share an epair, two that share a bridge, two that share nothing."""
    stage = stage_of(
        [
            ["ifconfig epair1 create"],
            ["ifconfig epair1a up"],
            ["ifconfig bridge2 create"],
            ["ifconfig bridge2 destroy"],
            ["ifconfig epair2 create && ifconfig bridge0 addm epair2a"],
            ["ifconfig bridge0 description x"],
        ]
    )
    assert sorted(len(group) for group in groups(stage.world.jails)) == [1, 1, 2, 2]
    agree(stage)
