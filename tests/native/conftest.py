"""The native programs under test: those that were shipped, and where a compiler is, the same built here and now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from native_support import Programs, System, programs_of, system_at, varieties


@pytest.fixture(scope="session", params=varieties())
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return programs_of(request.param, tmp_path_factory.mktemp("built"))


@pytest.fixture
def system(programs: Programs, tmp_path: Path) -> Iterator[System]:
    made = system_at(tmp_path / "system", programs)
    yield made
    made.close()
