"""/etc/rc, /etc/rc.shutdown and the scripts of /etc/rc.d, run in this process with FreeBSD's order and messages.

subr.py says what a script is and how it is called (rc.subr); each further module holds one or a few; table.py lists
them, plan.py orders them with what else lies in the rc.d directories, boot.py runs them. They change nothing
themselves: they call the base system's commands.
"""

from __future__ import annotations

from vjail.command.rc.boot import rc, rc_shutdown
from vjail.command.rc.subr import run_script
from vjail.command.rc.table import script as script_named
from vjail.session import Session

__all__ = ["rc", "rc_shutdown", "script"]


async def script(session: Session) -> int:
    """/etc/rc.d/NAME, NAME being what it was called as."""
    name = session.argv[0].rpartition("/")[2]
    found = script_named(name, session.system.release)
    if found is None:
        session.err(f"/etc/rc.d/{name}: not found\n")
        return 127
    return await run_script(session, found, session.argv[1:], f"/etc/rc.d/{name}")
