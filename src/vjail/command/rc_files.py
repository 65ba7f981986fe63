"""The rc.conf files a process sees, read into variables. Used by rc, service and sysrc."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from vjail.conf.position import Source
from vjail.conf.rcconf import Problem, RcConf, RcFile, evaluate, parse
from vjail.kernel.errno import KernelError
from vjail.lab.etc import default_rc_conf
from vjail.session import FileKind, Files

DEFAULTS = "/etc/defaults/rc.conf"


def read(files: Files, path: str) -> RcFile | None:
    """One file; None where it cannot be read."""
    try:
        return _parsed(path, files.read(path))
    except KernelError:
        return None


@functools.lru_cache(maxsize=256)
def _parsed(path: str, data: bytes) -> RcFile:
    """A file's content is parsed once, however many jails share it."""
    return parse(Source(path, data))


@functools.lru_cache(maxsize=256)
def _evaluated(contents: tuple[tuple[str, bytes], ...]) -> RcConf:
    """What files of these contents set: every script of a boot asks for it anew."""
    return evaluate(_parsed(path, data) for path, data in contents)


def _values(files: Sequence[RcFile]) -> RcConf:
    return _evaluated(tuple((file.source.name, file.source.data) for file in files))


def defaults(files: Files) -> RcFile:
    """/etc/defaults/rc.conf; where a root has none, the one every base is made with."""
    return read(files, DEFAULTS) or _parsed(DEFAULTS, default_rc_conf().encode())


def configuration_files(files: Files) -> Sequence[str]:
    """The files named by rc_conf_files, later ones that earlier ones add included."""
    return list(_configuration(files, defaults(files)))


def _configuration(files: Files, base: RcFile) -> dict[str, RcFile | None]:
    """The files named by rc_conf_files, each read once."""
    found = {name: read(files, name) for name in _values([base]).words("rc_conf_files")}
    for name in _values([base, *_there(found.values())]).words("rc_conf_files"):
        if name not in found:
            found[name] = read(files, name)
    return found


def _there(files: Iterable[RcFile | None]) -> list[RcFile]:
    return [file for file in files if file is not None]


def load(files: Files, *services: str) -> tuple[RcConf, Sequence[Problem]]:
    """load_rc_config: every variable as a script of these names sees it, and what of the user's was not understood."""
    base = defaults(files)
    own = _there(_configuration(files, base).values())
    startup = _values([base, *own]).words("local_startup") if services else []
    for service in services:
        own += _of_service(files, service, startup)
    problems = [problem for file in own for problem in file.problems]
    return _values([base, *own]), problems


def service_files(files: Files, service: str, startup: Sequence[str]) -> Sequence[str]:
    """rc.conf.d/SERVICE, or the files in that directory, in /etc and beside each startup directory."""
    found: list[str] = []
    for directory in ("/etc", *(each.removesuffix("/rc.d") for each in startup)):
        path = f"{directory}/rc.conf.d/{service}"
        kind = _kind(files, path)
        if kind is FileKind.FILE:
            found.append(path)
        elif kind is FileKind.DIRECTORY:
            found += [f"{path}/{name}" for name in files.list(path) if _kind(files, f"{path}/{name}") is FileKind.FILE]
    return found


def _of_service(files: Files, service: str, startup: Sequence[str]) -> list[RcFile]:
    return _there(read(files, path) for path in service_files(files, service, startup))


def _kind(files: Files, path: str) -> FileKind | None:
    try:
        return files.kind(path)
    except KernelError:
        return None
