"""sh(1)'s arithmetic: `$((…))` over 64-bit integers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<operator><<=|>>=|&&|\|\||<<|>>|[<>=!]=|[-+*/%&|^]=|[-+*/%&|^~!<>()?:=]))"
)
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", "<=", ">", ">="), ("<<", ">>"), ("+", "-"),
    ("*", "/", "%"),
)  # fmt: skip
_ASSIGNING = ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=")


class ArithmeticError(Exception):
    """An expression that is none: the shell's message."""


def calculate(text: str, variables: Mapping[str, str], assign: Callable[[str, str], None]) -> int:
    """The value of an expression. Raises ArithmeticError."""
    return _Expression(text, variables, assign).value()


class _Expression:
    def __init__(self, text: str, variables: Mapping[str, str], assign: Callable[[str, str], None]) -> None:
        self._text = text
        self._variables = variables
        self._assign = assign
        self._tokens = self._cut()
        self._at = 0

    def value(self) -> int:
        result = self._assignment() if self._tokens else 0
        if self._at < len(self._tokens):
            raise self._error()
        return result

    def _cut(self) -> list[str]:
        tokens: list[str] = []
        at = 0
        text = self._text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._error()
            tokens.append(found.group().strip())
            at = found.end()
        return tokens

    def _error(self) -> ArithmeticError:
        return ArithmeticError(f'arithmetic expression: expecting primary: "{self._text}"')

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _assignment(self) -> int:
        name = self._peek()
        following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ""
        if re.fullmatch(r"[A-Za-z_]\w*", name) and following in _ASSIGNING:
            self._at += 2
            value = self._assignment()
            if following != "=":
                value = self._apply(following[:-1], self._variable(name), value)
            self._assign(name, str(value))
            return value
        return self._choice()

    def _choice(self) -> int:
        condition = self._binary(0)
        if self._peek() != "?":
            return condition
        self._at += 1
        yes = self._assignment()
        if self._peek() != ":":
            raise self._error()
        self._at += 1
        no = self._assignment()
        return yes if condition else no

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while (operator := self._peek()) in _LEVELS[level]:
            self._at += 1
            left = self._apply(operator, left, self._binary(level + 1))
        return left

    def _unary(self) -> int:
        token = self._peek()
        self._at += 1
        match token:
            case "-":
                return _wrapped(-self._unary())
            case "+":
                return self._unary()
            case "!":
                return int(not self._unary())
            case "~":
                return ~self._unary()
            case "(":
                value = self._assignment()
                if self._peek() != ")":
                    raise self._error()
                self._at += 1
                return value
        if token[:1].isdigit():
            return _number(token)
        if re.fullmatch(r"[A-Za-z_]\w*", token):
            return self._variable(token)
        raise self._error()

    def _variable(self, name: str) -> int:
        text = self._variables.get(name, "").strip() or "0"
        sign = -1 if text.startswith("-") else 1
        digits = text.lstrip("+-")
        if not re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", digits):
            raise ArithmeticError(f'arithmetic expression: variable conversion error: "{name}"')
        return sign * _number(digits)

    def _apply(self, operator: str, left: int, right: int) -> int:
        match operator:
            case "||":
                return int(bool(left) or bool(right))
            case "&&":
                return int(bool(left) and bool(right))
            case "/" | "%":
                if right == 0:
                    raise ArithmeticError("arithmetic expression: division by zero")
                quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
                return _wrapped(quotient if operator == "/" else left - quotient * right)
        return _wrapped(int(_OPERATIONS[operator](left, right)))


_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


def _number(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return _wrapped(int(text, 16))
    if len(text) > 1 and text.startswith("0") and text.isdigit():
        if set(text) & set("89"):
            raise ArithmeticError(f'arithmetic expression: expecting EOF: "{text}"')
        return _wrapped(int(text, 8))
    return _wrapped(int(text))


def _wrapped(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
