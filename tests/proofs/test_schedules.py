"""The row `schedules` in short: a few runs of each kind."""

from collections import Counter

import pytest

from tests.proofs.schedules import found_in, tell
from tests.sim.schedule import KINDS, Kind, kind_of, play

_SEEDS = 4


@pytest.mark.parametrize("kind", KINDS)
def test_no_schedule_loses_or_doubles_anything(kind: Kind) -> None:
    outcomes = [play(seed, kind) for seed in range(_SEEDS)]
    found = found_in(outcomes)
    assert not found.violations
    assert found.figures["sealed"] > 10 * _SEEDS
    assert f"{kind} {_SEEDS}" in tell([found])


def test_seeds_draw_their_kinds_evenly() -> None:
    drawn = Counter(kind_of(seed) for seed in range(10_000))
    assert all(850 < drawn[kind] < 1150 for kind in KINDS)
