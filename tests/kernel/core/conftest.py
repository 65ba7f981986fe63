"""Lets these tests use the fake host of the command tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "command"))
