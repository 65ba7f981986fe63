"""Labs from a few lines of text, and transcripts: lines typed on their host, with what was answered."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from sandbox import Sandbox

LAB = "lab"


def make(box: Sandbox, files: Mapping[str, str], lab: str = LAB) -> None:
    """Put a lab's files, text by path, into a folder."""
    for name, text in files.items():
        path = box.folder / lab / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def transcript(box: Sandbox, text: str) -> str:
    """The transcript of typing the lines of `text` again.

    A line `# words` is typed on the host, `JAIL# words` in a jail; what it answered stands below it, both streams in
    one, and `[exit N]` where it failed.
    """
    script = []
    for line in text.splitlines():
        if found := re.fullmatch(r"(\w*)# (.*)", line):
            jail, words = found.groups()
            shown = line.replace("'", "'\\''")
            typed = f"jexec {jail} {words}" if jail else words
            script.append(f"echo '{shown}'; {{ {typed}\n}} 2>&1; code=$?; test $code = 0 || echo \"[exit $code]\"")
    done = box.shell("\n".join(script), LAB)
    return done.out + done.err


def retyped(box: Sandbox, text: str) -> None:
    """A transcript must come out the same when it is typed again."""
    found = transcript(box, text)
    difference = difflib.unified_diff(text.splitlines(), found.splitlines(), "expected", "found", lineterm="")
    assert found == text, "\n".join(difference)
