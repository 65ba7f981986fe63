"""pfctl(8): `main.py` reads the command line, `load.py` loads a pf.conf, `show.py` and `tables.py` print and change."""

from vjail.command.pf.main import pfctl

__all__ = ["pfctl"]
