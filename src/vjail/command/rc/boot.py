"""/etc/rc and /etc/rc.shutdown, of a host and of a jail.

In a jail the scripts marked `nojail` are left out, those marked `nojailvnet` unless the jail owns its network stack.
FreeBSD's ldconfig, devd, entropy and the like mean nothing here and are not run. Sources: libexec/rc/{rc,rc.shutdown}
of 13.2, spec jail-lifecycle §11, observed/b2_service_jail.txt, d5_rcconf_blackhole.txt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence

from vjail.command import rc_files
from vjail.command.rc.plan import RC_D, Planned, left_out, plan, start_other
from vjail.command.rc.subr import Keyword, Rc, run_rc_command
from vjail.kernel.errno import KernelError
from vjail.session import Session

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


async def rc(session: Session, *, without: Collection[str] = ()) -> int:
    """/etc/rc [autoboot]: start everything, then the date. `without`: scripts, by name, to leave out."""
    word = "faststart" if "autoboot" in session.argv[1:] else "quietstart"
    conf, problems = rc_files.load(session.files)
    base = Rc(session, conf, "/etc/rc")
    for problem in problems:
        base.warn(f"{problem.span}: {problem.reason}; ignored")
    skipped = left_out(session)
    for planned in plan(session, conf):
        if not planned.keywords & skipped and planned.path not in {f"{RC_D}/{name}" for name in without}:
            await _run(session, planned, word, "/etc/rc")
    session.out(f"\n{date(session.time())}\n")
    return 0


async def rc_shutdown(session: Session) -> int:
    """/etc/rc.shutdown: stop what is marked `shutdown`, last started first."""
    conf, _ = rc_files.load(session.files)
    skipped = left_out(session) - {Keyword.NOSTART.value}
    wanted = [
        planned
        for planned in plan(session, conf)
        if Keyword.SHUTDOWN.value in planned.keywords and not planned.keywords & skipped
    ]
    limit = conf.get("rcshutdown_timeout")
    try:
        await asyncio.wait_for(_stop(session, wanted), int(limit) if limit.isdecimal() else None)
    except TimeoutError:
        session.out(f"\n{limit} second watchdog timeout expired. Shutdown terminated.\n{date(session.time())}\n")
        return 1
    session.out(".\n")
    return 0


def date(now: float) -> str:
    """date(1) in UTC: `Sun Nov 22 08:32:41 UTC 2026`."""
    at = time.gmtime(now)
    day = f"{_DAYS[at.tm_wday]} {_MONTHS[at.tm_mon - 1]} {at.tm_mday:2}"
    return f"{day} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} UTC {at.tm_year}"


async def _stop(session: Session, scripts: Sequence[Planned]) -> None:
    for planned in reversed(scripts):
        await _run(session, planned, "faststop", "/etc/rc.shutdown")


async def _run(session: Session, planned: Planned, word: str, program: str) -> None:
    """One script; whatever becomes of it, the next one runs."""
    if planned.script is None:
        await start_other(session, planned.path, [word])
        return
    conf, _ = rc_files.load(session.files, *planned.script.heeds, planned.script.called)
    context = Rc(session, conf, program)
    try:
        await run_rc_command(context, planned.script, [word])
    except KernelError as error:
        context.warn(f"{planned.script.called}: {error}")
