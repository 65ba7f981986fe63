"""What holds for all tests: fakes at hand everywhere, signals as on a terminal, what they have to say at the end."""

import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "jail"))


def pytest_configure() -> None:
    """Give what tests start the usual signals, also where they run behind `&` or nohup, which have them ignored."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture
def summary(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Takes lines that pytest prints when all tests are over."""
    return partial(record_property, "summary")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests had to say, in whichever process they ran."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, line in report.user_properties:
            if name == "summary":
                terminalreporter.line(line)
