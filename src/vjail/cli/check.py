"""check: what will go wrong with a lab's files, without running anything."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from pathlib import Path

from vjail.check import Concern, Finding, Severity, Subject, find, read
from vjail.check.fix import mended
from vjail.check.report import as_json, as_sarif, line, summary, text
from vjail.check.rules.hosts import one_hostid_between
from vjail.check.script import bare, find_in_script, is_script
from vjail.cli.say import fail, problems
from vjail.conf.position import Source
from vjail.lab import folder
from vjail.lab.model import LabError, Problem
from vjail.release import Release

_ROUNDS = 5
"""A mend may bring a further one to light; so often the files are read again."""


def check(arguments: argparse.Namespace) -> int:
    """`vjail check PATH…`: exit 1 where something is found (notes alone are no reason)."""
    gc.disable()  # what is read is kept to the end
    try:
        findings = _found(arguments.paths, arguments.freebsd)
        if arguments.fix:
            findings = _fix(arguments.paths, arguments.freebsd, findings)
    except LabError as error:
        return problems(error)
    if arguments.json:
        print(json.dumps(as_json(findings), indent=2))
    elif arguments.sarif:
        print(json.dumps(as_sarif(findings), indent=2))
    else:
        for concern in Concern:
            about = [finding for finding in findings if finding.rule.concern is concern]
            if about and concern is Concern.SECURITY:
                print("security:")
            for finding in about:
                print(line(finding) if arguments.short else text(finding))
        sys.stdout.flush()
        print(summary(findings), file=sys.stderr)
    return int(any(finding.rule.severity is not Severity.NOTE for finding in findings))


def _found(paths: list[str], release: Release | None) -> list[Finding]:
    found: list[Finding] = []
    subjects: list[Subject] = []
    for path in paths or ["."]:
        if is_script(Path(path)):
            found += _typed(Path(path), release)
            continue
        lab = folder.etc(Path(path))
        subjects.append(read(lab, release or lab.release))
        found += find(subjects[-1])
    return found + list(one_hostid_between(subjects))


def _typed(path: Path, release: Release | None) -> list[Finding]:
    """Commands, typed on the host whose files lie beside them; on a bare one where none do."""
    try:
        source = Source(str(path), path.read_bytes())
    except OSError as error:
        raise LabError(Problem(str(path), (error.strerror or "cannot be read").lower())) from None
    try:
        folder.find(path.parent)
    except LabError:
        lab = bare(path, source.data.decode(errors="surrogateescape"))
    else:
        lab = folder.load(path.parent)
    return find_in_script(source, lab, release or lab.release)


def _fix(paths: list[str], release: Release | None, findings: list[Finding]) -> list[Finding]:
    """Make the certain mends; what is found afterwards."""
    for _ in range(_ROUNDS):
        files, done = mended(findings)
        if not done:
            break
        for name, data in files.items():
            _replace(name, data)
        for finding in done:
            print(f"{finding.place}: mended {finding.rule.code}: {finding.mend}", file=sys.stderr)
        findings = _found(paths, release)
    return findings


def _replace(name: str, data: bytes) -> None:
    """Write a file whole or not at all, with its mode; a link's target is what is written."""
    path = Path(os.path.realpath(name))
    beside = path.with_name(f".{path.name}.vjail")
    try:
        beside.write_bytes(data)
        beside.chmod(path.stat().st_mode & 0o7777)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        fail(f"{name}: {(error.strerror or str(error)).lower()}; nothing in it was changed")
        raise SystemExit(1) from None
