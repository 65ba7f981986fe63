"""What can go wrong while a tree is put together, in words for the user."""

from __future__ import annotations


class UserlandError(Exception):
    """Something about `path` stands in the way; `text` says what, `advice` what to do about it, where it is known."""

    def __init__(self, path: str, text: str, advice: str = "") -> None:
        super().__init__(f"{path}: {text}" + (f"; {advice}" if advice else ""))
        self.path = path
        self.text = text
        self.advice = advice
