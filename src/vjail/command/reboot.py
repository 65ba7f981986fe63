"""reboot(8), halt(8): what they say in a jail, which has no init to tell, and on a lab host.

Sources: reboot(8), sbin/reboot of 13.2, replay/documents-C.txt.
"""

from __future__ import annotations

from vjail.command.getopt import BadOption, Getopt
from vjail.kernel.errno import Errno
from vjail.session import Quit, Session, run_named

_USAGE = {"reboot": "[-cdlNnpqr]", "halt": "[-clNnpq]"}


def reboot(session: Session) -> int:
    """reboot(8), halt(8)."""
    return run_named(session, _reboot)


def _reboot(session: Session) -> int:
    name = session.argv[0]
    for option in Getopt(session.argv[1:], "cdk:lNnpqr"):
        if isinstance(option, BadOption):
            session.err(f"{name}: {option.text}\nusage: {name} {_USAGE[name]} [-k kernel]\n")
            raise Quit(None)
    if session.uid != 0:
        raise Quit(Errno.EPERM.text)
    if session.system.jid:
        raise Quit(f"SIGTSTP init: {Errno.ESRCH.text}")
    raise Quit("a lab host is not rebooted: `vjail down` and `vjail up` start it anew")
