"""Every step of a start failing once: what stays behind, and whether the next start bears it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vjail.check.run.stage import Outcome, Stage
from vjail.check.subject import JailSubject
from vjail.conf.jailconf import Jail, JailParameter, JailValue
from vjail.jail.phases import Step, start_phases

_FAILS = "/usr/bin/false"
_COMMANDS = frozenset({Step.PREPARE, Step.PRESTART, Step.CREATED, Step.START, Step.COMMAND, Step.POSTSTART})


@dataclass(frozen=True, slots=True)
class Broken:
    """A start whose step `value` of phase `step` failed; what it left, and what the start after it came to."""

    jail: str
    step: Step
    value: JailValue
    left: tuple[str, ...]
    next: Outcome


def run(stage: Stage, group: Sequence[JailSubject], jail: JailSubject) -> list[Broken]:
    """Let each step of a jail's start fail, on a host where nothing of its group runs but what it depends on."""
    found: list[Broken] = []
    jails = [each.jail for each in group]
    base = stage.remains()
    whole = stage.fork()
    if whole.start(jails, jail.name).failure() is not None:
        return []  # told of already
    for step, value, broken in _broken(jail):
        attempt = stage.fork()
        outcome = attempt.start([broken if each is jail.jail else each for each in jails], jail.name)
        if outcome.broken_off or attempt.is_doubtful or outcome.failure(jail.name) is None:
            continue
        attempt.lab.settle()
        depends = {f"jail {name}" for name in attempt.running()}
        left = tuple(item for item in attempt.remains().beyond(base) if item not in depends)
        again = attempt.start(jails, jail.name)
        if not again.doubtful and again.failure(jail.name) is not None:
            found.append(Broken(jail.name, step, value, left, again))
    return found


def _broken(jail: JailSubject) -> Iterator[tuple[Step, JailValue, Jail]]:
    """The jail with one of its commands put out of order, each once, the last of each phase first."""
    for phase in start_phases(jail.release):
        if phase.step not in _COMMANDS:
            continue
        parameter = jail.jail.parameter(phase.step.value)
        for place, value in enumerate(parameter.values if parameter is not None else ()):
            assert parameter is not None
            values = list(parameter.values)
            values[place] = replace(value, text=_FAILS)
            yield phase.step, value, _with(jail.jail, replace(parameter, values=tuple(values)))


def _with(jail: Jail, parameter: JailParameter) -> Jail:
    parameters = tuple(parameter if each.name == parameter.name else each for each in jail.parameters)
    return replace(jail, parameters=parameters)
