"""The JSON Schema of lab files, from the types that read them (draft 2020-12)."""

from __future__ import annotations

from vjail.lab.file.description import FILE
from vjail.lab.file.schema import Json


def json_schema() -> Json:
    """The schema. Editors use it to complete and to check; what it cannot say, reading the file says."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A vjail lab file",
        **FILE.json(),
    }
