"""A host's jail.conf and rc.conf as a lab file: the opposite of lab/compile.

The host is brought up in memory, and what its interfaces and routes come to there is written as networks, links and
jails: it does not matter how the lines are written that make them. The lab file is then brought up in memory as well,
and both are compared, so that what is lost is told.
"""

from vjail.importing.lab import Imported, import_lab

__all__ = ["Imported", "import_lab"]
