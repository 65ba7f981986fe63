"""One piece of a right lab file is made wrong in form: that is told, and nothing that only hangs on it.

So each value, each element of a list and each key of every example and of every right file here, one after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from expectations import EXAMPLES, FOLDERS
from vjail.lab import folder
from vjail.lab.model import LabError

RIGHT = Path(__file__).parent / "right"
FILES = [*sorted(RIGHT.iterdir()), *(EXAMPLES / name for name in FOLDERS)]
WRONG = yaml.SequenceNode("tag:yaml.org,2002:seq", [yaml.SequenceNode("tag:yaml.org,2002:seq", [], flow_style=True)])
"""What stands nowhere in a lab file: a list in a list."""


def spoilt(node: yaml.Node, top: yaml.Node, way: str = "") -> Iterator[tuple[str, str]]:
    """A tree's text with one of its values wrong, and which that is."""
    match node:
        case yaml.MappingNode():
            for number, (key, value) in enumerate(node.value):
                here = f"{way}/{key.value}"
                node.value[number] = (key, WRONG)
                yield here, yaml.serialize(top)
                node.value[number] = (key, value)
                yield from spoilt(value, top, here)
        case yaml.SequenceNode():
            for number, value in enumerate(node.value):
                here = f"{way}/{number}"
                node.value[number] = WRONG
                yield here, yaml.serialize(top)
                node.value[number] = value
                yield from spoilt(value, top, here)


def told(path: Path) -> list[str]:
    try:
        folder.load(path)
    except LabError as error:
        return [str(each) for each in error.problems]
    return []


@pytest.mark.parametrize("case", FILES, ids=lambda path: path.name)
def test_one_mistake_is_one_message(case: Path, tmp_path: Path) -> None:
    top = yaml.compose((case / "vjail.yml").read_text())
    lab = tmp_path / case.name
    for each in (*case.parent.iterdir(), *case.iterdir()):
        if each.name not in (case.name, "vjail.yml"):
            here = lab if each.parent == case else tmp_path
            here.mkdir(exist_ok=True)
            (here / each.name).symlink_to(each)
    lab.mkdir(exist_ok=True)
    found = {}
    for way, text in spoilt(top, top):
        (lab / "vjail.yml").write_text(text)
        if len(said := told(lab)) != 1:
            found[way] = said
    assert found == {}
