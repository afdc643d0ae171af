"""The reckoning of real processes: it sees what is nowhere, what is twice, and what nobody gave."""

import pytest

from tests.proofs.real import Reckoning, reckoned

WHOLE = [{"epoch": "7", "lane": "telemetry", "missing": 0, "held": 0, "next": 3, "lost": {}}]


def test_what_was_given_and_is_stored_once_is_right() -> None:
    assert reckoned("d", WHOLE, range(10), 10, ends=[10], missed=0) == Reckoning([], 10, 0, 0, 0)


def test_the_last_beat_of_a_life_may_be_in_hand() -> None:
    found = reckoned("d", WHOLE, [0, 1, 2, 4, 5], 7, ends=[4, 7], missed=0)
    assert (found.violations, found.in_hand) == ([], 2)


def test_as_many_beats_may_be_nowhere_as_were_declared_missed_and_no_more() -> None:
    assert not reckoned("d", WHOLE, [0, 3, 4], 5, ends=[5], missed=2).violations
    assert reckoned("d", WHOLE, [0, 4], 5, ends=[5], missed=2).violations


@pytest.mark.parametrize("numbers", [[0, 1, 1, 2], [0, 1, 2, 3], [0, 2]], ids=["twice", "never given", "nowhere"])
def test_a_beat_that_is_wrong_is_told(numbers: list[int]) -> None:
    assert len(reckoned("d", WHOLE, numbers, 3, ends=[3], missed=0).violations) == 1


def test_a_number_that_the_hub_misses_is_told() -> None:
    gap = [{**WHOLE[0], "missing": 1, "missing_ranges": [[1, 1]]}]
    assert len(reckoned("d", gap, range(3), 3, ends=[3], missed=0).violations) == 1
