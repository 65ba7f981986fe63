"""A lab in memory: FreeBSD's commands over kernel/model, on any machine and with no privileges.

`Rehearsal.of(lab)` makes the hosts and wires of a lab (lab/model.py), `up` brings them up as `vjail up` would, `type`
runs a command line, `echo` sends a packet and tells its way. What cannot be known without running it raises
`NotModelled`. `fork` gives another lab in the same state, cheaply.
"""

from vjail.command.sh import NotModelled
from vjail.rehearsal.lab import Rehearsal, Result
from vjail.rehearsal.up import Booted, up

__all__ = ["Booted", "NotModelled", "Rehearsal", "Result", "up"]
