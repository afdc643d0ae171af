"""Anchors: what they bound, and on which side of themselves."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.anchor import Anchor, bounded

TIMES = st.integers(min_value=-(2**53), max_value=2**53)


def test_an_exchange_bounds_the_offset_by_when_it_left_and_came() -> None:
    assert bounded(50_000, 5, 0, 1_000, 1_040) == Anchor(50_000 - 5 - 1_040, 50_000 + 5 - 1_000, 1_040)
    assert bounded(50_000, 1_000, 1_000, 1_000, 1_040) == Anchor(47_960, 51_000, 1_040)


def test_bounds_widen_by_200_ppm_rounded_up() -> None:
    anchor = Anchor(10, 20, 1_000_000)
    assert [anchor.floor(1_000_000 + away) for away in (0, 1, 5_000, 5_001)] == [10, 9, 9, 8]
    assert [anchor.roof(1_000_000 - away) for away in (0, 1, 5_000, 5_001)] == [20, 21, 21, 22]


@given(TIMES, st.integers(0, 10_000), TIMES, TIMES)
def test_what_an_anchor_says_elsewhere_is_its_floor_and_its_roof(lo: int, width: int, at: int, there: int) -> None:
    anchor = Anchor(lo, lo + width, at)
    assert anchor.widened(there) == Anchor(anchor.floor(there), anchor.roof(there), there)
    assert anchor.floor(there) <= anchor.lo <= anchor.hi <= anchor.roof(there)
    assert anchor.widened(at) == anchor


def test_two_that_agree_narrow_each_other_at_the_later_time() -> None:
    one, two = Anchor(0, 100, 0), Anchor(50, 200, 10_000)
    assert one.narrowed(two) == two.narrowed(one) == Anchor(50, 102, 10_000)


def test_two_that_contradict_say_nothing_together() -> None:
    assert Anchor(0, 100, 0).narrowed(Anchor(103, 200, 10_000)) is None
    assert Anchor(0, 100, 0).narrowed(Anchor(102, 200, 10_000)) == Anchor(102, 102, 10_000)


def test_the_middle_is_no_further_from_the_bounds_than_the_error() -> None:
    for anchor in (Anchor(1, 4, 0), Anchor(-4, -1, 0), Anchor(2, 2, 0)):
        assert anchor.offset - anchor.error <= anchor.lo
        assert anchor.hi <= anchor.offset + anchor.error
