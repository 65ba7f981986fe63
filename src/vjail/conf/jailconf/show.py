"""`vjail show`: a loaded configuration for people, and as data. Both are pure; reading and printing is the caller's."""

from __future__ import annotations

from typing import TypedDict

from vjail.conf.jailconf.jail import Jail
from vjail.conf.jailconf.load import Configuration
from vjail.conf.jailconf.printer import format_jail


def show_text(configuration: Configuration) -> str:
    """Every jail with its parameters resolved, as a jail.conf: one block a jail, one parameter a line.

    Before the block of a failed jail, comments say what failed; its values lack what could not be resolved. Nothing
    is shown of a configuration that could not be read.
    """
    return "\n".join(_show_jail(jail) for jail in configuration.jails)


def _show_jail(jail: Jail) -> str:
    block = format_jail(jail)
    if not jail.failed:
        return block
    prefix = "" if jail.block is None else f"{jail.block}: "
    reasons = [message.text.removeprefix(prefix) for message in jail.messages if not message.kind.is_ours]
    return "".join(f"# failed: {_one_line(reason)}\n" for reason in reasons or ["too much text"]) + block


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


class ShownJail(TypedDict):
    """One jail; `params` are pairs of a name and a list of values."""

    jail: str
    failed: bool
    params: list[list[str | list[str]]]


class Shown(TypedDict):
    """A configuration; `jails` is None where it could not be read; `stderr` are jail(8)'s own lines."""

    exit: int
    jails: list[ShownJail] | None
    stderr: list[str]


def show_json(configuration: Configuration) -> Shown:
    """The configuration in the shape of FreeBSD's recorded results (exit, jails, stderr)."""
    said = [message for message in configuration.messages if not message.kind.is_ours]
    jails: list[ShownJail] = [
        {
            "jail": jail.block or "",
            "failed": jail.failed,
            "params": [[parameter.name, list(parameter.texts)] for parameter in jail.parameters],
        }
        for jail in configuration.jails
    ]
    return {
        "exit": configuration.exit_status,
        "jails": jails if configuration.exit_status == 0 else None,
        "stderr": [line for message in said for line in message.line.split("\n")],
    }
