"""Carries out a session of the documents' lines in a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox import Sandbox
from seat import Seat
from typist import Typist

from documented import Answer, Line, Session


@dataclass(frozen=True, slots=True)
class Answered:
    """A line, what was answered here, and how deep in other lines it was typed: 1 is in the shell a line started."""

    line: Line
    ours: Answer
    depth: int = 0

    @property
    def agrees(self) -> bool:
        """Whether FreeBSD 13.2 answers the same."""
        return self.ours.agrees(self.line.freebsd, self.line.typed)


def carry_out(box: Sandbox, session: Session) -> tuple[Answered, ...]:
    """Bring the lab of a session up, type its lines, and take it down."""
    up = box.vjail("up", *session.up, session.lab)
    assert up.code == 0, up
    typist = Typist(box, *session.at)
    try:
        answers = tuple(each for line in session.lines for each in _answered(box, session, typist, line))
    finally:
        typist.close()
        down = box.vjail("down", session.lab)
        assert down.code == 0, down
    return answers


def _answered(box: Sandbox, session: Session, typist: Typist, line: Line) -> Iterator[Answered]:
    if line.needs_terminal:
        yield from _at_a_terminal(box, session, typist, line)
    else:
        result = typist.type(line.typed)
        yield Answered(line, Answer(result.out, result.err, result.code))


def _at_a_terminal(box: Sandbox, session: Session, typist: Typist, line: Line) -> Iterator[Answered]:
    within: list[Answered] = []
    with Seat(box, *session.at) as seat:
        if line.inside is None:
            said = seat.interrupt(line.typed, line.interrupt)
        else:
            said = seat.type(line.typed)
            within += [Answered(each, Answer(seat.type(each.typed), "", None), 1) for each in line.inside]
            for each in line.meanwhile:
                within += _answered(box, session, typist, each)
            said += seat.type("exit")
        code = int(seat.type("echo $?"))
    yield Answered(line, Answer(said, "", code))
    yield from within
