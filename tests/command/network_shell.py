"""Types the command lines of recordings at a Lab: the little of a shell, of jail, jexec and jls that they need.

The commands under test are vjail's own; what a pipe leads to is the machine's own sed, head and wc.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from network_lab import COMMANDS, Kernel, Lab, Result, said, type_command

from vjail.kernel.core.part import Caller


class NotUnderstood(Exception):
    """A command line the shell stand-in cannot run."""


@dataclass
class Shell:
    """Types command lines at a lab; every one takes `step` seconds."""

    lab: Lab
    step: float = 0.4
    variables: dict[str, str] = field(default_factory=dict)
    says_removed: bool = False
    """Whether `jail -r` tells what it removed, as in some of the recordings."""

    def type(self, line: str) -> Result:
        self.lab.clock.now += self.step
        return self._script(line, 0)

    # --- the language ---

    def _script(self, script: str, jid: int) -> Result:
        result = Result()
        for operator, statement in _statements(script):
            if (operator == "&&" and result.code) or (operator == "||" and not result.code):
                continue
            result = result.then(self._statement(statement, jid))
        return result

    def _statement(self, statement: str, jid: int) -> Result:
        loop = re.fullmatch(r"for (\w+) in (.*?); *do (.*?);? *done", statement, re.DOTALL)
        if loop:
            result = Result()
            for value in self._words(loop[2], jid):
                self.variables[loop[1]] = value
                result = result.then(self._script(loop[3], jid))
            return result
        assignment = re.fullmatch(r"(\w+)=(\$\(.*\)|\S*)", statement, re.DOTALL)
        if assignment:
            self.variables[assignment[1]] = " ".join(self._words(assignment[2], jid))
            return Result()
        return self._pipeline(statement, jid)

    def _pipeline(self, text: str, jid: int) -> Result:
        first, *rest = _split(text, ("|",))
        result = self._redirected(first, jid)
        for stage in rest:
            done = subprocess.run(["sh", "-c", stage], input=result.stdout, capture_output=True, text=True, check=False)
            errors = [(2, text) for text in (result.stderr, done.stderr) if text]
            result = Result((*errors, (1, done.stdout)), done.returncode)
        return result

    def _redirected(self, command: str, jid: int) -> Result:
        plain = command.removesuffix("2>&1").strip()
        silent = plain.removesuffix(">/dev/null").strip()
        result = self._command(self._words(silent, jid), jid)
        if silent != plain:
            result = Result(tuple(each for each in result.printed if each[0] == 2), result.code)
        return said(result.both, result.code) if plain != command else result

    def _words(self, text: str, jid: int) -> list[str]:
        def substitute(match: re.Match[str]) -> str:
            return " ".join(self._script(match[1], jid).stdout.split())

        text = re.sub(r"\$\(((?:[^()]|\([^()]*\))*)\)", substitute, text)
        text = re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda match: self.variables.get(match[1] or match[2], ""), text)
        return shlex.split(text)

    # --- commands ---

    def _command(self, argv: Sequence[str], jid: int) -> Result:
        match list(argv):
            case [name, *_] if name in COMMANDS:
                return type_command(self.lab, argv, jid=jid)
            case ["jexec", jail, *command]:
                return self._command(command, self._jail(jail, jid))
            case ["jail", "-c", *parameters]:
                return self._create_jail(parameters, jid)
            case ["jail", "-m", jail, "nopersist"]:
                self.lab.remove_jail(self._jail(jail.partition("=")[2], jid))
                return Result()
            case ["jail", "-r" | "-R", jail]:
                self.lab.remove_jail(self._jail(jail, jid))
                return said(f"{jail}: removed\n" if self.says_removed else "")
            case ["jls", "-q", "jid"]:
                return said("".join(f"{each.jid}\n" for each in Kernel(self.lab, jid).jails()))
            case ["jls", "-j", jail, "jid"]:
                return said(f"{self._jail(jail, jid)}\n")
            case ["sysctl", *names]:
                return said("".join(self._sysctl(name, jid) for name in names))
            case ["sleep", seconds]:
                self.lab.clock.now += float(seconds)
                return Result()
            case ["mac", *names]:
                return said("".join(self._mac(name) for name in names))
            case ["echo", *words]:
                return said(" ".join(words) + "\n")
            case ["true"]:
                return Result()
            case _:
                raise NotUnderstood(" ".join(argv))

    def _jail(self, word: str, jid: int) -> int:
        return Kernel(self.lab, jid).jail(int(word) if word.isdecimal() else word).jid

    def _create_jail(self, parameters: Sequence[str], jid: int) -> Result:
        names = [each.removeprefix("name=") for each in parameters if each.startswith("name=")]
        known = [each.name for each in Kernel(self.lab, jid).jails()]
        if names and names[0] in known:
            return Result(((2, f'jail: "{names[0]}" already exists\n'),), 1)
        self.lab.create_jail(jid, names[0] if names else None, vnet=bool({"vnet", "vnet=new"} & set(parameters)))
        return Result()

    def _sysctl(self, name: str, jid: int) -> str:
        host = self.lab.prisons[jid] if jid else self.lab
        values = {
            "kern.hostuuid": host.hostuuid,
            "kern.hostid": str(host.hostid),
            "net.link.bridge.inherit_mac": "0",
        }
        if name not in values:
            raise NotUnderstood(f"sysctl {name}")
        return f"{name}: {values[name]}\n"

    def _mac(self, name: str) -> str:
        interface = self.lab.network.interface(Caller(0, 0), name)
        if interface is None or interface.lladdr is None:
            raise NotUnderstood(f"mac {name}")
        return f"{name} {interface.lladdr.hex(':')}\n"


def _statements(script: str) -> list[tuple[str, str]]:
    """The statements of a script, each with the operator before it."""
    found: list[tuple[str, str]] = []
    rest, operator = script.strip(), ";"
    while rest:
        loop = re.match(r"for \w+ in .*?; *do .*?;? *done", rest, re.DOTALL)
        statement = loop[0] if loop else _split(rest, (";", "&&", "||", "\n"), 1)[0]
        rest = rest[len(statement) :].lstrip(" ")
        if statement.strip():
            found.append((operator, statement.strip()))
        for mark in ("&&", "||", ";", "\n"):
            if rest.startswith(mark):
                operator, rest = mark, rest[len(mark) :].lstrip(" ")
                break
    return found


def _split(text: str, separators: Sequence[str], limit: int = -1) -> list[str]:
    """Split at separators that are neither quoted nor inside `$(…)`; with a `limit` the parts keep their spaces."""
    parts, start, depth, quote, place = [], 0, 0, "", 0
    while place < len(text):
        character = text[place]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif text.startswith("$(", place):
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif not depth:
            mark = next((each for each in separators if text.startswith(each, place)), None)
            if mark and not (mark == "|" and text.startswith("||", place)):
                parts.append(text[start:place])
                place += len(mark)
                start = place
                if limit > 0 and len(parts) == limit:
                    break
                continue
        place += 1
    parts.append(text[start:])
    return parts if limit > 0 else [part.strip() for part in parts]
