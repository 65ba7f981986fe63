"""The session's files and names as jail.conf's loader and the checks of parameters ask for them.

Source of the words for names: getaddrinfo(3), gai_strerror(3).
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from vjail.command.names import EAI_NONAME, resolve
from vjail.kernel.errno import KernelError
from vjail.session import Files


class World:
    """A Reader and a World (conf/jailconf) over a session's files."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises OSError."""
        try:
            return self._files.read(path)
        except KernelError as error:
            raise OSError(getattr(errno, error.errno.name, errno.EIO), error.errno.text, path) from None

    def glob(self, pattern: str) -> list[str]:
        """The paths a pattern matches, sorted. Raises OSError."""
        try:
            return list(self._files.glob(pattern))
        except KernelError as error:
            raise OSError(getattr(errno, error.errno.name, errno.EIO), error.errno.text, pattern) from None

    def addresses(self, hostname: str) -> Sequence[str]:
        """The addresses of a host name. Raises OSError with getaddrinfo(3)'s words."""
        found = [str(each.address) for each in resolve(self._files, hostname)]
        if not found:
            raise OSError(errno.ENOENT, EAI_NONAME)
        return found
