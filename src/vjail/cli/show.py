"""show: what FreeBSD's parser makes of a jail.conf."""

from __future__ import annotations

import argparse
import gc
import json
import re
import sys
from typing import BinaryIO

from vjail.conf.jailconf import FileSystem, Message, load, show_json, show_text
from vjail.conf.position import Source, encode


def show(arguments: argparse.Namespace) -> int:
    """`vjail show FILE`: every jail with its parameters resolved; exit 1 on a syntax error."""
    gc.disable()  # one large structure is built, and nothing of it is given up before the end
    source = Source("STDIN", sys.stdin.buffer.read()) if arguments.file == "-" else arguments.file
    configuration = load(source, arguments.freebsd, FileSystem())
    for message in configuration.messages:
        if not arguments.json:
            _write(sys.stderr.buffer, told(message))
        elif not message.kind.is_ours:
            _write(sys.stderr.buffer, f"{message.line}\n")
    if arguments.json:
        _write(sys.stdout.buffer, json.dumps(show_json(configuration)) + "\n")
    else:
        _write(sys.stdout.buffer, show_text(configuration))
    return configuration.exit_status


def told(message: Message) -> str:
    """A message with its place, the line it is about with a caret below, and what to do."""
    cause = message.cause
    text = message.text
    if cause is not None:
        text = re.sub(rf"^{re.escape(cause.source.name)}( line \d+)?: ", "", text)
    lines = [f"vjail: {cause}: {text}" if cause is not None else f"vjail: {text}"]
    picture = message.picture().rstrip("\n")
    if picture:
        lines.append(picture)
    if message.hint is not None:
        lines.append(f"  {message.hint.text}")
    return "\n".join(lines) + "\n"


def _write(stream: BinaryIO, text: str) -> None:
    stream.write(encode(text))
    stream.flush()
