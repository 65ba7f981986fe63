"""show: what FreeBSD's parser makes of a jail.conf."""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from vjail.conf.jailconf import (
    Configuration,
    FileSystem,
    Kind,
    Message,
    check_types,
    load,
    show_json,
    show_text,
)
from vjail.conf.position import Source, encode
from vjail.release import Release

_LISTED = 3
"""Of more jails than so many only the number is told."""


def show(arguments: argparse.Namespace) -> int:
    """`vjail show FILE`: every jail with its parameters resolved; exit 1 on a syntax error."""
    gc.disable()  # one large structure is built, and nothing of it is given up before the end
    source = Source("STDIN", sys.stdin.buffer.read()) if arguments.file == "-" else arguments.file
    configuration = load(source, arguments.freebsd, FileSystem())
    if arguments.json:
        # The shape is fixed, FreeBSD's words are in it; what jail(8) finds only as it starts a jail is not.
        for message in configuration.messages:
            if not message.kind.is_ours:
                _write(sys.stderr.buffer, f"{message.line}\n")
        _write(sys.stdout.buffer, json.dumps(show_json(configuration)) + "\n")
        return configuration.exit_status
    for message in (*configuration.messages, *_found_later(configuration, arguments.freebsd)):
        _write(sys.stderr.buffer, told(message))
    _write(sys.stdout.buffer, show_text(configuration))
    return configuration.exit_status


def _found_later(configuration: Configuration, release: Release) -> Iterator[Message]:
    """What jail(8) says once it starts the jails: one message for all that have the same, at its first place."""
    first: dict[tuple[Kind, str], Message] = {}
    names: dict[tuple[Kind, str], list[str]] = {}
    for jail in configuration.jails:
        for message in check_types(jail, release).messages if not jail.failed else ():
            text = message.text.removeprefix(f"{jail.block}: ")
            first.setdefault((message.kind, text), message)
            names.setdefault((message.kind, text), []).append(jail.block or "")
    for (kind, text), jails in names.items():
        who = ", ".join(jails) if len(jails) <= _LISTED else f"{len(jails)} jails"
        yield replace(first[kind, text], text=f"{who}: {text}")


def told(message: Message) -> str:
    """A message with its place, the line it is about with a caret below, and what to do."""
    cause = message.cause
    text = message.text
    if cause is None:
        return f"vjail: {text}{_mend(message)}\n"
    lines = [f"vjail: {cause}: {re.sub(rf'^{re.escape(cause.source.name)}( line [0-9]+)?: ', '', text)}"]
    picture = message.picture().rstrip("\n")
    if picture:
        lines.append(picture)
    if message.hint is not None:
        lines.append(f"  {message.hint.text}")
    return "\n".join(lines) + "\n"


def _mend(message: Message) -> str:
    """What to do about a message without a place: it is about the file itself."""
    if message.hint is not None:
        return f"; {message.hint.text}"
    if message.kind is not Kind.FILE_UNREADABLE:
        return ""
    inside = os.path.join(message.text.rpartition(": ")[0], "jail.conf")
    return f"; is it {inside}?" if os.path.isfile(inside) else "; give a jail.conf, or - for standard input"


def _write(stream: BinaryIO, text: str) -> None:
    stream.write(encode(text))
    stream.flush()
