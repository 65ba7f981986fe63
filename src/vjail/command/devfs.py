"""devfs(8): rules and rulesets of the mounted devfs. Sources: devfs(8), sbin/devfs of 13.2, observed/f_devfs.txt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vjail.command.accounts import Database, name_of, number_of
from vjail.command.getopt import BadOption, Getopt
from vjail.command.paths import PathError, resolve
from vjail.command.privilege import apply_as_caller
from vjail.conf.devfs_rules import RuleError, parse_number, parse_rule
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import AddDevfsRule, ApplyDevfsRule, DeleteDevfsRule, SetDevfsRuleset
from vjail.session import Quit, Session


@dataclass(frozen=True, slots=True)
class _Target:
    """The devfs and the set a rule command is about; set 0 is the one the devfs uses."""

    mount: str
    ruleset: int


async def devfs(session: Session) -> int:
    """devfs(8). Its messages begin with `devfs rule` once that word was read."""
    name = ["devfs"]
    try:
        return await _devfs(session, name)
    except Quit as leave:
        if leave.text is not None:
            session.err(f"{name[0]}: {leave.text}\n")
        return leave.code


async def _devfs(session: Session, name: list[str]) -> int:
    mount = "/dev"
    options = Getopt(session.argv[1:], "m:")
    for option in options:
        if isinstance(option, BadOption):
            raise _usage(session, f"devfs: {option.text}\n")
        mount = option.argument or ""
    if not options.operands:
        raise _usage(session)
    try:
        mount = resolve(session, mount)
    except PathError as error:
        raise Quit(f"open: {mount}: {error.errno.text}") from None
    command, *words = options.operands
    match command:
        case "rule":
            name[0] = "devfs rule"
            return await _rule(session, mount, words)
        case "ruleset":
            name[0] = "devfs ruleset"
            return _ruleset(session, mount, words)
        case _:
            raise Quit(f"unknown command: {command}")


def _usage(session: Session, complaint: str = "") -> Quit:
    session.err(
        f"{complaint}usage: \tdevfs [-m mount-point] rule [-s ruleset] ...\n\tdevfs [-m mount-point] ruleset ...\n"
    )
    return Quit(None)


def _ruleset(session: Session, mount: str, words: Sequence[str]) -> int:
    if not words:
        raise _usage(session)
    try:
        apply_as_caller(session, SetDevfsRuleset(mount, _number(words[0])))
    except KernelError as error:
        raise _refused("SUSE", error) from None
    return 0


async def _rule(session: Session, mount: str, words: Sequence[str]) -> int:
    ruleset = 0
    options = Getopt(words, "s:")
    for option in options:
        if isinstance(option, BadOption):
            raise _usage(session, f"devfs rule: {option.text}\n")
        ruleset = _number(option.argument or "")
    if not options.operands:
        raise _usage(session)
    target = _Target(mount, ruleset)
    command, *arguments = options.operands
    match command:
        case "add" if arguments == ["-"]:
            await _each_input_line(session, lambda words: _add(session, target, words))
        case "add" if arguments:
            _add(session, target, arguments)
        case "apply" if arguments == ["-"]:
            await _each_input_line(session, lambda words: _apply(session, target, words))
        case "apply" if arguments:
            _apply(session, target, arguments)
        case "applyset" if not arguments:
            _apply(session, target, None)
        case "del" if arguments:
            _delete(session, target, _integer(arguments[0]))
        case "delset" if not arguments:
            _delete(session, target, None)
        case "show":
            _show(session, target, _integer(arguments[0]) if arguments else None)
        case "showsets" if not arguments:
            _show_sets(session)
        case "add" | "apply" | "applyset" | "del" | "delset" | "showsets":
            raise _usage(session)
        case _:
            raise Quit(f"unknown command: {command}")
    return 0


async def _each_input_line(session: Session, act: Callable[[Sequence[str]], None]) -> None:
    for line in (await session.read_input()).decode(errors="surrogateescape").splitlines():
        act(line.split())


def _add(session: Session, target: _Target, words: Sequence[str]) -> None:
    rule = _rule_words(session, words)
    try:
        apply_as_caller(session, AddDevfsRule(_set_of(session, target), rule))
    except KernelError as error:
        raise _refused("RADD", error) from None


def _apply(session: Session, target: _Target, words: Sequence[str] | None) -> None:
    """One rule, by its words or number, or with None the whole set."""
    request = "SAPPLY"
    if words is not None:
        by_number = len(words) == 1 and parse_number(words[0]) is not None
        request = "RAPPLYID" if by_number else "RAPPLY"
        words = tuple(words) if by_number else _rule_words(session, words)
    try:
        apply_as_caller(session, ApplyDevfsRule(target.mount, target.ruleset, tuple(words) if words else None))
    except KernelError as error:
        raise _refused(request, error) from None


def _delete(session: Session, target: _Target, number: int | None) -> None:
    try:
        apply_as_caller(session, DeleteDevfsRule(_set_of(session, target), number))
    except KernelError as error:
        raise _refused("RGETNEXT" if number is None else "RDEL", error) from None


def _show(session: Session, target: _Target, number: int | None) -> None:
    try:
        rules = session.system.devfs_rules(_set_of(session, target))
    except KernelError as error:
        raise _refused("RGETNEXT", error) from None
    if number is not None and not any(known >= number for known, _ in rules):
        raise _refused("RGETNEXT", KernelError(Errno.ENOENT))
    for known, text in rules:
        if number is None or known == number:
            session.out(f"{known} {_with_names(session, text)}\n")


def _show_sets(session: Session) -> None:
    try:
        rulesets = session.system.devfs_rulesets()
    except KernelError as error:
        raise _refused("SGETNEXT", error) from None
    for ruleset in rulesets:
        session.out(f"{ruleset}\n")


def _set_of(session: Session, target: _Target) -> int:
    return target.ruleset or session.system.devfs_ruleset_of(target.mount)


def _refused(request: str, error: KernelError) -> Quit:
    return Quit(f"ioctl DEVFSIO_{request}: {error.errno.text}")


def _number(text: str) -> int:
    number = parse_number(text)
    if number is None:
        raise Quit(f"error converting to number: {text}")
    return number


def _integer(text: str) -> int:
    try:
        return int(text, 10)
    except ValueError:
        raise Quit(f"error converting to integer: {text}") from None


def _rule_words(session: Session, words: Sequence[str]) -> tuple[str, ...]:
    """The words checked, users and groups as numbers, as the kernel wants them."""
    try:
        number, rule = parse_rule(words)
    except RuleError as error:
        raise Quit(str(error)) from None
    if rule.user is not None:
        rule = replace(rule, user=_who(session, Database.USERS, rule.user))
    if rule.group is not None:
        rule = replace(rule, group=_who(session, Database.GROUPS, rule.group))
    return (*((str(number),) if number else ()), *rule.words())


def _who(session: Session, database: Database, name: str) -> str:
    number = number_of(session.files, database, name)
    return str(_integer(name) if number is None else number)


def _with_names(session: Session, text: str) -> str:
    """A rule's text with the names of users and groups instead of their numbers."""
    try:
        _, rule = parse_rule(text.split(" "))
    except RuleError:
        return text
    if rule.user is not None:
        rule = replace(rule, user=name_of(session.files, Database.USERS, int(rule.user)) or rule.user)
    if rule.group is not None:
        rule = replace(rule, group=name_of(session.files, Database.GROUPS, int(rule.group)) or rule.group)
    return str(rule)
