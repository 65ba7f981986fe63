"""What a part of the kernel is to the rest of it: which operations it carries out, and who asks for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vjail.kernel.operations import Operation


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the jail of the process (0: the host) and the vnet it uses, by the number of the jail that owns it."""

    jid: int
    vnet: int


Handler = Callable[[Caller, Any], object]
"""Carries out one operation for a caller; raises KernelError, having changed nothing."""


class Part(Protocol):
    """An area of the kernel."""

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """Which operations it carries out, and how."""
        ...
