"""When to ask a hub of whole seconds: where its answer says the most, and never long after one wanted to."""

from random import Random

import pytest

from edge_agent.link.timekeeper import Timekeeper
from edge_agent.link.turns import turn
from edge_agent.model.anchor import Anchor
from tests.link.truth import Truth, asked

_SLACK = 1000


def _of_second(second: int, sent_at: int, received_at: int) -> Anchor:
    """What a fresh stamp of this second says, widened by the slack."""
    return Anchor(second * 1000 - received_at - _SLACK, second * 1000 + 1000 - sent_at + _SLACK, received_at)


def test_a_stamp_is_wanted_at_the_turn_in_the_middle_of_what_is_open() -> None:
    claims = [_of_second(70, sent_at=5_000, received_at=5_100)]
    at = turn(claims, _SLACK, 8_000)
    lowest, highest = 70_000 - 5_100, 71_000 - 5_000
    assert (at + 50 + (lowest + highest) // 2) % 1000 == 0


@pytest.mark.parametrize("now", range(8_000, 9_100, 37))
def test_a_request_is_put_off_by_less_than_a_second(now: int) -> None:
    assert now <= turn([_of_second(70, 5_000, 5_100)], _SLACK, now) < now + 1000


def test_it_is_not_put_off_before_anything_is_known_nor_once_enough_is() -> None:
    claims = [_of_second(70 + each, 5_000 + 1000 * each, 5_100 + 1000 * each) for each in range(30)]
    assert turn([], _SLACK, 40_001) == 40_001
    assert turn(claims[:19], _SLACK, 40_001) > 40_001
    assert turn(claims[:20], _SLACK, 40_001) == 40_001


def test_nothing_is_aimed_at_stamps_that_contradict_each_other_if_fresh() -> None:
    assert turn([_of_second(70, 5_000, 5_100), _of_second(71, 9_000, 9_100)], _SLACK, 12_345) == 12_345


def _off(seed: int, *, aimed: bool) -> float:
    """Ms by which a device is off after twenty exchanges over a line whose ways take 20 to 200 ms."""
    chance = Random(seed)
    truth = Truth(ppm=chance.uniform(-50, 50))
    truth.go(chance.uniform(0, 1000))
    keeper = Timekeeper(truth)
    for _ in range(20):
        truth.go(chance.uniform(5_000, 15_000))
        if aimed:
            truth.go(keeper.turn() - truth.now())
        keeper.observe(asked(truth, chance, error=None))
    estimate = keeper.now()
    assert estimate is not None
    return abs(estimate - truth.true)


def test_twenty_aimed_exchanges_tell_the_time_to_a_tenth_of_a_second() -> None:
    aimed = sorted(_off(seed, aimed=True) for seed in range(200))
    by_chance = sorted(_off(seed, aimed=False) for seed in range(200))
    assert aimed[-1] < 100 < by_chance[-1]
    assert aimed[100] < by_chance[100]


def test_a_hub_that_states_its_time_is_asked_at_any_moment() -> None:
    truth = Truth()
    keeper = Timekeeper(truth)
    assert keeper.turn() == truth.now()
    keeper.observe(asked(truth, Random(1)))
    truth.go(4_321)
    assert keeper.turn() == truth.now()
