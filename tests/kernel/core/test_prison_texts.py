"""`meta` and `env` of jails, as sys/kern/kern_jailmeta.c of 15 keeps them."""

from __future__ import annotations

import pytest

from vjail.kernel.core.prison_texts import TextChange, changed
from vjail.kernel.errno import Errno, KernelError


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("", [("a", "1")], "a=1"),
        ("a=1", [("b", "2")], "b=2\na=1"),
        ("b=2\na=1\nab=3", [("a", "4")], "a=4\nb=2\nab=3"),
        ("b=2\na=1", [("a", None)], "b=2"),
        ("a=1", [("a", None)], ""),
        ("words\na=1\na=2", [("a", "")], "a=\nwords"),
        ("a=1", [(None, "x y"), ("a", "2")], "a=2\nx y"),
        ("a=1", [("a", "2"), (None, "x")], "x"),
        ("a=1", [(None, None)], ""),
        ("a=1", [], "a=1"),
    ],
)
def test_changes_follow_one_another(before: str, changes: list[tuple[str | None, str | None]], after: str) -> None:
    assert changed(before, [TextChange(key, value) for key, value in changes], 4096) == after


@pytest.mark.parametrize(
    ("change", "errno"),
    [
        (TextChange(None, "x" * 10), Errno.EFBIG),
        (TextChange("a", "x" * 7), Errno.EFBIG),
        (TextChange("", "x"), Errno.EINVAL),
    ],
)
def test_refusals(change: TextChange, errno: Errno) -> None:
    with pytest.raises(KernelError) as caught:
        changed("b=1", [change], 10)
    assert caught.value.errno is errno
