"""`meta` and `env` of a jail: lines of `key=value`, changed as a whole or key by key (from release 15 on).

Pure. Source: sys/kern/kern_jailmeta.c of 15 (jm_osd_method_set).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vjail.kernel.errno import Errno, KernelError

LIMIT = 4096
"""Bytes of a text with its end mark, unless security.jail.meta_maxbufsize says otherwise."""


@dataclass(frozen=True, slots=True)
class TextChange:
    """What `meta.KEY` or, with no key, `meta` is set to; `value` None takes the key, or all, away."""

    key: str | None
    value: str | None


def changed(text: str, changes: Iterable[TextChange], limit: int) -> str:
    """A text after changes, one after the other: what is new comes first. Raises KernelError: EFBIG, EINVAL."""
    for change in changes:
        if change.value is not None and _size(change.value) > limit:
            raise KernelError(Errno.EFBIG)
        if change.key is None:
            text = change.value or ""
            continue
        if not change.key:
            raise KernelError(Errno.EINVAL)
        lines = [line for line in text.split("\n") if text and not line.startswith(f"{change.key}=")]
        text = "\n".join(lines if change.value is None else [f"{change.key}={change.value}", *lines])
    if _size(text) > limit:
        raise KernelError(Errno.EFBIG)
    return text


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape")) + 1
