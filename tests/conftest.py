"""Lets the tests of one folder use the fakes that stand in another: `from jail_fakes import FakeHost`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "jail"))
