"""Loading a configuration: a file and those it includes parsed, sections merged for each jail, variables resolved.

Source: load_config(), include_config() and parse_config() in usr.sbin/jail/config.c, special_param() in jailparse.y.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from vjail.conf.jailconf.jail import Jail
from vjail.conf.jailconf.merge import Definition, ParameterList, define, plain
from vjail.conf.jailconf.messages import Hint, Kind, Message
from vjail.conf.jailconf.numbers import is_number, strtol
from vjail.conf.jailconf.parser import parse
from vjail.conf.jailconf.reader import Reader, remembered
from vjail.conf.jailconf.rules import Rules
from vjail.conf.jailconf.sections import GLOBAL, Section, Wildcards
from vjail.conf.jailconf.syntax import Block, File, Parameter, Statement, Value
from vjail.conf.jailconf.variables import Budget, resolve
from vjail.conf.position import Source, Span
from vjail.release import Release

_INCLUDE_DEPTH = 32

_INCLUDE_COUNT = 20_000
"""Files that a configuration may be made of: 32 files, each including the next twice, would be read for days."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration as jail(8) has it before it acts.

    `exit_status` is 1 where it could not be read: then there are no jails. A failed jail alone does not make it 1.
    `messages` are all messages in jail(8)'s order; each jail has its own, too. `files` are the trees of all files that
    were read, the main one first (of a broken one, as much as could be read).
    """

    release: Release
    exit_status: int
    jails: tuple[Jail, ...]
    messages: tuple[Message, ...]
    files: tuple[File, ...] = field(default=(), compare=False, repr=False)

    def jail(self, block: str) -> Jail | None:
        """The first jail whose block has that name."""
        return next((jail for jail in self.jails if jail.block == block), None)


def load(file: str | Source, release: Release, reader: Reader) -> Configuration:
    """Load a configuration: the file at a path, or a source that was read already.

    Nothing wrong with a file is an exception: it is in the messages, and in the exit status where it is an error.
    """
    if isinstance(file, Source):
        return _load(file, release, reader)
    return remembered((file, release), reader, lambda reader: _load(file, release, reader))


def _load(file: str | Source, release: Release, reader: Reader) -> Configuration:
    loader = _Loader(release, reader)
    if isinstance(file, Source):
        loader.read(file)
    else:
        loader.read_path(file, None)
    if loader.is_stopped or any(not message.kind.is_ours for message in loader.messages):
        return Configuration(release, 1, (), tuple(loader.messages), tuple(loader.files))
    jails = tuple(_resolve_jails(loader.sections, release))
    messages = (*loader.messages, *(message for jail in jails for message in jail.messages))
    return Configuration(release, 0, jails, messages, tuple(loader.files))


@dataclass(slots=True)
class _Scope:
    """Statements being walked, and the section they belong to (None outside blocks)."""

    statements: Iterator[Statement]
    section: Section | None


class _Loader:
    """What reading files gathers: sections, messages and trees. `is_stopped` after an error that ends jail(8)."""

    def __init__(self, release: Release, reader: Reader) -> None:
        self.release = release
        self.rules = Rules.of(release)
        self.reader = reader
        self.sections: list[Section] = []
        self.messages: list[Message] = []
        self.files: list[File] = []
        self.is_stopped = False
        self.depth = 0
        self.globals: Section | None = None

    def read_path(self, path: str, section: Section | None, where: Span | None = None) -> None:
        """Read the file at a path into a section; where that fails, jail(8) ends."""
        try:
            data = self.reader.read(path)
        except (OSError, ValueError) as error:
            self.stop(Kind.FILE_UNREADABLE, f"{path}: {_reason(error)}", where)
        else:
            self.read(Source(path, data), section)

    def read(self, source: Source, section: Section | None = None) -> None:
        """Read a source into a section, and what it includes, in the order jail(8) does."""
        result = parse(source, self.release)
        is_good = result.ok
        self.files.append(result.file)
        messages = list(reversed(result.messages))
        scopes = [_Scope(iter(result.file.statements), section)]
        while scopes:
            scope = scopes[-1]
            statement = next(scope.statements, None)
            if statement is None:
                scopes.pop()
            elif isinstance(statement, Block):
                scopes.append(_Scope(iter(statement.statements), self.begin_section(statement, scope.section)))
            elif self.rules.includes and statement.is_include:
                # jail(8) includes a file as soon as it has read the semicolon.
                while messages and _noticed(messages[-1]) <= statement.semicolon + 1:
                    self.messages.append(messages.pop())
                is_good &= self.include(statement, scope.section)
                if self.is_stopped:
                    return
            else:
                self.section_of(statement, scope.section).parameters.append(statement)
        self.messages.extend(reversed(messages))
        if self.depth > 0 and not is_good:
            self.is_stopped = True

    def begin_section(self, block: Block, outer: Section | None) -> Section:
        """A new section for a block."""
        name = block.name.text if outer is None else f"{outer.name}.{block.name.text}"
        section = Section(name, block.name, block)
        self.sections.append(section)
        return section

    def section_of(self, parameter: Parameter, section: Section | None) -> Section:
        """The section a parameter belongs to: the given one, or outside blocks the global one that is current."""
        if section is not None:
            return section
        last = self.globals if self.rules.one_global_section else (self.sections[-1] if self.sections else None)
        if last is None or last.name != GLOBAL:
            last = Section(GLOBAL, parameter, parameter)
            self.sections.append(last)
            self.globals = last
        return last

    def include(self, parameter: Parameter, section: Section | None) -> bool:
        """Follow an `.include` statement; False where a file name has a variable in it, which is passed over."""
        is_good = True
        for value in parameter.values:
            name = value.literal
            if name is not None:
                self.include_pattern(name, value, section)
                if self.is_stopped:
                    break
            else:
                is_good = False
                source = parameter.name.source
                line = source.line_number(parameter.semicolon + 1)
                text = f"{source.name} line {line}: variables not permitted in '.include' filename"
                hint = Hint("write the name out, or use a pattern")
                self.messages.append(Message(Kind.INCLUDE_VARIABLE, text, value.span, hint))
        return is_good

    def include_pattern(self, name: str, value: Value, section: Section | None) -> None:
        """Read the file, or the files that a pattern matches; they need not be any."""
        if self.depth == _INCLUDE_DEPTH:
            hint = Hint("a file includes itself, perhaps by way of others")
            self.stop(Kind.INCLUDE_DEPTH, "maximum include depth exceeded", value.span, hint)
            return
        directory, slash, _ = value.span.source.name.rpartition("/")
        path = name if name.startswith("/") else f"{directory}{slash}{name}"
        paths = [path]
        if _is_pattern(path):
            try:
                paths = self.reader.glob(path)
            except (OSError, ValueError):
                self.stop(Kind.GLOB_FAILED, f"{path}: filename glob failed", value.span)
                return
        self.depth += 1
        for found in paths:
            if len(self.files) == _INCLUDE_COUNT:
                self.stop(Kind.TOO_LARGE, f"more than {_INCLUDE_COUNT} files included", value.span)
            else:
                self.read_path(found, section, value.span)
            if self.is_stopped:
                return
        self.depth -= 1

    def stop(self, kind: Kind, text: str, span: Span | None, hint: Hint | None = None) -> None:
        """An error at which jail(8) ends at once."""
        self.messages.append(Message(kind, text, span, hint))
        self.is_stopped = True


def _resolve_jails(sections: list[Section], release: Release) -> Iterator[Jail]:
    """The jails among the sections, each with the wildcard sections that match it, in order."""
    definitions = [[define(parameter) for parameter in section.parameters] for section in sections]
    wildcards = Wildcards(sections)
    budget = Budget()
    for index, section in enumerate(sections):
        if section.is_wildcard:
            continue
        applying = wildcards.matching(section.name)
        parts = [definitions[wild] for wild in applying if wild < index]
        parts.append(definitions[index])
        parts.extend(definitions[wild] for wild in applying if wild > index)
        yield _resolve_jail(section, parts, release, budget)


def _resolve_jail(section: Section, parts: list[list[Definition]], release: Release, budget: Budget) -> Jail:
    """One jail: what its name implies, its sections in order, its variables."""
    name, place = section.name, section.name_place
    parameters = ParameterList(name, release)
    parameters.add_special(plain("jid" if is_number(name) and strtol(name)[0] else "name", name, place))
    for definitions in parts:
        for definition in definitions:
            parameters.add(definition)
    if Rules.of(release).implied_name and not parameters.has_special("name"):
        parameters.add_special(plain("name", name, place))
    resolved = resolve(parameters, budget)
    return Jail(name, parameters.failed, resolved, section.place.span, tuple(parameters.messages))


def _noticed(message: Message) -> int:
    """Where the lexer stood when it was said."""
    return message.span.end if message.span is not None else 0


_PATTERN = re.compile(r"\\.|([*?]|\[!?.[^]]*\])", re.DOTALL)


def _is_pattern(path: str) -> bool:
    """Whether glob(3) takes a path for a pattern, which may match nothing."""
    return any(match.group(1) for match in _PATTERN.finditer(path))


def _reason(error: OSError | ValueError) -> str:
    """What strerror(3) says."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return os.strerror(errno.ENOENT)
