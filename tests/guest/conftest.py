"""What the guest's tests have to say is printed at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_SUMMARY = pytest.StashKey[list[str]]()


@pytest.fixture
def summary(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes lines that pytest prints when all tests are over."""
    return request.config.stash.setdefault(_SUMMARY, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests had to say."""
    for line in terminalreporter.config.stash.get(_SUMMARY, []):
        terminalreporter.line(line)
