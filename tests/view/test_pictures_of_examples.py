"""The pictures in docs/pictures are those of the examples as they are now, and none of another."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SPEC = importlib.util.spec_from_file_location("pictures", ROOT / "tools" / "pictures.py")
assert SPEC is not None
assert SPEC.loader is not None
pictures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pictures)
DRAWN: dict[Path, str] = dict(pictures.drawn())


def test_there_are_pictures_of_the_examples_and_no_others() -> None:
    assert sorted(DRAWN) == sorted((ROOT / "docs" / "pictures").glob("*.svg"))


@pytest.mark.parametrize("file", DRAWN, ids=lambda file: file.stem)
def test_a_picture_is_up_to_date(file: Path) -> None:
    assert file.read_text() == DRAWN[file], "`make pictures` draws it anew"
