"""Scripts that keep files of /tmp, /var/run and /var/log in order: cleartmp, os-release, motd, newsyslog.

Sources: libexec/rc/rc.d/{cleartmp,os-release,motd,newsyslog} of 13.2, newsyslog.conf(5), observed/b2_service_jail.txt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from vjail.command.rc.subr import Rc, Script, nothing
from vjail.kernel.errno import KernelError
from vjail.session import FileKind

_X11_DIRECTORIES = ("/tmp/.X11-unix", "/tmp/.XIM-unix", "/tmp/.ICE-unix", "/tmp/.font-unix")
_OS_RELEASE = "/var/run/os-release"
_MOTD, _MOTD_TEMPLATE, _MOTD_LINK = "/var/run/motd", "/etc/motd.template", "/etc/motd"
_NEWSYSLOG_CONF = "/etc/newsyslog.conf"


async def clear_tmp(rc: Rc, words: Sequence[str]) -> int:
    """Empty /tmp, or only what X11 left there; then make X11's directories."""
    if rc.yes("clear_tmp_enable"):
        rc.message("Clearing /tmp.\n")
        await rc.run("/bin/sh", "-c", "find /tmp/. ! -name . ! -name lost+found -prune -exec rm -rf -- {} +")
    elif rc.yes("clear_tmp_X"):
        rc.message("Clearing /tmp (X related).\n")
        for path in rc.session.files.glob("/tmp/.X[0-9]-lock"):
            _try(rc, "rm", path, partial(rc.session.files.unlink, path))
    if rc.yes("clear_tmp_X"):
        for path in _X11_DIRECTORIES:
            if not rc.is_readable(path):
                _try(rc, "mkdir", path, partial(rc.session.files.mkdir, path, 0o1777))
    return 0


async def update_os_release(rc: Rc, words: Sequence[str]) -> int:
    """/var/run/os-release, which /etc/os-release points to."""
    rc.message(f"Updating {_OS_RELEASE} ")
    version = rc.session.system.sysctl("kern.osrelease")[0][1]
    number = re.match(r"[0-9.]*", version)
    short = number.group() if number else ""
    _install(
        rc,
        _OS_RELEASE,
        f'NAME=FreeBSD\nVERSION="{version}"\nVERSION_ID="{short}"\nID=freebsd\nANSI_COLOR="0;31"\n'
        f'PRETTY_NAME="FreeBSD {version}"\nCPE_NAME="cpe:/o:freebsd:freebsd:{short}"\n'
        'HOME_URL="https://FreeBSD.org/"\nBUG_REPORT_URL="https://bugs.FreeBSD.org/"\n',
        0o444,
    )
    rc.message("done.\n")
    return 0


async def update_motd(rc: Rc, words: Sequence[str]) -> int:
    """/var/run/motd: the kernel's version, then the template."""
    files = rc.session.files
    rc.message("Updating motd:")
    try:
        template = files.read(_MOTD_TEMPLATE).decode(errors="surrogateescape")
    except KernelError:
        template = ""
    if not rc.is_readable(_MOTD_LINK):
        _try(rc, "ln", _MOTD_LINK, lambda: files.symlink(_MOTD, _MOTD_LINK))
    _install(rc, _MOTD, f"{rc.session.system.sysctl('kern.version')[0][1]}\n{template}", 0o644)
    rc.message(".\n")
    return 0


async def make_logs(rc: Rc, words: Sequence[str]) -> int:
    """`newsyslog -CN`: make the files that are marked C and missing; nothing is trimmed."""
    if not rc.is_readable(_NEWSYSLOG_CONF):
        rc.warn(f"{_NEWSYSLOG_CONF} is not readable.")
        return 1
    rc.message("Creating and/or trimming log files")
    for line in rc.session.files.read(_NEWSYSLOG_CONF).decode(errors="replace").splitlines():
        fields = line.partition("#")[0].split()
        if fields and fields[0].startswith("/"):
            _make_log(rc, fields)
    rc.message(".\n")
    return 0


def _make_log(rc: Rc, fields: list[str]) -> None:
    """A line of newsyslog.conf(5): file [owner:group] mode count size when [flags …]."""
    path, *rest = fields
    if rest and ":" in rest[0]:
        del rest[0]
    flags = rest[4] if len(rest) > 4 else ""
    if "C" in flags and re.fullmatch(r"[0-7]+", rest[0]) and not rc.is_readable(path):
        _try(rc, "newsyslog", path, lambda: rc.session.files.write(path, b"", mode=int(rest[0], 8)))


def _install(rc: Rc, path: str, text: str, mode: int) -> None:
    """install -C: written only where the content differs."""
    data = text.encode(errors="surrogateescape")
    files = rc.session.files

    def write() -> None:
        if files.kind(path) is FileKind.FILE:
            if files.read(path) == data:
                return
            files.unlink(path)
        files.write(path, data, mode=mode)

    _try(rc, "install", path, write)


def _try(rc: Rc, program: str, path: str, act: Callable[[], object]) -> None:
    """Do it; what goes wrong is said as the program of that name would."""
    try:
        act()
    except KernelError as error:
        rc.session.err(f"{program}: {path}: {error.errno.text}\n")


CLEARTMP = Script("cleartmp", "Purge /tmp directory", {"start": clear_tmp, "stop": nothing})
OS_RELEASE = Script(
    "os-release",
    "os-release update",
    {"start": update_os_release, "stop": nothing},
    name="osrelease",
    rcvar="osrelease_enable",
)
MOTD = Script("motd", "Update /var/run/motd", {"start": update_motd, "stop": nothing}, rcvar="update_motd")
NEWSYSLOG = Script("newsyslog", "Logfile rotation", {"start": make_logs, "stop": nothing}, rcvar="newsyslog_enable")
