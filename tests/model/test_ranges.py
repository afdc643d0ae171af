"""Ranges of numbers against plain sets."""

from collections.abc import Set as AbstractSet

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.ranges import Ranges, difference, holds, ranges_of, total, union

NUMBERS = st.sets(st.integers(0, 40))


def ranges(numbers: AbstractSet[int]) -> Ranges:
    """The one form of a set."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return tuple(found)


@given(NUMBERS, NUMBERS)
def test_ranges_are_sets(one: set[int], other: set[int]) -> None:
    mine, theirs = ranges_of(one), ranges_of(other)
    assert mine == ranges(one)
    assert union(mine, theirs) == ranges(one | other)
    assert difference(mine, theirs) == ranges(one - other)
    assert total(mine) == len(one)
    assert [holds(mine, number) for number in range(42)] == [number in one for number in range(42)]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))))
def test_ranges_in_any_order_and_overlapping_have_one_form(pairs: list[tuple[int, int]]) -> None:
    assert union(pairs) == ranges({number for first, after in pairs for number in range(first, after)})
