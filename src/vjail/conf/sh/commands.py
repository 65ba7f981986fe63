"""Where a command of a shell script ends, without understanding it: for passing over what is no plain assignment.

Follows quotes, substitutions, comments, here-documents and the compound commands of sh(1). Knows nothing of rc.conf.
"""

from __future__ import annotations

from collections.abc import Callable

_OPENERS = {"if": "fi", "case": "esac", "while": "done", "until": "done", "for": "done", "{": "}"}
_CONTINUERS = {"then", "else", "elif", "do", "!", "time"}
_WORD_ENDS = " \t\n;&|<>()"


def skip_command(text: str, offset: int) -> int:
    """The offset behind the command that begins at `offset`, its newline or `;` included; at most the end."""
    return _Skipper(text, offset).run()


class _Skipper:
    """One walk over a command: what is still open, and whether a command word may come next."""

    def __init__(self, text: str, offset: int) -> None:
        self._text = text
        self._at = offset
        self._closers: list[str] = []
        self._command_position = True
        self._continued = False
        self._here: list[str] = []

    def run(self) -> int:
        """Walk to the end of the command."""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in " \t":
                self._at += 1
            elif self._text.startswith("\\\n", self._at):
                self._at += 2
            elif character == "#":
                self._at = _find(self._text, "\n", self._at)
            elif character in "\n;&|":
                if self._separator(character):
                    return self._at
            elif character in "()":
                self._parenthesis(character)
            elif character in "<>":
                self._redirection()
            else:
                self._word()
        return self._at

    def _separator(self, character: str) -> bool:
        """Pass over a separator; whether it ends the command."""
        run = self._at
        while self._at < len(self._text) and self._text[self._at] == character and character != "\n":
            self._at += 1
        if character == "\n":
            self._at += 1
            self._skip_here_documents()
        self._command_position = True
        joins = character == "|" or self._text[run : self._at] == "&&"
        ends = not self._closers and not joins and not (character == "\n" and self._continued)
        if character != "\n":
            self._continued = joins
        return ends

    def _parenthesis(self, character: str) -> None:
        self._at += 1
        if character == "(":
            if self._text.startswith(")", self._at):
                self._at += 1
                self._continued = True
            else:
                self._closers.append(")")
        elif self._closers and self._closers[-1] == ")":
            self._closers.pop()
        self._command_position = True

    def _redirection(self) -> None:
        here = self._text.startswith("<<", self._at)
        while self._at < len(self._text) and self._text[self._at] in "<>&-":
            self._at += 1
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1
        start = self._at
        self._at = _word_end(self._text, self._at)
        if here:
            self._here.append(self._text[start : self._at].strip("'\"").replace("\\", ""))

    def _word(self) -> None:
        start = self._at
        self._at = _word_end(self._text, self._at)
        word = self._text[start : self._at]
        self._continued = False
        if not self._command_position:
            self._command_position = word == "in" and self._closers[-1:] == ["esac"]
        elif self._closers and word == self._closers[-1]:
            self._closers.pop()
            self._command_position = False
        elif word in _OPENERS:
            self._closers.append(_OPENERS[word])
            self._command_position = word not in ("case", "for")
        else:
            self._command_position = word in _CONTINUERS

    def _skip_here_documents(self) -> None:
        for delimiter in self._here:
            while self._at < len(self._text):
                end = _find(self._text, "\n", self._at)
                line = self._text[self._at : end]
                self._at = min(end + 1, len(self._text))
                if line.lstrip("\t") == delimiter:
                    break
        self._here = []


def _word_end(text: str, offset: int) -> int:
    """Behind a word with its quotes and substitutions; at least one character further."""
    start = offset
    while offset < len(text) and (text[offset] not in _WORD_ENDS or offset == start):
        offset = _piece_end(text, offset)
    return offset


def _piece_end(text: str, offset: int) -> int:
    """Behind one character, quoted string or substitution."""
    match text[offset]:
        case "\\":
            return min(offset + 2, len(text))
        case "'":
            return _find(text, "'", offset + 1) + 1
        case '"':
            return _walk(text, offset + 1, '"', _piece_end_in_double_quotes)
        case "`":
            return _walk(text, offset + 1, "`", lambda text, at: at + 2 if text[at] == "\\" else at + 1)
        case "$" if text[offset + 1 : offset + 2] == "(":
            return _walk(text, offset + 2, ")", _piece_end_in_parentheses)
        case "$" if text[offset + 1 : offset + 2] == "{":
            return _walk(text, offset + 2, "}", _piece_end)
        case _:
            return offset + 1


def _piece_end_in_double_quotes(text: str, offset: int) -> int:
    return offset + 1 if text[offset] == "'" else _piece_end(text, offset)


def _piece_end_in_parentheses(text: str, offset: int) -> int:
    if text[offset] == "(":
        return _walk(text, offset + 1, ")", _piece_end_in_parentheses)
    return _piece_end(text, offset)


def _walk(text: str, offset: int, closer: str, step: Callable[[str, int], int]) -> int:
    """Behind the next `closer` that stands by itself."""
    while offset < len(text) and text[offset] != closer:
        offset = step(text, offset)
    return min(offset + 1, len(text))


def _find(text: str, character: str, offset: int) -> int:
    """Where `character` next stands; the end of the text where it does not."""
    found = text.find(character, offset)
    return len(text) if found < 0 else found
