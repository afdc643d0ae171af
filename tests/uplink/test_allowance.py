"""The pace, the purse and what one request may hold: sums over time."""

import pytest

from edge_agent.uplink.allowance import MOST_SAVED, TRICKLE, Pace, Purse
from edge_agent.uplink.portion import Portion


def test_a_request_goes_once_the_one_before_is_paid_off() -> None:
    pace = Pace(1000, 5_000)
    assert pace.free_at == 5_000
    pace.spend(6_000, 2_500)
    assert pace.free_at == 8_500
    pace.spend(8_500, 500)
    assert pace.free_at == 9_000


def test_nothing_is_saved_up_while_nothing_is_sent() -> None:
    pace = Pace(1000, 0)
    pace.spend(1_000_000, 1_000)
    assert pace.free_at == 1_001_000


def test_without_a_pace_nothing_waits() -> None:
    pace = Pace(None, 0)
    pace.spend(10, 10**9)
    assert (pace.free_at, pace.lump) == (0, None)


@pytest.mark.parametrize(("rate", "lump"), [(4096, 16_384), (10_000, 40_000), (262_144, 1_048_576)])
def test_a_slow_pace_makes_small_requests(rate: int, lump: int) -> None:
    assert Pace(rate, 0).lump == lump


def test_what_was_sent_in_vain_is_paid_back_by_time_alone() -> None:
    purse = Purse(0)
    purse.count(0, 0, MOST_SAVED + 1_000)
    assert purse.holds(0) == -1_000
    assert purse.holds_at(0, 0) == round(1_000 / TRICKLE * 1000)
    assert purse.holds(purse.holds_at(0, 0)) == 0


def test_what_was_settled_earns_as_much_and_the_purse_never_overflows() -> None:
    purse = Purse(0)
    purse.count(0, 0, 3_000)
    purse.count(0, 2_000, 0)
    assert purse.holds(0) == MOST_SAVED - 1_000
    purse.count(0, 10**9, 0)
    assert purse.holds(10**9) == MOST_SAVED


def test_no_size_is_beyond_what_the_purse_can_come_to() -> None:
    purse = Purse(0)
    purse.count(0, 0, MOST_SAVED)
    at = purse.holds_at(0, 10**12)
    assert purse.holds(at) == MOST_SAVED


def test_a_limit_is_lowered_by_what_was_too_much_and_raised_by_trust() -> None:
    portion = Portion(1_000_000, 500)
    portion.too_large(900_000, None)
    assert (portion.limit, portion.frame_limit) == (450_000, 450_000)
    portion.too_large(400_000, 100_000)
    assert (portion.limit, portion.frame_limit) == (100_000, 100_000)
    for _ in range(32):
        portion.settled(90_000, 1)
    assert (portion.limit, portion.frame_limit) == (200_000, 100_000), "nobody seals what is not known to pass"
    portion.settled(150_000, 3)
    assert portion.frame_limit == 150_000
    portion.settled(600_000, 3)
    assert portion.frame_limit is None


def test_a_named_limit_that_cannot_be_is_halved_instead() -> None:
    portion = Portion(1_000_000, 500)
    portion.too_large(10_000, 20_000)
    assert portion.limit == 5_000
    portion.too_large(1, None)
    assert (portion.limit, portion.frame_limit) == (1, 4096)


def test_failures_halve_the_appetite_and_full_requests_double_it() -> None:
    portion = Portion(1_000_000, 500)
    for left in (250, 125, 62):
        portion.failed(portion.appetite)
        assert portion.appetite == left
    portion.settled(10, 61)
    assert portion.appetite == 62
    portion.settled(10, 62)
    assert portion.appetite == 124
    portion.probe()
    assert portion.appetite == 1
