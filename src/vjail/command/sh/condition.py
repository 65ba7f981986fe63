"""test(1): what an expression says of texts, numbers and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vjail.command.sh.world import NotModelled
from vjail.kernel.errno import KernelError
from vjail.session import FileKind, Files

_NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}
_KINDS = {"-d": FileKind.DIRECTORY, "-f": FileKind.FILE}
_UNARY = ("-d", "-f", "-e", "-r", "-w", "-x", "-s", "-h", "-L", "-z", "-n", "-c", "-b", "-p", "-S", "-t")


def condition(words: Sequence[str], files: Files, path: Callable[[str], str]) -> bool:
    """Whether an expression holds; `path` makes a path absolute. Raises ValueError with test's message, NotModelled."""
    return _Condition(words, files, path).value()


class _Condition:
    def __init__(self, words: Sequence[str], files: Files, path: Callable[[str], str]) -> None:
        self._words = list(words)
        self._files = files
        self._path = path
        self._at = 0

    def value(self) -> bool:
        if not self._words:
            return False
        result = self._or()
        if self._at < len(self._words):
            raise ValueError(f"{self._words[self._at]}: unexpected operator")
        return result

    def _or(self) -> bool:
        result = self._and()
        while self._next() == "-o":
            self._at += 1
            result = self._and() or result
        return result

    def _and(self) -> bool:
        result = self._not()
        while self._next() == "-a":
            self._at += 1
            result = self._not() and result
        return result

    def _not(self) -> bool:
        if self._next() == "!" and len(self._words) - self._at > 1:
            self._at += 1
            return not self._not()
        return self._primary()

    def _next(self, ahead: int = 0) -> str | None:
        at = self._at + ahead
        return self._words[at] if at < len(self._words) else None

    def _primary(self) -> bool:
        word, operator, right = self._next(), self._next(1), self._next(2)
        if word is None:
            raise ValueError("argument expected")
        if right is not None and operator in ("=", "==", "!=", "<", ">", *_NUMBERS):
            self._at += 3
            return _compared(word, operator, right)
        if word == "(" and operator is not None:
            self._at += 1
            result = self._or()
            if self._next() != ")":
                raise ValueError("closing paren expected")
            self._at += 1
            return result
        if word in _UNARY and operator is not None:
            self._at += 2
            return self._about(word, operator)
        self._at += 1
        return word != ""

    def _about(self, operator: str, operand: str) -> bool:
        match operator:
            case "-z":
                return operand == ""
            case "-n":
                return operand != ""
            case "-t":
                return False
            case "-c" | "-b" | "-p" | "-S":
                raise NotModelled(f"test {operator}")
        try:
            kind = self._files.kind(self._path(operand), follow=operator not in ("-h", "-L"))
            if operator == "-s":
                return kind is not None and (kind is not FileKind.FILE or self._files.read(self._path(operand)) != b"")
            if operator == "-x" and kind is FileKind.FILE:
                return bool(self._files.mode(self._path(operand)) & 0o111)
        except KernelError:
            return False
        if operator in ("-h", "-L"):
            return kind is FileKind.LINK
        return kind is _KINDS[operator] if operator in _KINDS else kind is not None


def _compared(left: str, operator: str, right: str) -> bool:
    match operator:
        case "=" | "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case ">":
            return left > right
    numbers: list[int] = []
    for text in (left, right):
        try:
            numbers.append(int(text.strip()))
        except ValueError:
            raise ValueError(f"{text}: bad number") from None
    return _NUMBERS[operator](*numbers)
