"""docs/lab-file.md has every key; the JSON Schema and the loader agree. UPDATE_GOLDENS=1 writes the tables."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from vjail.lab.file import description
from vjail.lab.file.json_schema import json_schema
from vjail.lab.file.schema import Structure

HERE = Path(__file__).parent
PAGE = HERE.parent.parent.parent / "docs" / "lab-file.md"
_TABLE = re.compile(r"<!-- table of (\w+) -->\n(?:\|.*\n)*")


def table(found: re.Match[str]) -> str:
    kind = getattr(description, found[1])
    rows = [f"| `{name}` | {about} | {expects} |\n" for name, expects, about in Structure(kind, "").table()]
    escaped = [row.replace("|-", "\\|-") for row in rows]
    head = "| key | | may be |\n| --- | --- | --- |\n"
    return f"<!-- table of {found[1]} -->\n{head}{''.join(escaped)}"


def test_the_page_has_every_key() -> None:
    content = PAGE.read_text()
    made = _TABLE.sub(table, content)
    if os.environ.get("UPDATE_GOLDENS"):
        PAGE.write_text(made)
        content = made
    assert content == made


def plain(path: Path) -> Any:
    """A file without YAML 1.1's rules for scalars, which editors do not have."""
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)


@pytest.mark.parametrize("case", sorted((HERE / "right").iterdir()), ids=lambda case: case.name)
def test_the_schema_takes_what_the_loader_takes(case: Path) -> None:
    jsonschema.validate(plain(case / "vjail.yml"), json_schema())


FORMAL = ("unknown-keys", "not-a-mapping", "subnets")


@pytest.mark.parametrize("name", FORMAL)
def test_the_schema_refuses_what_has_the_wrong_form(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain(HERE / "wrong" / name / "vjail.yml"), json_schema())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
