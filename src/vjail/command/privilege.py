"""What a command run by somebody else than root may not do: every change to the kernel."""

from __future__ import annotations

from typing import TypeVar

from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import Operation
from vjail.session import Session

R = TypeVar("R")


def apply_as_caller(session: Session, operation: Operation[R]) -> R:
    """Carry out an operation for the session's user. Raises KernelError(EPERM) unless that is root."""
    if session.uid != 0:
        raise KernelError(Errno.EPERM)
    return session.system.apply(operation)
