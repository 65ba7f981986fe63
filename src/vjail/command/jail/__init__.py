"""jail(8): from its command line to jails in queues, and the runner let loose on them.

options.py reads the command line, main.py finds out which of the five forms it is, world.py is the host's files and
names as the checks of parameters ask for them. What becomes of the jails is vjail.jail's.
"""

from vjail.command.jail.main import jail

__all__ = ["jail"]
