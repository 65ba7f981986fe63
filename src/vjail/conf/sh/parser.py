"""Commands of sh(1): lists, pipelines, simple and compound commands, functions, redirections, here-documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vjail.conf.sh.reader import NAME, Reader
from vjail.conf.sh.syntax import (
    Assignment,
    Case,
    Chain,
    Command,
    For,
    Function,
    Group,
    If,
    Joint,
    Literal,
    Loop,
    Pipeline,
    Redirection,
    Script,
    ShellSyntaxError,
    Simple,
    Word,
)

_RESERVED = frozenset(
    ("if", "then", "elif", "else", "fi", "while", "until", "do", "done", "for", "in", "case", "esac", "{", "}", "!")
)
_REDIRECTIONS = ("<<-", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">")


def parse(text: str) -> Script:
    """The script that `text` is. Raises ShellSyntaxError."""
    reader = Reader(text, script_reader)
    script = script_reader(reader)
    if reader.at < len(text):
        raise reader.fail('";;" unexpected' if reader.peek(2) == ";;" else '")" unexpected')
    return script


def script_reader(reader: Reader) -> Script:
    """The script that comes next, up to an unmatched `)` or the end."""
    return _Parser(reader).script(())


class _Parser:
    """Reads commands from a reader."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def script(self, ends: Sequence[str]) -> Script:
        """Chains up to one of the reserved words `ends`, a `)`, `;;` or the end of the text; that is left unread."""
        chains: list[Chain] = []
        while True:
            self._newlines()
            reader = self._reader
            if reader.at >= len(reader.text) or reader.peek() == ")" or reader.peek(2) == ";;":
                return Script(tuple(chains))
            if self._next_reserved() in ends:
                return Script(tuple(chains))
            chains.append(self._chain())

    def _chain(self) -> Chain:
        first = self._pipeline()
        rest: list[tuple[Joint, Pipeline]] = []
        reader = self._reader
        while True:
            reader.skip_blanks()
            joint = next((joint for joint in Joint if reader.peek(2) == joint.value), None)
            if joint is None:
                break
            reader.at += 2
            self._newlines()
            rest.append((joint, self._pipeline()))
        background = False
        if reader.peek() == "&":
            reader.at += 1
            background = True
        elif reader.peek() == ";" and reader.peek(2) != ";;":
            reader.at += 1
        elif reader.peek() not in ("", "\n", ")", ";"):
            raise self._unexpected()
        return Chain(first, tuple(rest), background)

    def _pipeline(self) -> Pipeline:
        reader = self._reader
        reader.skip_blanks()
        negated = False
        while self._next_reserved() == "!":
            self._take("!")
            negated = not negated
        commands = [self._command()]
        while True:
            reader.skip_blanks()
            if reader.peek() != "|" or reader.peek(2) == "||":
                return Pipeline(tuple(commands), negated)
            reader.at += 1
            self._newlines()
            commands.append(self._command())

    def _command(self) -> Command:
        reader = self._reader
        reader.skip_blanks()
        if reader.peek() == "(":
            reader.at += 1
            body = self._body(())
            self._take(")")
            return self._redirected(Group(body, True))
        match self._next_reserved():
            case "{":
                self._take("{")
                body = self._body(("}",))
                self._take("}")
                return self._redirected(Group(body, False))
            case "if":
                return self._redirected(self._if())
            case "while" | "until" as word:
                start = reader.place
                self._take(word)
                condition = self._body(("do",))
                return self._redirected(Loop(condition, self._do(), word == "until", start))
            case "for":
                return self._redirected(self._for())
            case "case":
                return self._redirected(self._case())
            case None:
                return self._function() or self._simple()
            case _:
                raise self._unexpected()

    def _body(self, ends: Sequence[str]) -> Script:
        script = self.script(ends)
        if not script.chains:
            raise self._unexpected()
        return script

    def _do(self) -> Script:
        self._take("do")
        body = self._body(("done",))
        self._take("done")
        return body

    def _if(self) -> If:
        branches: list[tuple[Script, Script]] = []
        otherwise = None
        self._take("if")
        while True:
            condition = self._body(("then",))
            self._take("then")
            branches.append((condition, self._body(("elif", "else", "fi"))))
            if self._next_reserved() != "elif":
                break
            self._take("elif")
        if self._next_reserved() == "else":
            self._take("else")
            otherwise = self._body(("fi",))
        self._take("fi")
        return If(tuple(branches), otherwise)

    def _for(self) -> For:
        self._take("for")
        reader = self._reader
        reader.skip_blanks()
        name = NAME.match(reader.text, reader.at)
        if name is None:
            raise reader.fail("Bad for loop variable")
        reader.at = name.end()
        words: list[Word] | None = None
        self._newlines()
        if self._next_reserved() == "in":
            self._take("in")
            words = []
            reader.skip_blanks()
            while (word := reader.word()) is not None:
                words.append(word)
                reader.skip_blanks()
        if reader.peek() == ";":
            reader.at += 1
        self._newlines()
        return For(name.group(), None if words is None else tuple(words), self._do())

    def _case(self) -> Case:
        self._take("case")
        reader = self._reader
        reader.skip_blanks()
        word = reader.word()
        if word is None:
            raise self._unexpected()
        self._newlines()
        self._take("in")
        self._newlines()
        branches: list[tuple[tuple[Word, ...], Script]] = []
        while self._next_reserved() != "esac":
            if reader.peek() == "(":
                reader.at += 1
            patterns: list[Word] = []
            while True:
                reader.skip_blanks()
                pattern = reader.word()
                if pattern is None:
                    raise self._unexpected()
                patterns.append(pattern)
                reader.skip_blanks()
                if reader.peek() != "|":
                    break
                reader.at += 1
            self._take(")")
            branches.append((tuple(patterns), self.script(("esac",))))
            if reader.peek(2) == ";;":
                reader.at += 2
            self._newlines()
        self._take("esac")
        return Case(word, tuple(branches))

    def _function(self) -> Function | None:
        reader = self._reader
        name = NAME.match(reader.text, reader.at)
        if name is None:
            return None
        before, reader.at = reader.at, name.end()
        reader.skip_blanks()
        if reader.peek() == "(":
            reader.at += 1
            reader.skip_blanks()
            if reader.peek() == ")":
                reader.at += 1
                self._newlines()
                return Function(name.group(), self._command())
        reader.at = before
        return None

    def _simple(self) -> Simple:
        reader = self._reader
        start = reader.place
        assignments: list[Assignment] = []
        words: list[Word] = []
        redirections: list[Redirection] = []
        while True:
            reader.skip_blanks()
            redirection = self._redirection()
            if redirection is not None:
                redirections.append(redirection)
                continue
            word = reader.word()
            if word is None:
                break
            assignment = None if words else _assignment(word)
            if assignment is not None:
                assignments.append(assignment)
            else:
                words.append(word)
        if reader.place == start or not (words or assignments or redirections):
            raise self._unexpected()
        end = words[-1].end if words else reader.place
        return Simple(tuple(assignments), tuple(words), tuple(redirections), start, end)

    def _redirected(self, command: Group | If | Loop | For | Case) -> Command:
        found: list[Redirection] = []
        self._reader.skip_blanks()
        while (redirection := self._redirection()) is not None:
            found.append(redirection)
            self._reader.skip_blanks()
        return replace(command, redirections=tuple(found)) if found else command

    def _redirection(self) -> Redirection | None:
        reader = self._reader
        at = reader.at
        digits = ""
        while reader.text[at : at + 1].isdigit():
            digits += reader.text[at]
            at += 1
        operator = next((each for each in _REDIRECTIONS if reader.text.startswith(each, at)), None)
        if operator is None:
            return None
        reader.at = at + len(operator)
        reader.skip_blanks()
        target = reader.word()
        if target is None:
            raise self._unexpected()
        fd = int(digits) if digits else int(operator.startswith(">"))
        if operator.startswith("<<"):
            return Redirection(fd, "<<", self._here_document(target, tabs=operator == "<<-"))
        return Redirection(fd, operator, target)

    def _here_document(self, target: Word, *, tabs: bool) -> Word:
        """The text of a here-document, which begins on the next line; it is cut out of the reader's text."""
        reader = self._reader
        delimiter = "".join(part.text for part in target.parts if isinstance(part, Literal))
        quoted = target.plain is None
        line_end = reader.text.find("\n", reader.at)
        lines: list[str] = []
        at = len(reader.text) if line_end < 0 else line_end + 1
        start = at
        while at < len(reader.text):
            end = reader.text.find("\n", at)
            end = len(reader.text) if end < 0 else end
            line = reader.text[at:end]
            at = min(end + 1, len(reader.text))
            if (line.lstrip("\t") if tabs else line) == delimiter:
                break
            lines.append((line.lstrip("\t") if tabs else line) + "\n")
        text = "".join(lines)
        # What follows is read from where the document ends; its room is kept so that offsets stay right.
        blank = "".join(character if character == "\n" else " " for character in reader.text[start:at])
        reader.text = reader.text[:start] + blank + reader.text[at:]
        if quoted:
            return Word((Literal(text, True),), reader.base + start, reader.base + at)
        inner = Reader(text, script_reader, base=reader.base + start)
        return Word(inner.to_end(backslashes=True), reader.base + start, reader.base + at)

    # --- tokens -------------------------------------------------------------------------------------------------------

    def _newlines(self) -> None:
        reader = self._reader
        reader.skip_blanks()
        while reader.peek() == "\n":
            reader.at += 1
            reader.skip_blanks()

    def _next_reserved(self) -> str | None:
        """The reserved word that comes next, if one does; it stays unread."""
        reader = self._reader
        reader.skip_blanks()
        at = reader.at
        word = reader.text[at : at + 6]
        for end, character in enumerate(word):
            if character in " \t\n;&|<>()":
                word = word[:end]
                break
        return word if word in _RESERVED else None

    def _take(self, token: str) -> None:
        reader = self._reader
        reader.skip_blanks()
        if not reader.text.startswith(token, reader.at):
            raise self._unexpected(token)
        reader.at += len(token)

    def _unexpected(self, expected: str = "") -> ShellSyntaxError:
        reader = self._reader
        reader.skip_blanks()
        start = reader.at
        found = "end of file"
        if start < len(reader.text):
            following = reader.text[start]
            if following == "\n":
                found = "newline"
            elif following in ";&|<>()":
                double = reader.text[start : start + 2]
                found = f'"{double if double in ("&&", "||", ";;") else following}"'
            else:
                end = start
                while end < len(reader.text) and reader.text[end] not in " \t\n;&|<>()":
                    end += 1
                token = reader.text[start:end]
                found = f'"{token}"' if token in _RESERVED else "word"
        also = f' (expecting "{expected}")' if expected else ""
        return reader.fail(f"{found} unexpected{also}", start)


def _assignment(word: Word) -> Assignment | None:
    """The assignment that a word is, if it is one."""
    first = word.parts[0]
    if not isinstance(first, Literal) or first.quoted:
        return None
    name = NAME.match(first.text)
    if name is None or first.text[name.end() : name.end() + 1] != "=":
        return None
    rest = first.text[name.end() + 1 :]
    parts = ((Literal(rest, False),) if rest else ()) + word.parts[1:]
    return Assignment(name.group(), Word(parts, word.start + name.end() + 1, word.end))
