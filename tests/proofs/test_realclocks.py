"""Short form of the row `realclocks`: two steps of the time of day; and that what is wrong in a scene is found."""

from collections.abc import Sequence

import pytest

from tests.proofs.real_time import Placed, Said, Scene, disorder, gaps, untrue
from tests.proofs.real_wrongs import YEAR, lacking_faketime
from tests.proofs.realclocks import prove_some_steps

_LACKS = lacking_faketime()
SEEN = [(1_000, 1_005), (1_100, 1_105), (1_200, 1_205)]
SCENE = Scene(given=3, seen=SEEN, ends=[3], period=100, lag=20)


def told(*times: int, error: int | None = 10) -> dict[int, Said]:
    return {number: Said(ts, error, "anchored") for number, ts in enumerate(times)}


def stands(*instants: int) -> Sequence[Placed]:
    return [Placed(number, "axis", at) for number, at in enumerate(instants)]


def test_true_times_in_order_and_without_a_gap_are_right() -> None:
    said, placed = told(1_000, 1_100, 1_200), stands(0, 100, 200)
    assert not untrue(said, SCENE)
    assert not disorder(placed, said, steady=True)
    assert not gaps(placed, SCENE, declared=0)


@pytest.mark.parametrize("wrong", [1_116, 1_069, 9_000_000, -9_000_000])
def test_a_time_that_is_off_by_more_than_its_error_is_found(wrong: int) -> None:
    assert untrue(told(1_000, wrong, 1_200), SCENE)


def test_beats_that_are_all_told_a_little_early_are_found() -> None:
    assert untrue(told(985, 1_085, 1_185), SCENE)


def test_an_unknown_error_claims_nothing_but_is_no_anchored_time() -> None:
    approximate = {0: Said(5, None, "approximate")}
    assert untrue(approximate, SCENE)
    assert not untrue(approximate, Scene(3, SEEN, [3], 100, 20, unseen=True))


def test_a_changed_interval_is_found_unless_the_axis_stood_still_and_a_fall_always() -> None:
    assert disorder(stands(0, 100), told(1_000, 1_101), steady=True)
    assert not disorder(stands(0, 100), told(1_000, 1_101), steady=False)
    assert disorder(stands(0, 100), told(1_000, 999), steady=False)


def test_an_empty_beat_within_a_life_is_a_gap_unless_it_was_declared() -> None:
    placed = stands(0, 100, 300)
    assert gaps(placed, SCENE, declared=0)
    assert not gaps(placed, SCENE, declared=1)
    assert not gaps(placed, Scene(3, SEEN, [2, 3], 100, 20), declared=0)


@pytest.mark.skipif(bool(_LACKS), reason=_LACKS)
def test_no_step_of_the_time_of_day_moves_a_reading_or_loses_one() -> None:
    found = prove_some_steps([10 * YEAR, -3_600])
    assert not found.violations, "\n".join(found.violations)
