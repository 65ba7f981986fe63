"""Programs that read text and write text: cat, grep, sed, awk and their like, in the forms that scripts use.

A form that is not known here raises NotModelled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from vjail.command.sh.world import NotModelled, Streams
from vjail.kernel.errno import KernelError

if TYPE_CHECKING:
    from vjail.command.sh.shell import Shell

Filter = Callable[[Sequence[str], Streams, "Shell"], int]


def _input(paths: Sequence[str], streams: Streams, shell: Shell, name: str) -> str | None:
    """The files' text, or the input where there are none; None, and said, where one cannot be read."""
    if not paths:
        return streams.input
    parts: list[str] = []
    for path in paths:
        if path == "-":
            parts.append(streams.input)
            continue
        try:
            parts.append(shell.world.files.read(shell.path(path)).decode(errors="surrogateescape"))
        except KernelError as error:
            streams.err(f"{name}: {path}: {error.errno.text}\n")
            return None
    return "".join(parts)


def _cat(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    if any(word.startswith("-") and word not in ("-", "-u") for word in words[1:]):
        raise NotModelled("cat with options")
    text = _input([word for word in words[1:] if word != "-u"], streams, shell, "cat")
    if text is None:
        return 1
    streams.out(text)
    return 0


def _ends(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    """head and tail, by lines."""
    rest = list(words[1:])
    count, from_start = 10, False
    if rest and rest[0] == "-n":
        rest = [f"-n{rest[1]}" if len(rest) > 1 else "", *rest[2:]]
    if rest and rest[0].startswith("-") and len(rest[0]) > 1:
        number = rest.pop(0)[1:].removeprefix("n")
        from_start = number.startswith("+")
        if not number.lstrip("+").isdigit():
            raise NotModelled(f"{words[0]} with these options")
        count = int(number.lstrip("+"))
    text = _input(rest, streams, shell, words[0])
    if text is None:
        return 1
    lines = text.splitlines(keepends=True)
    if words[0] == "head":
        lines = lines[:count]
    elif from_start:
        lines = lines[max(count - 1, 0) :]
    else:
        lines = lines[-count:] if count else []
    streams.out("".join(lines))
    return 0


def _wc(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    flags = "".join(word[1:] for word in words[1:] if word.startswith("-"))
    paths = [word for word in words[1:] if not word.startswith("-")]
    if flags not in ("l", "w", "c") or len(paths) > 1:
        raise NotModelled("wc with these arguments")
    text = _input(paths, streams, shell, "wc")
    if text is None:
        return 1
    count = {"l": text.count("\n"), "w": len(text.split()), "c": len(text.encode())}[flags]
    streams.out(f" {count:7d}{f' {paths[0]}' if paths else ''}\n")
    return 0


def _sort(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    flags = "".join(word[1:] for word in words[1:] if word.startswith("-"))
    if set(flags) - set("rnu"):
        raise NotModelled("sort with these options")
    text = _input([word for word in words[1:] if not word.startswith("-")], streams, shell, "sort")
    if text is None:
        return 2
    lines = text.splitlines()
    if "u" in flags:
        lines = list(dict.fromkeys(lines))
    if "n" in flags:
        lines.sort(key=lambda line: (int((re.match(r"\s*(-?\d+)", line) or ["", "0"])[1]), line))
    else:
        lines.sort()
    if "r" in flags:
        lines.reverse()
    streams.out("".join(f"{line}\n" for line in lines))
    return 0


def _cut(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    delimiter, field, paths = "\t", "", []
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word[:2] in ("-d", "-f"):
            value = word[2:] or (rest.pop(0) if rest else "")
            if word[1] == "d":
                delimiter = value
            else:
                field = value
        elif word.startswith("-"):
            raise NotModelled(f"cut {word}")
        else:
            paths.append(word)
    found = re.fullmatch(r"(\d+)(-)?(\d+)?", field)
    if found is None:
        raise NotModelled("cut with these arguments")
    first = int(found[1])
    last = int(found[3]) if found[3] else None if found[2] else first
    text = _input(paths, streams, shell, "cut")
    if text is None:
        return 1
    for line in text.splitlines():
        parts = line.split(delimiter)
        streams.out((line if len(parts) == 1 else delimiter.join(parts[first - 1 : last])) + "\n")
    return 0


def _tr(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    match words[1:]:
        case ["-d", characters]:
            table: dict[int, str | None] = dict.fromkeys(map(ord, _set(characters)))
        case [source, target] if not source.startswith("-"):
            to = _set(target)
            table = {ord(each): to[min(place, len(to) - 1)] for place, each in enumerate(_set(source))}
        case _:
            raise NotModelled("tr with these arguments")
    streams.out(streams.input.translate(table))
    return 0


def _set(text: str) -> str:
    """The characters that one of tr's sets names."""
    text = text.replace("\\n", "\n").replace("\\t", "\t")
    if "[:" in text or "\\" in text:
        raise NotModelled(f"tr's set {text}")
    return re.sub(r"(.)-(.)", lambda found: "".join(map(chr, range(ord(found[1]), ord(found[2]) + 1))), text)


def _grep(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    flags, rest = "", list(words[1:])
    patterns: list[str] = []
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "-e" and rest:
            patterns.append(rest.pop(0))
        else:
            flags += word[1:]
    if set(flags) - set("qvciswxFEo"):
        raise NotModelled("grep with these options")
    if not patterns:
        if not rest:
            streams.err("usage: grep [pattern] [file ...]\n")
            return 2
        patterns.append(rest.pop(0))
    kind = words[0]
    fixed, extended = "F" in flags or kind == "fgrep", "E" in flags or kind == "egrep"
    expressions = [
        re.compile(_bounded(re.escape(each) if fixed else regular(each, extended), flags), re.I if "i" in flags else 0)
        for each in patterns
    ]
    quiet = Streams(streams.out, (lambda _: None) if "s" in flags else streams.err, streams.input)
    text = _input(rest, quiet, shell, "grep")
    if text is None:
        return 2
    found = [line for line in text.splitlines() if any(e.search(line) for e in expressions) is not ("v" in flags)]
    if "c" in flags:
        streams.out(f"{len(found)}\n")
    elif "q" not in flags:
        if "o" in flags:
            found = [hit.group() for line in found for e in expressions for hit in e.finditer(line) if hit.group()]
        elif len(rest) > 1:
            raise NotModelled("grep in several files")
        streams.out("".join(f"{line}\n" for line in found))
    return 0 if found else 1


def _bounded(pattern: str, flags: str) -> str:
    if "x" in flags:
        return f"^(?:{pattern})$"
    return rf"(?<!\w)(?:{pattern})(?!\w)" if "w" in flags else pattern


def regular(pattern: str, extended: bool) -> str:
    """A POSIX regular expression in Python's words. Raises NotModelled for what has none."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "\\" and at < len(pattern):
            following = pattern[at]
            at += 1
            if following in "(){}+?|":
                # A backslash makes these special in a basic expression, and plain in an extended one.
                parts.append("\\" + following if extended else following)
            elif following in "<>":
                parts.append(r"\b")
            else:
                parts.append("\\" + following)
        elif character == "[":
            end = pattern.find("]", at + 1 + (pattern[at : at + 1] == "^"))
            if end < 0:
                raise NotModelled(f"the expression {pattern}")
            inside = pattern[at:end]
            if "[:" in inside:
                end = pattern.find("]", pattern.find(":]", at) + 2)
                inside = pattern[at:end]
                for name, characters in _CLASSES.items():
                    inside = inside.replace(f"[:{name}:]", characters)
            parts.append(f"[{inside.replace('[', chr(92) + '[')}]")
            at = end + 1
        elif character in "(){}+?|" and not extended:
            parts.append("\\" + character)
        else:
            parts.append(character)
    try:
        re.compile("".join(parts))
    except re.error:
        raise NotModelled(f"the expression {pattern}") from None
    return "".join(parts)


_CLASSES = {
    "digit": "0-9", "alpha": "A-Za-z", "alnum": "A-Za-z0-9", "space": r"\s", "blank": r" \t", "lower": "a-z",
    "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


def _sed(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    rest = list(words[1:])
    quiet = extended = False
    scripts: list[str] = []
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        match rest.pop(0):
            case "-n":
                quiet = True
            case "-E" | "-r":
                extended = True
            case "-e" if rest:
                scripts.append(rest.pop(0))
            case option:
                raise NotModelled(f"sed {option}")
    if not scripts and rest:
        scripts.append(rest.pop(0))
    text = _input(rest, streams, shell, "sed")
    if text is None:
        return 1
    commands = [command for script in scripts for command in _commands(script)]
    if quiet and len(commands) > 1:
        raise NotModelled(f"sed -n {'; '.join(commands)}")
    for command in commands:
        text = _edited(text, command, quiet, extended)
    streams.out(text)
    return 0


def _commands(script: str) -> Iterator[str]:
    """The commands of a script: `s` with whatever stands between its marks, others up to a `;` or the line's end."""
    rest = script.strip("; \t\n")
    while rest:
        mark = re.escape(rest[1:2])
        substitution = rf"s{mark}(?:(?:\\.|(?!{mark})[^\\])*{mark}){{2}}[^;\n]*"
        found = re.match(substitution if rest[0] == "s" else r"[^;\n]+", rest)
        if found is None:
            raise NotModelled(f"sed {script}")
        yield found[0].strip()
        rest = rest[found.end() :].lstrip("; \t\n")


def _edited(text: str, script: str, quiet: bool, extended: bool) -> str:
    """One command of sed over all lines."""
    lines = text.splitlines()
    if (found := re.fullmatch(r"(\d+|\$)(?:,(\d+|\$))?([pdq])", script)) is not None:
        first, last = (len(lines) if each == "$" else int(each) for each in (found[1], found[2] or found[1]))
        chosen = range(first, last + 1)
        match found[3]:
            case "p" if quiet:
                lines = [line for number, line in enumerate(lines, 1) if number in chosen]
            case "d" if not quiet:
                lines = [line for number, line in enumerate(lines, 1) if number not in chosen]
            case "q" if not quiet:
                lines = lines[:first]
            case _:
                raise NotModelled(f"sed {script}")
    elif script[:1] == "s" and len(script) > 1:
        mark = script[1]
        parts = re.split(rf"(?<!\\){re.escape(mark)}", script[2:])
        if len(parts) != 3 or set(parts[2]) - set("gp") or (quiet and "p" not in parts[2]):
            raise NotModelled(f"sed {script}")
        expression = re.compile(regular(parts[0].replace("\\" + mark, mark), extended))
        to = re.sub(r"(?<!\\)&", r"\\g<0>", parts[1].replace("\\" + mark, mark)).replace(r"\&", "&")
        done = [expression.subn(to, line, 0 if "g" in parts[2] else 1) for line in lines]
        lines = [line for line, count in done if count or not quiet]
    elif (found := re.fullmatch(r"/((?:[^/\\]|\\.)*)/([pd])", script)) is not None and (found[2] == "p") is quiet:
        expression = re.compile(regular(found[1], extended))
        lines = [line for line in lines if (expression.search(line) is not None) is quiet]
    else:
        raise NotModelled(f"sed {script}")
    return "".join(f"{line}\n" for line in lines)


def _awk(words: Sequence[str], streams: Streams, shell: Shell) -> int:
    rest = list(words[1:])
    separator: str | None = None
    while rest and rest[0].startswith("-F"):
        option = rest.pop(0)
        separator = option[2:] or (rest.pop(0) if rest else "")
    program = rest.pop(0) if rest else ""
    found = re.fullmatch(
        r"\s*(?:/((?:[^/\\]|\\.)*)/|NR\s*==\s*(\d+))?\s*\{\s*print\s*((?:\$\w+|\"[^\"]*\"|[\s,])*);?\s*(?:exit)?;?\s*\}\s*",
        program,
    )
    if found is None or (separator is not None and len(separator) != 1):
        raise NotModelled(f"awk {program}")
    text = _input(rest, streams, shell, "awk")
    if text is None:
        return 2
    expression = re.compile(regular(found[1], True)) if found[1] is not None else None
    for number, line in enumerate(text.splitlines(), 1):
        if (expression is not None and not expression.search(line)) or (found[2] and number != int(found[2])):
            continue
        fields = line.split(separator)
        groups = [_awk_items(group, line, fields) for group in found[3].split(",")] if found[3].strip() else [line]
        streams.out(" ".join(groups) + "\n")
        if re.search(r"\bexit\b", program):
            break
    return 0


def _awk_items(text: str, line: str, fields: Sequence[str]) -> str:
    parts: list[str] = []
    for item in re.findall(r"\$\w+|\"[^\"]*\"", text):
        if item.startswith('"'):
            parts.append(item[1:-1])
        elif item == "$NF":
            parts.append(fields[-1] if fields else "")
        elif item[1:].isdigit():
            place = int(item[1:])
            parts.append(line if place == 0 else fields[place - 1] if place <= len(fields) else "")
        else:
            raise NotModelled(f"awk {item}")
    return "".join(parts)


FILTERS: Mapping[str, Filter] = {
    "cat": _cat,
    "head": _ends,
    "tail": _ends,
    "wc": _wc,
    "sort": _sort,
    "cut": _cut,
    "tr": _tr,
    "grep": _grep,
    "egrep": _grep,
    "fgrep": _grep,
    "sed": _sed,
    "awk": _awk,
}
