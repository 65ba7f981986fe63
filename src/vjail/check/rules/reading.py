"""What the parsers themselves say: jail.conf's errors, parameters that are unknown or of the wrong type, bad lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vjail.check.finding import Finding, Rule, Severity
from vjail.check.subject import HostSubject
from vjail.conf.jailconf import Kind, Message
from vjail.conf.jailconf.parameters import first_release
from vjail.conf.jailconf.syntax import Block, Parameter, Quoted, Statement, Variable
from vjail.conf.rcconf import NOT_PLAIN
from vjail.release import Release

SYNTAX = Rule("VJ001", Severity.ERROR, "jail.conf cannot be read")
VALUE = Rule("VJ002", Severity.ERROR, "a jail whose variables or parameters do not resolve")
UNKNOWN = Rule("VJ003", Severity.ERROR, "a parameter this FreeBSD does not have")
TYPE = Rule("VJ004", Severity.ERROR, "a value of the wrong type")
UNUSED = Rule("VJ005", Severity.NOTE, "a variable that nothing uses")
SHELL = Rule("VJ006", Severity.ERROR, "a line that is no shell command")
RC_LINE = Rule("VJ007", Severity.WARNING, "a line of rc.conf that is no assignment")

MAY_BE_UNKNOWN = Rule("VJ008", Severity.NOTE, "a parameter this FreeBSD may not have")

_VALUE_KINDS = frozenset(
    {
        Kind.VARIABLE_NAMED_AS_PARAMETER, Kind.PARAMETER_REDEFINED, Kind.VARIABLE_NOT_FOUND, Kind.VARIABLE_LOOP,
        Kind.ARRAY_INLINE, Kind.LIST_INSERTED, Kind.TOO_LARGE,
    }
)  # fmt: skip
_TYPE_KINDS = frozenset({Kind.NOT_BOOLEAN, Kind.NOT_INTEGER, Kind.NOT_JAILSYS, Kind.NOT_ADDRESS, Kind.HOSTNAME_LOOKUP})


def messages(host: HostSubject) -> Iterator[Finding]:
    """What loading says, and what jail(8) says of a jail's parameters when it starts it."""
    for configuration in host.configurations:
        for message in configuration.messages:
            yield _finding(message, ())
    for jail in host.jails:
        if jail.jail.failed:
            continue
        for message in jail.checked.messages:
            if message.kind is Kind.UNKNOWN_PARAMETER and _is_uncertain(message, host.release):
                yield Finding(
                    MAY_BE_UNKNOWN,
                    message.cause,
                    f"{message.cause.text if message.cause else 'a parameter'} is in FreeBSD 15; whether 14 has it is "
                    "not known here",
                    "a kernel that has it not refuses the jail (`unknown parameter`); the jail was not run here",
                    "ask the host: sysctl -d security.jail.param",
                    jails=(jail.name,),
                )
            elif message.kind is not Kind.HOSTNAME_LOOKUP and message.kind is not Kind.FSTAB_UNREADABLE:
                yield _finding(message, (jail.name,))


def _is_uncertain(message: Message, release: Release) -> bool:
    """Whether a parameter was seen in 15 and not in 13, and 14 is asked for."""
    name = message.cause.text if message.cause is not None else ""
    return release is Release.V14 and first_release(name) is Release.V15


def _finding(message: Message, jails: tuple[str, ...]) -> Finding:
    text = message.text
    for jail in jails:
        text = text.removeprefix(f"{jail}: ")
    cause = message.cause
    if cause is not None:
        text = re.sub(rf"^{re.escape(cause.source.name)}( line [0-9]+)?: ", "", text)
    rule, why = SYNTAX, "jail(8) reads nothing of the file and starts no jail"
    if message.kind in _VALUE_KINDS:
        rule, why = VALUE, "jail(8) does not start the jail"
    elif message.kind is Kind.UNKNOWN_PARAMETER:
        rule, why = UNKNOWN, "jail(8) does not start the jail"
    elif message.kind in _TYPE_KINDS:
        rule, why = TYPE, "jail(8) does not start the jail"
    return Finding(rule, cause, text, why, message.hint.text if message.hint else "correct it", jails=jails)


def include(host: HostSubject) -> Iterator[Finding]:
    """.include in a file that describes no jail: with one, jail(8) says it of the jail."""
    for configuration in host.configurations:
        for file in configuration.files:
            for parameter in _parameters(file.statements):
                if parameter.name.text == ".include" and host.release < Release.V14 and not configuration.jails:
                    yield Finding(
                        UNKNOWN,
                        parameter.span,
                        "unknown parameter: .include",
                        "before FreeBSD 14 jail(8) takes it for a parameter and reads no other file: there is no jail",
                        "--freebsd 14, where the host is one; else the jails in this file, or a file for each in "
                        "/etc/jail.conf.d",
                    )


def unused(host: HostSubject) -> Iterator[Finding]:
    """Variables that are set and named nowhere."""
    for configuration in host.configurations:
        used: set[str] = set()
        defined: dict[str, Parameter] = {}
        for file in configuration.files:
            for parameter in _parameters(file.statements):
                if parameter.name.variable:
                    defined.setdefault(parameter.name.text, parameter)
                for value in parameter.values:
                    for piece in value.pieces:
                        parts = piece.parts if isinstance(piece, Quoted) else (piece,)
                        used |= {part.name for part in parts if isinstance(part, Variable)}
        for name, parameter in defined.items():
            if name not in used and configuration.exit_status == 0:
                yield Finding(
                    UNUSED,
                    parameter.name.span,
                    f"${name} is set, and nothing uses it",
                    "jail(8) reads it and passes it over",
                    f"take it out, or write ${{{name}}} where it is meant",
                )


def _parameters(statements: tuple[Statement, ...]) -> Iterator[Parameter]:
    for statement in statements:
        if isinstance(statement, Block):
            yield from _parameters(statement.statements)
        else:
            yield statement


def shell(host: HostSubject) -> Iterator[Finding]:
    """exec.* lines that sh(1) does not take."""
    for jail in host.jails:
        for line in jail.lines:
            if line.error is not None:
                yield Finding(
                    SHELL,
                    line.span(line.error.offset, line.error.offset + 1),
                    f"{line.step.value}: {line.error.reason}",
                    "sh(1) runs nothing of the line, and the start or stop of the jail fails",
                    "correct the line; sh -n shows what sh(1) makes of it",
                    jails=(jail.name,),
                )


def rc_lines(host: HostSubject) -> Iterator[Finding]:
    """Lines of rc.conf that are more than assignments; what one service only reads may be."""
    for file in host.rc_files:
        if "/rc.conf.d/" in file.source.name:
            continue
        for problem in file.problems:
            yield Finding(
                RC_LINE,
                problem.span,
                "no plain assignment" if problem.reason == NOT_PLAIN else f"no plain assignment: {problem.reason}",
                "every rc script runs rc.conf as shell: a command in it runs dozens of times, and sysrc(8) does not "
                "see what it sets; vjail passes the line over",
                'write NAME="value"',
            )


RULES = (messages, include, unused, shell, rc_lines)
