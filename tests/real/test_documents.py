"""Every command line that the documents print for rows A1-A3, B1-B4, B6, C1-C3, E1 and E2, typed at a lab's host.

What came back is docs/documents.md. To write it anew:

    VJAIL_WRITE_DOCUMENTS=1 pytest tests/real/test_documents.py
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import pytest
from document_report import report, settled
from document_session import Answered, carry_out
from sandbox import sandbox

from documented import Session, not_typed, sessions

pytestmark = pytest.mark.real

TOP = Path(__file__).parent.parent.parent
DOCUMENT = TOP / "docs" / "documents.md"
_AT_ONCE = 8
"""Labs that are typed at side by side; most of the time each waits for its pings."""
_SESSIONS = sessions()
Answers = Callable[[int], dict[str, tuple[Answered, ...]]]


@pytest.fixture(scope="module")
def answers(program: Path) -> Answers:
    """What a user's lab hosts answer, by lab; typed once."""

    @cache
    def answered(uid: int) -> dict[str, tuple[Answered, ...]]:
        work = program / "work"
        shutil.copytree(TOP / "examples", work)
        try:
            for path in (work, *work.rglob("*")):
                os.chown(path, uid, uid)
            with sandbox(program, uid) as box, ThreadPoolExecutor(_AT_ONCE) as pool:
                return dict(
                    zip((each.lab for each in _SESSIONS), pool.map(partial(carry_out, box), _SESSIONS), strict=True)
                )
        finally:
            shutil.rmtree(work)

    return answered


@pytest.mark.parametrize("session", _SESSIONS, ids=lambda session: session.lab)
def test_lines_give_what_freebsd_gives(answers: Answers, session: Session, uid: int) -> None:
    """Every line agrees, but for those with a reason, and those do differ."""
    wrong = [
        f"{each.line.typed}\n  FreeBSD: {each.line.freebsd}\n  here:    {each.ours}"
        for each in answers(uid)[session.lab]
        if each.agrees == bool(each.line.differs)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_document_is_what_the_run_gives(answers: Answers, uid: int) -> None:
    made = report([(session, answers(uid)[session.lab]) for session in _SESSIONS], not_typed())
    if os.environ.get("VJAIL_WRITE_DOCUMENTS"):
        DOCUMENT.write_text(made)
    assert settled(DOCUMENT.read_text()) == settled(made)
