"""The journals in state.db: in order, lasting when committed, whatever happened to a record in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vjail.server.store import Store


def _store(folder: Path) -> Store:
    return Store(folder / "state.db", lambda commit: None)


def _kept(folder: Path) -> list[tuple[str, dict[str, object]]]:
    """What another server would find."""
    return list(_store(folder).host("fbsd").records("jail"))


def test_what_is_not_committed_is_not_there(tmp_path: Path):
    store = _store(tmp_path)
    journal = store.host("fbsd")
    journal.put("jail", "1", {"name": "a"})
    store.commit()
    journal.put("jail", "1", {"name": "b"})
    journal.put("jail", "2", {"name": "c"})
    assert [key for key, _ in journal.records("jail")] == ["1", "2"]
    assert _kept(tmp_path) == [("1", {"name": "a"})]
    store.commit()
    assert _kept(tmp_path) == [("1", {"name": "b"}), ("2", {"name": "c"})]


def test_a_host_that_is_forgotten_leaves_nothing_and_others_stay(tmp_path: Path):
    store = _store(tmp_path)
    store.host("other").put("jail", "1", {})
    store.host("fbsd").put("jail", "1", {})
    store.forget("fbsd")
    store.host("fbsd").put("jail", "2", {})
    store.commit()
    assert _kept(tmp_path) == [("2", {})]
    assert [key for key, _ in _store(tmp_path).host("other").records("jail")] == ["1"]


def test_commit_is_asked_for_once(tmp_path: Path):
    asked: list[Callable[[], None]] = []
    store = Store(tmp_path / "state.db", asked.append)
    for number in range(3):
        store.host("fbsd").put("jail", str(number), {})
    assert len(asked) == 1
    asked[0]()
    store.host("fbsd").drop("jail", "1")
    assert len(asked) == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "drop", "commit"])), max_size=12))
def test_records_are_in_the_order_in_which_they_came(tmp_path_factory, steps: list[tuple[str, str]]):
    folder = tmp_path_factory.mktemp("store")
    store = _store(folder)
    journal = store.host("fbsd")
    expected: dict[str, dict[str, object]] = {}
    for number, (key, step) in enumerate(steps):
        match step:
            case "put":
                journal.put("jail", key, {"number": number})
                expected[key] = {"number": number}
            case "drop":
                journal.drop("jail", key)
                expected.pop(key, None)
            case _:
                store.commit()
    store.close()
    assert _kept(folder) == list(expected.items())
