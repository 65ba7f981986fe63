"""Lowest-free numbers against the obvious way to find them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vjail.kernel.core.numbers import Numbers


@given(st.integers(0, 3), st.lists(st.integers(0, 12) | st.none(), max_size=60))
def test_the_lowest_free_number_is_found_whatever_came_before(first: int, steps: list[int | None]) -> None:
    """A step takes the lowest number (None), or takes or gives back a certain one."""
    numbers, taken = Numbers(first), set[int]()
    for step in steps:
        lowest = next(number for number in range(first, 100) if number not in taken)
        assert numbers.lowest() == lowest
        wanted = lowest if step is None else first + step
        assert numbers.is_free(wanted) == (wanted not in taken)
        if wanted in taken:
            numbers.give_back(wanted)
            taken.remove(wanted)
        else:
            numbers.take(wanted)
            taken.add(wanted)
