"""What holds for all tests: the fakes of one folder are at hand in another, and signals are as on a terminal."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "jail"))


def pytest_configure() -> None:
    """Give what tests start the usual signals, also where they run behind `&` or nohup, which have them ignored."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
