"""Runs cases of the conformance suite on the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from conformances import LAB, NICS, Case, Line
from vjail.lab.model import HostFile, Lab, LabHostSpec
from vjail.rehearsal import Rehearsal
from vjail.rehearsal.up import boot


def lab_of(case: Case) -> Rehearsal:
    """Two hosts with two NICs each, booted."""
    files = {} if case.hostid is None else {"hostid": HostFile(Path("hostid"), f"{case.hostid}\n".encode())}
    wires = tuple(f"{case.name}-{nic}" for nic in NICS)
    hosts = {
        case.host(name): LabHostSpec(case.host(name), dict(zip(NICS, wires, strict=True)), files) for name in case.hosts
    }
    lab = Rehearsal.of(Lab(LAB, Path(LAB), hosts, wires))
    for name in hosts:
        assert boot(lab, name).code == 0
    return lab


def seen(lab: Rehearsal, case: Case, line: Line) -> str:
    """What a line shows."""
    host = case.host(line.host)
    if not line.is_echo:
        words = f"jexec {line.jail} {line.text}" if line.jail else line.text
        result = lab.type(host, words)
        return result.both + (f"[exit {result.code}]\n" if result.code else "")
    outcome = lab.echo(host, line.jail, line.text)
    place = outcome.place
    if outcome.answered or outcome.loss is None or place is None:
        return "answered\n"
    where = f"{place.host.removeprefix(f'{case.name}-')}:{place.jail}".rstrip(":")
    return f"lost: {outcome.loss.name} at {where} {place.interface}".rstrip() + "\n"


def as_the_model_shows(case: Case) -> Case:
    """A case whose lines expect what the model shows."""
    lab = lab_of(case)
    return replace(case, lines=tuple(replace(line, expected=seen(lab, case, line)) for line in case.lines))
