"""The conformance suite on the model."""

from __future__ import annotations

import pytest

from conformances import Case, cases
from conformances_model import as_the_model_shows, lab_of, seen
from topologies import topology


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_model_shows_what_the_case_says(case: Case) -> None:
    lab = lab_of(case)
    shown = [(line, seen(lab, case, line)) for line in case.lines]
    differing = [f"{line}\nexpected:\n{line.expected}seen:\n{text}" for line, text in shown if not line.same(text)]
    assert not differing, "\n".join(differing)


def test_there_are_cases_enough() -> None:
    assert len(cases()) >= 24
    assert all(case.lines for case in cases())


def test_random_topologies_come_up_and_answer_alike_each_time() -> None:
    shown = [as_the_model_shows(topology(number)) for number in range(25)]
    assert shown == [as_the_model_shows(topology(number)) for number in range(25)]
    answers = [line.expected for case in shown for line in case.lines if line.is_echo]
    assert 0.2 < sum(answer == "answered\n" for answer in answers) / len(answers) < 0.8
