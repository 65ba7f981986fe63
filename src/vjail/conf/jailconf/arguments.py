"""A jail given on a command line: `jail -c name=value …`.

Arguments are no jail.conf: quotes, escapes and variables mean nothing in them, and a repeated name appends. Source:
main() in usr.sbin/jail/jail.c and add_param() in config.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vjail.conf.jailconf.jail import Jail
from vjail.conf.jailconf.load import Configuration
from vjail.conf.jailconf.merge import Definition, ParameterList, plain
from vjail.conf.jailconf.variables import Budget, resolve
from vjail.conf.position import Source, Span, encode
from vjail.release import Release


def command_line(arguments: Sequence[str], release: Release) -> Configuration:
    """The one jail, without a block name, that the arguments after `jail -c` or `-m` describe.

    Places in messages are those of a text with one argument on each line, called `arguments`.
    """
    source, spans = _as_source(arguments)
    parameters = ParameterList(None, release)
    for definition in _definitions(arguments, spans, release):
        if definition.name == "command" or (definition.name in _split_names(release) and definition.values):
            parameters.add_special(definition)
        else:
            parameters.add(definition)
    resolved = resolve(parameters, Budget())
    whole = Span(source, 0, len(source.data))
    jail = Jail(None, parameters.failed, resolved, whole, tuple(parameters.messages))
    return Configuration(release, 0, (jail,), jail.messages)


def _definitions(arguments: Sequence[str], spans: Sequence[Span], release: Release) -> Iterator[Definition]:
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "command":
            if equals:
                yield plain(name, value, spans[index])
            for word, span in zip(arguments[index + 1 :], spans[index + 1 :], strict=True):
                yield plain(name, word, span)
            return
        if equals and name in _split_names(release):
            for element in value.split(","):
                yield plain(name, element, spans[index])
        else:
            yield plain(name, value if equals else None, spans[index])


def _split_names(release: Release) -> tuple[str, ...]:
    """The parameters whose argument is a list with commas."""
    if release >= Release.V15:
        return "ip4.addr", "ip6.addr", "vnet.interface", "zfs.dataset"
    return "ip4.addr", "ip6.addr"


def _as_source(arguments: Sequence[str]) -> tuple[Source, list[Span]]:
    lines = [encode(argument) for argument in arguments]
    source = Source("arguments", b"\n".join(lines))
    spans: list[Span] = []
    start = 0
    for line in lines:
        spans.append(Span(source, start, start + len(line)))
        start += len(line) + 1
    return source, spans
