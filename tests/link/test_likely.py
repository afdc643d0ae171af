"""What a few exchanges make likely: never outside what is sure, and as near as the line lets it be."""

from collections.abc import Callable
from random import Random

import pytest

from edge_agent.link.likely import likely
from edge_agent.model.anchor import Anchor

_EVERY_MS = 10_000
_OFFSET = 1_000_000

Line = Callable[[Random], tuple[float, float]]


def _seen(line: Line, number: int, seed: int, crystal_ppm: float = 0) -> tuple[list[Anchor], Anchor]:
    """What so many exchanges say over a line of (request, answer) in ms, and what all say together at the end."""
    chance, end = Random(seed), (number - 1) * _EVERY_MS
    claims = []
    for at in range(0, number * _EVERY_MS, _EVERY_MS):
        there, back = line(chance)
        offset = _OFFSET + crystal_ppm * (at - end) / 1_000_000
        claims.append(Anchor(int(offset - back) - 1, int(offset + there) + 1, at))
    bounds = [claim.widened(end) for claim in claims]
    return claims, Anchor(max(each.lo for each in bounds), min(each.hi for each in bounds), end)


def _off(line: Line, number: int = 20, crystal_ppm: float = 0) -> tuple[list[float], list[float]]:
    """Ms by which `likely` is off over a hundred seeds, and by which the middle of what is sure is: in order."""
    seen = [_seen(line, number, seed, crystal_ppm) for seed in range(100)]
    ours = sorted(abs(likely(claims, within) - float(_OFFSET)) for claims, within in seen)
    return ours, sorted(abs((within.lo + within.hi) / 2 - _OFFSET) for _, within in seen)


def _wild(chance: Random) -> tuple[float, float]:
    return chance.uniform(20, 200), chance.uniform(20, 200)


def _bursty(chance: Random) -> tuple[float, float]:
    return 80 + chance.expovariate(1 / 40), 80 + chance.expovariate(1 / 40)


def _slow_there(chance: Random) -> tuple[float, float]:
    return 80 + chance.expovariate(1 / 80), 80 + chance.expovariate(1 / 8)


def _even(_: Random) -> tuple[float, float]:
    return 80, 80


def test_one_exchange_says_its_middle() -> None:
    assert likely([Anchor(100, 200, 5)], Anchor(100, 200, 5)) == 150


@pytest.mark.parametrize("line", [_wild, _bursty, _slow_there, _even])
@pytest.mark.parametrize("number", [1, 5, 12, 32])
def test_it_stays_inside_what_is_sure(line: Line, number: int) -> None:
    for seed in range(50):
        claims, within = _seen(line, number, seed, crystal_ppm=150)
        assert within.lo <= likely(claims, within) <= within.hi


@pytest.mark.parametrize("line", [_wild, _bursty])
def test_it_is_nearer_than_the_middle_by_a_quarter_where_a_line_varies(line: Line) -> None:
    ours, middles = _off(line)
    assert ours[98] < 0.75 * middles[98]
    assert sum(ours) < 0.75 * sum(middles)


def test_a_line_that_is_slow_one_way_pulls_it_no_further_than_the_middle() -> None:
    ours, middles = _off(_slow_there)
    assert ours[98] <= middles[98]


@pytest.mark.parametrize("crystal_ppm", [-50, 50])
def test_on_an_even_line_it_follows_a_usual_crystal(crystal_ppm: int) -> None:
    ours, _ = _off(_even, number=32, crystal_ppm=crystal_ppm)
    assert ours[-1] <= 3


def test_another_source_that_is_closer_counts_too() -> None:
    assert likely([Anchor(0, 400, 0)], Anchor(150, 200, 0)) == 175


def test_however_the_slow_ones_cluster_it_stays_inside_what_another_source_is_sure_of() -> None:
    slowest = [400] * 12
    claims = [Anchor(-size, size, 0) for size in [*range(100, 400, 50), *slowest]]
    assert likely(claims, Anchor(50, 60, 0)) == 50
