"""Draws the examples that have a network: docs/pictures/ROW.svg. `make pictures` runs it; a test compares.

Where an example's network is typed by hand (its file `commands`), that is typed first, in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vjail.lab import folder
from vjail.rehearsal import Rehearsal, up
from vjail.rehearsal.picture import picture
from vjail.view.picture import Format, rendered

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
BY_HAND = {
    "C3-bridge-by-hand": "serverC",
    "E1-bridge-as-printed": "fbsd",
    "E1-bridge-with-ups": "fbsd",
    "E2-vlans-as-printed": "fbsd",
    "E2-vlans-mended": "fbsd",
}
"""The hosts at which commands are typed whose network stays."""


def drawn() -> Iterator[tuple[Path, str]]:
    """The pictures, each with the file it belongs in."""
    for example in sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir()):
        lab = folder.load(example)
        rehearsal = Rehearsal.of(lab)
        up(rehearsal)
        if example.name in BY_HAND:
            typed = (example / "commands").read_text().replace("csh <<", "sh <<")  # there is no csh in memory
            rehearsal.type(BY_HAND[example.name], ("/bin/sh",), input=typed)
        found = picture(lab, rehearsal, example)
        if any(host.nets for host in found.hosts):
            yield PICTURES / f"{example.name}.svg", rendered(found, Format.SVG)


def main() -> None:
    """Write what has changed, remove what no example has any more."""
    PICTURES.mkdir(exist_ok=True)
    made = dict(drawn())
    for file, text in made.items():
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            print(file.relative_to(ROOT))
    for file in sorted(PICTURES.glob("*.svg")):
        if file not in made:
            file.unlink()
            print(f"{file.relative_to(ROOT)}: removed")


if __name__ == "__main__":
    main()
