"""realpath(3) for commands: the path with every link followed, or the component that failed and why."""

from __future__ import annotations

import posixpath

from vjail.kernel.errno import Errno, KernelError
from vjail.session import FileKind, Session


class PathError(Exception):
    """A path that leads nowhere: `component` is as much of it as realpath(3) leaves in its buffer."""

    def __init__(self, component: str, errno: Errno) -> None:
        super().__init__(f"{component}: {errno.text}")
        self.component = component
        self.errno = errno


def resolve(session: Session, path: str) -> str:
    """The real path of an existing file. Raises PathError."""
    files = session.files
    absolute = posixpath.join(session.cwd, path)
    try:
        return files.realpath(absolute)
    except KernelError as error:
        reached = "/"
        for name in absolute.split("/"):
            if not name:
                continue
            try:
                reached = files.realpath(posixpath.join(reached, name))
            except KernelError as failure:
                raise PathError(posixpath.join(reached, name), failure.errno) from None
        raise PathError(absolute, error.errno) from None


def resolve_directory(session: Session, path: str) -> str:
    """The real path of a directory; anything else is ENOTDIR. Raises PathError."""
    found = resolve(session, path)
    if session.files.kind(found) is not FileKind.DIRECTORY:
        raise PathError(found, Errno.ENOTDIR)
    return found
