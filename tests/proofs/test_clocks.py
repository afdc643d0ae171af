"""The short forms of the rows about time: a few histories, devices and refusals of each kind."""

from collections import Counter

import pytest

from tests.proofs.clock_plans import HUBS, LINES, drawn
from tests.proofs.clock_world import HOUR, MOST_DRIFT, MS, SECOND, Crystal, Stop
from tests.proofs.clocks import found_in, tell
from tests.proofs.exchanges import measured, unmet
from tests.proofs.skew import tried_once

_HISTORIES = 9


@pytest.mark.parametrize("part", range(4))
def test_true_time_lies_in_what_the_hub_tells_whatever_the_clocks_do(part: int) -> None:
    found = found_in(range(part * _HISTORIES, (part + 1) * _HISTORIES))
    assert not found.violations
    assert found.figures["judged"] > 100 * _HISTORIES
    assert f"{_HISTORIES} histories" in tell([found])


def test_a_few_answers_are_enough_to_know_the_time() -> None:
    assert not unmet([measured(range(1000))])


@pytest.mark.parametrize("scene", ["set right", "steps", "pause"])
def test_a_refused_time_costs_one_request_and_loses_nothing(scene: str) -> None:
    found = tried_once(scene, seed=1)
    assert not found.violations
    assert found.figures[f"{scene} refused"] <= 1


def test_histories_of_every_kind_are_drawn() -> None:
    plans = [drawn(seed) for seed in range(300)]
    traits = Counter(trait for plan in plans for trait in plan.traits)
    assert min(traits[f"hub {kind}"] for kind in HUBS) > 10
    assert min(traits[f"line {kind}"] for kind in LINES) > 10
    assert traits["stops"] > 100
    lengths = [stop.length for plan in plans for boot in plan.boots for stop in boot.crystal.stops]
    assert min(lengths) < 3 * MS
    assert max(lengths) > 24 * HOUR


def test_an_axis_that_stands_still_goes_on_where_it_stood() -> None:
    crystal = Crystal(1000, [(0, 0), (10 * SECOND, MOST_DRIFT)], [Stop(4 * SECOND, 2 * SECOND)])
    assert crystal.at(4 * SECOND) == crystal.at(5 * SECOND) == crystal.at(6 * SECOND) == 1000 + 4 * SECOND
    assert crystal.at(10 * SECOND) == 1000 + 8 * SECOND
    assert crystal.at(10 * SECOND + HOUR) == pytest.approx(1000 + 8 * SECOND + HOUR / 1.0002, abs=1)
    assert crystal.awake(5 * SECOND) == 6 * SECOND
    assert crystal.awake(6 * SECOND) == 6 * SECOND
