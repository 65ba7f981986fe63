"""Kernel parameters from text, as libjail converts them before the kernel is asked.

Source: jailparam_import() and jailparam_export() in lib/libjail/jail.c.
"""

from __future__ import annotations

import enum
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vjail.conf.jailconf import options
from vjail.conf.jailconf.messages import Hint, Kind
from vjail.conf.jailconf.numbers import as_int, is_number, strtol
from vjail.conf.jailconf.parameters import Known, Type, kept_text
from vjail.conf.position import decode, encode


class Jailsys(enum.IntEnum):
    """Who owns a subsystem of a jail."""

    DISABLE = 0
    NEW = 1
    INHERIT = 2


KernelValue: TypeAlias = bool | int | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KernelParameter:
    """A parameter as the kernel is told it.

    `name` is as configured, `option` without the `no` of a negated boolean; `value` is that of the option (a Jailsys
    for the types of that name). `exported` is how `jail -v` shows the value; None where only the name is shown.
    """

    name: str
    option: str
    type: Type
    value: KernelValue
    exported: str | None


HINT_BOOLEAN = Hint("write true or false, or the name alone for true")


class Refused(Exception):
    """A value of the wrong type, with the words of libjail."""

    def __init__(self, kind: Kind, text: str, hint: Hint | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.hint = hint


def import_value(name: str, known: Known, texts: Sequence[str]) -> KernelParameter:
    """The parameter as the kernel is told it, from all elements of a list or at most one text. Raises Refused."""
    value, exported = _import(name, known, texts)
    return KernelParameter(name, known.name, known.type, value, exported)


def _import(name: str, known: Known, texts: Sequence[str]) -> tuple[KernelValue, str | None]:
    match known.type:
        case Type.BOOLEAN:
            return _import_boolean(name, texts)
        case Type.JAILSYS:
            return _import_jailsys(name, texts)
        case Type.INTEGER:
            number = as_int(_integer(name, texts))
            return number, str(number)
        case Type.UNSIGNED:
            number = _integer(name, texts) % 2**64
            return number, str(number)
        case Type.IPV4 | Type.IPV6:
            addresses = _import_addresses(name, known.type, texts)
            return addresses, ",".join(addresses)
        case Type.STRING | Type.LIST:
            text = texts[0] if texts else ""
            return text, None if not texts and kept_text(known.name) is not None else text


def _import_boolean(name: str, texts: Sequence[str]) -> tuple[bool, str | None]:
    negated = options.is_negated(name)
    if not texts:
        return not negated, None
    number = _one_of(("false", "true"), texts[0])
    if number is None:
        text = f'{name}: unknown boolean value "{texts[0]}"'
        raise Refused(Kind.NOT_BOOLEAN, text, HINT_BOOLEAN)
    exported = ("false", "true")[number] if number in (0, 1) else str(number)
    return (number != 0) != negated, exported


def _import_jailsys(name: str, texts: Sequence[str]) -> tuple[int, str]:
    if not texts or not texts[0]:
        return Jailsys.NEW, "new"
    number = _one_of(("disable", "new", "inherit"), texts[0])
    if number is None:
        text = f'{name}: unknown jailsys value "{texts[0]}"'
        raise Refused(Kind.NOT_JAILSYS, text, Hint("write disable, new or inherit, or the name alone for new"))
    if number in (0, 1, 2):
        return Jailsys(number), Jailsys(number).name.lower()
    return number, str(number)


def _one_of(words: Sequence[str], text: str) -> int | None:
    """The index of a word, in any case, or a number; None where the text is neither. An empty one is 0."""
    folded = text.lower()
    if folded in words:
        return words.index(folded)
    return as_int(strtol(text)[0]) if not text or is_number(text) else None


def _integer(name: str, texts: Sequence[str]) -> int:
    text = texts[0] if texts else ""
    if text and not is_number(text):
        raise Refused(Kind.NOT_INTEGER, f'{name}: non-integer value "{text}"')
    return strtol(text)[0]


def _import_addresses(name: str, kind: Type, texts: Sequence[str]) -> tuple[str, ...]:
    joined = ",".join(texts)
    if joined in ("", "-"):
        return ()
    family, version = (socket.AF_INET, 4) if kind is Type.IPV4 else (socket.AF_INET6, 6)
    addresses: list[str] = []
    for text in joined.split(","):
        try:
            addresses.append(socket.inet_ntop(family, socket.inet_pton(family, text)))
        except (OSError, ValueError):
            raise Refused(Kind.NOT_ADDRESS, f"{name}: not an IPv{version} address: {text}") from None
    return tuple(addresses)


_ERRMSG_SIZE = 1024


def cut_message(text: str) -> str:
    """A text cut as in libjail's buffer for messages."""
    return decode(encode(text)[: _ERRMSG_SIZE - 1])
