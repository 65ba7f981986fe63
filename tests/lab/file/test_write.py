"""Writing a lab file is the opposite of reading it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations import EXAMPLES, FOLDERS
from random_labs import lab_files
from vjail.lab.file.description import LabFile
from vjail.lab.file.load import Loaded, load
from vjail.lab.file.nodes import At, Place
from vjail.lab.file.schema import Entry
from vjail.lab.file.write import write

RIGHT = Path(__file__).parent / "right"


def read(text: str) -> LabFile:
    return whole(load(Path("x.yml"), lambda _: text.encode()))


def whole(loaded: Loaded) -> LabFile:
    loaded.problems.stop()
    return loaded.file


@pytest.mark.parametrize(
    "path", [*sorted(RIGHT.iterdir()), *(EXAMPLES / name for name in FOLDERS)], ids=lambda path: path.name
)
def test_what_is_written_says_the_same(path: Path) -> None:
    file = whole(load(path / "vjail.yml", Path.read_bytes))
    text = write(file)
    assert read(text) == file, text
    assert write(read(text)) == text


@settings(max_examples=50, deadline=None)
@given(lab_files())
def test_random_files_say_the_same(text: str) -> None:
    assert read(write(read(text))) == read(text)


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" \n\"'${}:#,-[]"), min_size=1))
def test_any_text_is_read_as_it_was(text: str) -> None:
    nowhere = Place("")
    file = LabFile(variables={"v": Entry(At("v", nowhere), At(text, nowhere))})
    found = read(write(file)).variables["v"].value.value
    assert found == text
