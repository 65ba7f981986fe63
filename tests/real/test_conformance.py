"""The conformance suite on Linux, and random topologies: every case at hosts of its own, all of them in one lab."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sandbox import Sandbox
from typist import Typist

from conformances import LAB, NICS, Case, Line, cases
from conformances_model import as_the_model_shows
from topologies import topology

pytestmark = pytest.mark.real

TOPOLOGIES = range(10)
"""Random topologies, of which Linux must show what the model shows."""
_AT_ONCE = 6
"""Cases typed side by side; most of the time each waits for a ping that is not answered."""


def write(box: Sandbox, chosen: list[Case]) -> None:
    """A lab with the hosts of all cases."""
    folder = box.folder / LAB
    folder.mkdir()
    wires, hosts = [], []
    for case in chosen:
        wires += [f"  {case.name}-{nic}: {{}}" for nic in NICS]
        files = ""
        if case.hostid is not None:
            (folder / case.name).mkdir()
            (folder / case.name / "hostid").write_text(f"{case.hostid}\n")
            files = f"files: {case.name}, "
        nics = ", ".join(f"{nic}: {case.name}-{nic}" for nic in NICS)
        hosts += [f"  {case.host(name)}: {{{files}userland: minimal, nics: {{{nics}}}}}" for name in case.hosts]
    (folder / "vjail.yml").write_text("\n".join(("wires:", *wires, "hosts:", *hosts, "")))


def seen(typist: Typist, line: Line) -> str:
    """What a line shows; of an echo request only whether it was answered."""
    if not line.is_echo:
        result = typist.type(f"jexec {line.jail} {line.text}" if line.jail else line.text)
        return result.out + result.err + (f"[exit {result.code}]\n" if result.code else "")
    words = f"ping{'6' if ':' in line.text else ''} -o -c 3 -i 0.4 -q -t 1 {line.text}"
    result = typist.type(f"jexec {line.jail} {words}" if line.jail else words)
    return "answered\n" if result.code == 0 else "lost\n"


def matches(line: Line, text: str) -> bool:
    """Whether a line shows what it must; a terminal mixes both streams, here errors come last."""
    if line.is_echo:
        return text.split(":")[0].strip() == line.expected.split(":")[0].strip()
    return sorted(line.compared(text).splitlines()) == sorted(line.compared(line.expected).splitlines())


def typed(box: Sandbox, case: Case) -> list[tuple[Line, str]]:
    """A case's lines with what each showed."""
    typists: Mapping[str, Typist] = {name: Typist(box, LAB, case.host(name)) for name in case.hosts}
    try:
        return [(line, seen(typists[line.host], line)) for line in case.lines]
    finally:
        for typist in typists.values():
            typist.close()


def test_linux_shows_what_the_cases_say(box: Sandbox, summary: Callable[[str], None]) -> None:
    # Without root and without 8021q no frame gets a tag (docs/without-root.md).
    without = {"vlan"} if box.uid != 0 and not Path("/proc/net/vlan").exists() else set()
    without |= set() if shutil.which("nft") else {"pf"}
    chosen = [case for case in cases() if not case.needs & without]
    chosen += [as_the_model_shows(topology(number)) for number in TOPOLOGIES]
    write(box, chosen)
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        shown = dict(zip((case.name for case in chosen), pool.map(partial(typed, box), chosen), strict=True))
    assert box.vjail("down", LAB).code == 0
    differing, agreeing = [], 0
    for name, lines in shown.items():
        for line, text in lines:
            if matches(line, text) is line.differs_on("linux"):
                what = "agrees after all" if line.differs_on("linux") else f"expected:\n{line.expected}seen:\n{text}"
                differing.append(f"{name} {line}\n{what}")
            agreeing += matches(line, text)
    total = sum(len(lines) for lines in shown.values())
    who, left_out = "root" if box.uid == 0 else "user", [case.name for case in cases() if case not in chosen]
    summary(f"conformance ({who}): {agreeing} of {total} lines in {len(chosen)} cases; left out: {left_out}")
    assert not differing, "\n".join(differing)
