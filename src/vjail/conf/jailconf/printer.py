"""Writing jail.conf(5): syntax trees and resolved jails as text that every release reads back as the same thing.

Also `jail -e`, which prints resolved jails in a form of its own. Nothing printed here depends on the release: names
are one piece, values are quoted where in doubt, and characters outside ASCII stand in quotes only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vjail.conf.jailconf import options
from vjail.conf.jailconf.errors import Unprintable
from vjail.conf.jailconf.escapes import escape_bare, escape_braced, escape_double, escape_single, octal
from vjail.conf.jailconf.jail import Jail, JailParameter
from vjail.conf.jailconf.syntax import (
    Block,
    File,
    Name,
    Operator,
    Parameter,
    Piece,
    Quote,
    Quoted,
    Statement,
    Text,
    Value,
    Variable,
    Word,
)

_INDENT = "\t"

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_!%&()\-.:<>?@\[\]^`|~]+|[*]")
"""Names that need no quotes."""

_PLAIN_VALUE = re.compile(r"/?[A-Za-z0-9_.:@%-]+(?:/[A-Za-z0-9_.:@%-]+)*|/")
"""Values that need no quotes: words, numbers, addresses, paths. Others could stand bare too but read badly."""

_NAME_CHARACTER = re.compile(r"[A-Za-z0-9_]")
_PLAIN_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def format_file(file: File) -> str:
    """A syntax tree as text; reading it gives an equal tree. Comments and the file's own layout are not kept."""
    return format_statements(file.statements)


def format_statements(statements: Sequence[Statement], depth: int = 0) -> str:
    """Statements, one a line, indented for standing in that many blocks."""
    lines: list[str] = []
    rest = [iter(statements)]
    while rest:
        statement = next(rest[-1], None)
        indent = _INDENT * (depth + len(rest) - 1)
        if statement is None:
            rest.pop()
            if rest:
                lines.append(f"{_INDENT * (depth + len(rest) - 1)}}}")
        elif isinstance(statement, Block):
            lines.append(f"{indent}{_name(statement.name)} {{")
            rest.append(iter(statement.statements))
        else:
            lines.append(f"{indent}{format_parameter(statement)};")
    return "".join(f"{line}\n" for line in lines)


def format_parameter(parameter: Parameter) -> str:
    """A parameter without its semicolon."""
    values = ", ".join(format_value(value) for value in parameter.values)
    match parameter.operator:
        case Operator.NONE:
            return _name(parameter.name)
        case Operator.SPACE:
            return f"{_name(parameter.name)} {values}"
        case _:
            return f"{_name(parameter.name)} {parameter.operator.value} {values}"


def format_value(value: Value) -> str:
    """A value as its pieces are: bare, quoted, variables."""
    written: list[str] = []
    open_name = False
    for piece in value.pieces:
        text = _piece(piece)
        written.append(_behind_variable(piece.text, text) if open_name and isinstance(piece, Word) else text)
        open_name = isinstance(piece, Variable) and not piece.braced
    return "".join(written)


def format_text(text: str) -> str:
    """A string as a value without variables, quoted as it needs."""
    _check(text)
    if _PLAIN_VALUE.fullmatch(text):
        return text
    if ("$" in text or '"' in text) and "'" not in text:
        return f"'{escape_single(text)}'"
    return f'"{escape_double(text)}"'


def format_name(name: str) -> str:
    """A block's or parameter's name."""
    _check(name)
    return name if _PLAIN_NAME.fullmatch(name) else f"'{escape_single(name)}'"


def format_jails(jails: Iterable[Jail]) -> str:
    """Resolved jails as blocks; loading them gives equal jails. Raises Unprintable.

    Two things a file cannot say are lost: that a jail failed, and that a jail named by a number has no `name`, which
    FreeBSD 15 then adds.
    """
    return "\n".join(format_jail(jail) for jail in jails)


def format_jail(jail: Jail) -> str:
    """One resolved jail as a block. Raises Unprintable, also for a jail of a command line, which has no block."""
    if jail.block is None:
        raise Unprintable("", "a jail needs a block name")
    _check_distinct(jail.parameters)
    # The first parameter follows from the block's name, and cannot be set again.
    lines = [f"{_INDENT}{format_jail_parameter(parameter)};\n" for parameter in jail.parameters[1:]]
    return f"{format_name(jail.block)} {{\n{''.join(lines)}}}\n"


def format_jail_parameter(parameter: JailParameter) -> str:
    """A resolved parameter without its semicolon."""
    name = format_name(parameter.name)
    if not parameter.values:
        return name
    return f"{name} = {', '.join(format_text(text) for text in parameter.texts)}"


def list_jails(jails: Iterable[Jail], separator: str) -> str:
    """What `jail -e SEPARATOR` prints: a line for each jail, with its parameters but `jid`."""
    return "".join(f"{list_jail(jail, separator)}\n" for jail in jails)


def list_jail(jail: Jail, separator: str) -> str:
    """One jail as `jail -e` and `jail -J` print it. Source: print_jail() in usr.sbin/jail/jail.c."""
    shown = [parameter for parameter in jail.parameters if parameter.name != "jid"]
    return separator.join(_list_parameter(parameter) for parameter in shown)


def list_value(text: str) -> str:
    """A value as `jail -e` and `jail -v` quote it. Source: quoted_print() in usr.sbin/jail/jail.c."""
    if not text or "'" in text:
        quote = '"'
    elif '"' in text:
        quote = "'"
    else:
        quote = '"' if " " in text or "\t" in text else ""
    text = text.replace("\\", "\\\\")
    return quote + (text.replace(quote, f"\\{quote}") if quote else text) + quote


def _list_parameter(parameter: JailParameter) -> str:
    if not parameter.values:
        return parameter.name
    return f"{parameter.name}={','.join(list_value(text) for text in parameter.texts)}"


def _name(name: Name) -> str:
    return _variable(name.text, False) if name.variable else format_name(name.text)


def _piece(piece: Piece) -> str:
    match piece:
        case Word(text):
            _check(text)
            return escape_bare(text) if text else "\\\n"
        case Variable(name, braced):
            return _variable(name, braced)
        case Quoted(Quote.SINGLE, parts):
            return f"'{''.join(escape_single(part.text) for part in parts if isinstance(part, Text))}'"
        case Quoted(_, parts):
            return f'"{_double(parts)}"'


def _double(parts: Sequence[Text | Variable]) -> str:
    written: list[str] = []
    open_name = False
    for part in parts:
        if isinstance(part, Variable):
            written.append(_variable(part.name, part.braced))
            open_name = not part.braced
        else:
            _check(part.text)
            text = escape_double(part.text)
            written.append(_behind_variable(part.text, text) if open_name else text)
            open_name = False
    return "".join(written)


def _variable(name: str, braced: bool) -> str:
    _check(name)
    if not braced and _PLAIN_VARIABLE.fullmatch(name):
        return f"${name}"
    return f"${{{escape_braced(name)}}}"


def _behind_variable(text: str, written: str) -> str:
    """Text right behind `$name`: its first character must not read as part of that name."""
    if _NAME_CHARACTER.match(text):
        return octal(text[0]) + written[1:]
    return written


def _check(text: str) -> None:
    if "\0" in text:
        raise Unprintable(text, "a NUL byte cannot be written")


def _check_distinct(parameters: Sequence[JailParameter]) -> None:
    """Refuse parameters of which a file would make one: they come about in odd ways that no printing repeats."""
    seen: set[str] = set()
    for parameter in parameters:
        if not seen.isdisjoint(options.spellings(parameter.name)):
            raise Unprintable(parameter.name, "jail(8) takes it and another parameter of the jail for the same one")
        seen.add(parameter.name)
