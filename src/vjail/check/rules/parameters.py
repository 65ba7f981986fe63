"""What a jail's parameters come to, where somebody who reads them would expect something else."""

from __future__ import annotations

from collections.abc import Iterator

from vjail.check.finding import Concern, Finding, Rule, Severity
from vjail.check.subject import HostSubject, JailSubject
from vjail.conf.jailconf import Configuration, JailParameter
from vjail.conf.jailconf.merge import define
from vjail.conf.jailconf.pseudo import flag
from vjail.conf.jailconf.syntax import Block, Parameter, Quote, Quoted, Statement
from vjail.conf.position import Span
from vjail.jail.phases import Where

TAKEN_BACK = Rule("VJ720", Severity.WARNING, "what a jail says, taken back by something general below it")
CUT = Rule("VJ721", Severity.WARNING, "a comment that begins inside a word")
ESCAPED = Rule("VJ722", Severity.NOTE, "a backslash inside single quotes")
NO_NETWORK = Rule("VJ723", Severity.NOTE, "a jail without any network")
RAW_ANYWAY = Rule("VJ724", Severity.NOTE, "raw sockets denied to a jail with a vnet", Concern.SECURITY)
RELATIVE_COMMAND = Rule("VJ729", Severity.WARNING, "a command on the host by a relative path")

_WORD_ENDS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_!%&()-.:<>?@[]^`|~$*+/\\")
"""The characters of unquoted words."""


def taken_back(host: HostSubject) -> Iterator[Finding]:
    """Later in the file wins; that a jail's own block is more specific counts for nothing."""
    jails = {jail.name: jail for jail in host.jails}
    for configuration in host.configurations:
        for block in _blocks(configuration):
            jail = jails.get(block.name.text)
            for parameter in block.statements if jail is not None else ():
                if isinstance(parameter, Parameter) and not parameter.name.variable and jail is not None:
                    yield from _taken_back(configuration, block, parameter, jail)


def _taken_back(
    configuration: Configuration, block: Block, parameter: Parameter, jail: JailSubject
) -> Iterator[Finding]:
    final = jail.jail.parameter(parameter.name.text)
    if final is None or any(_within(each, block.span) for each in (final.span, *(v.span for v in final.values))):
        return
    general = next((each for each in _general(configuration) if _within(final.span, each.span)), None)
    if general is None or _same(parameter, final):
        return
    where = f"`{general.name.text} {{…}}`" if isinstance(general, Block) else "outside all blocks"
    yield Finding(
        TAKEN_BACK,
        parameter.span,
        f"{parameter.name.text} of {jail.name} is what stands further down, {where}",
        "what comes later in the file wins; that a jail's own block is more specific counts for nothing",
        "put what holds for all jails above the jails",
        related=((final.span, "the one that counts"),),
        jails=(jail.name,),
    )


def _blocks(configuration: Configuration) -> Iterator[Block]:
    """The blocks of jails."""
    for file in configuration.files:
        yield from (each for each in file.statements if isinstance(each, Block) and not _is_general(each))


def _general(configuration: Configuration) -> Iterator[Statement]:
    for file in configuration.files:
        yield from (each for each in file.statements if _is_general(each))


def _is_general(statement: Statement) -> bool:
    """Whether it gives parameters to more jails than one."""
    return isinstance(statement, Parameter) or "*" in statement.name.text.split(".")


def _same(parameter: Parameter, final: JailParameter) -> bool:
    alone = define(parameter).finished
    return alone is not None and (alone.name, alone.texts) == (final.name, final.texts)


def _within(span: Span, outer: Span) -> bool:
    return span.source.name == outer.source.name and outer.start <= span.start and span.end <= outer.end


def cut(host: HostSubject) -> Iterator[Finding]:
    """`//`, `/*` and `#` begin a comment wherever they stand outside quotes; in what cannot be read VJ001 says it."""
    for configuration in host.configurations:
        if configuration.exit_status != 0:
            continue
        for file in configuration.files:
            ends = {-1, *(comment.end for comment in file.comments)}
            for comment in file.comments:
                before = file.source.data[comment.start - 1 : comment.start]
                if comment.start in ends or not _WORD_ENDS.issuperset(before) or not before:
                    continue
                mark = comment.text[:2] if comment.text.startswith("/") else "#"
                yield Finding(
                    CUT,
                    comment,
                    f"`{mark}` begins a comment, although it stands inside a word",
                    "jail(8) reads the word only up to here",
                    "quote the word; or put a blank before the comment",
                )


def escaped(host: HostSubject) -> Iterator[Finding]:
    """Single quotes keep `$` from jail(8), and no backslash."""
    for configuration in host.configurations:
        for file in configuration.files:
            for value in _single_quoted(file.statements):
                inside = value.span.text[1:-1].replace("\\\\", "")
                if "\\" in inside and "\\\n" not in inside:
                    at = inside.index("\\")
                    yield Finding(
                        ESCAPED,
                        value.span,
                        f"`{inside[at : at + 2]}` is undone by jail(8), in single quotes too",
                        "the command is given the character that it stands for, or the one behind the backslash alone",
                        "write the backslash twice where the command is to see it",
                    )


def _single_quoted(statements: tuple[Statement, ...]) -> Iterator[Quoted]:
    for statement in statements:
        if isinstance(statement, Block):
            yield from _single_quoted(statement.statements)
            continue
        for value in statement.values:
            for piece in value.pieces:
                if isinstance(piece, Quoted) and piece.quote is Quote.SINGLE:
                    yield piece


def no_network(host: HostSubject) -> Iterator[Finding]:
    """Without vnet, and without an address: the kernel gives it none of the host's."""
    for jail in host.jails:
        said = any(jail.jail.parameter(name) is not None for name in ("ip4", "ip6", "vnet", "ip_hostname"))
        addresses = (*jail.jail.texts("ip4.addr"), *jail.jail.texts("ip6.addr"))
        if said or addresses or jail.interfaces or jail.jail.failed or jail.jail.source is None:
            continue
        if any(line.where is Where.JAIL for line in jail.lines):
            yield Finding(
                NO_NETWORK,
                jail.jail.source,
                f"{jail.name} has neither a vnet nor an address: nothing in it can use the network",
                "without ip4.addr and ip6.addr both families are disabled in it; sockets of theirs cannot be made",
                "vnet; or ip4.addr; or ip4 = inherit; where none is wanted ip4 = disable says so",
                jails=(jail.name,),
            )


def raw_anyway(host: HostSubject) -> Iterator[Finding]:
    """allow.raw_sockets is asked of jails that share a stack only."""
    for jail in host.jails:
        parameter = jail.jail.parameter("allow.raw_sockets")
        if jail.is_vnet and parameter is not None and not flag(parameter):
            yield Finding(
                RAW_ANYWAY,
                parameter.span,
                f"{jail.name} has a vnet, and its root opens raw sockets all the same",
                "root of a vnet jail may open raw sockets and bpf, and change interfaces, routes and pf of its stack, "
                "whatever allow.* says",
                "take it out; who must not do that gets no vnet",
                jails=(jail.name,),
            )


def relative_command(host: HostSubject) -> Iterator[Finding]:
    """Where a command on the host runs depends on who starts the jail, and on exec.clean."""
    for jail in host.jails:
        for line in jail.lines if not jail.jail.failed else ():
            if line.where is not Where.HOST or not line.calls:
                continue
            call = line.calls[0]
            program = call.arguments[0].text or ""
            if "/" in program and not program.startswith("/"):
                yield Finding(
                    RELATIVE_COMMAND,
                    call.span,
                    f"{program} is looked for in the directory that the command happens to run in",
                    "that is where jail(8) was started, / at boot; with exec.clean, which counts for commands on the "
                    "host too, it is the home of the user they run as (from 15 on only where exec.system_user is set)",
                    "the whole path",
                    jails=(jail.name,),
                )


RULES = (taken_back, cut, escaped, no_network, raw_anyway, relative_command)
