"""A collector that never told anything is seldom woken, is asked as often all the same, and is heard once it tells."""

import asyncio
from collections.abc import Iterable
from itertools import pairwise

import pytest

from edge_agent.kit.scopes import running
from edge_agent.model.reading import Missed, Reading, Tick
from edge_agent.uplink.sampler import Sampler, Schedule
from tests.sim.clock import SimClock
from tests.sim.loop import run
from tests.sim.offload import InlineOffload
from tests.uplink.plain import board


class Later:
    """Tells nothing until it was asked so often; then a reading each time but for the `silent` ones."""

    def __init__(self, first: int, silent: Iterable[int] = ()) -> None:
        self._first, self._silent = first, frozenset(silent)
        self.calls = 0

    def collect(self) -> Iterable[Reading]:
        self.calls += 1
        return [] if self.calls < self._first or self.calls in self._silent else [Reading("n", self.calls, "1")]


def ticks_of(collector: Later, seconds: float, interval: float = 1.0) -> list[Tick]:
    """What it told so long; no beat of it was missed."""
    ticks, missed = list[Tick](), list[Missed]()

    async def scene() -> None:
        clock = SimClock(start=1_000_800)
        schedule = Schedule("later", collector, interval, 5.0)
        async with running(Sampler([schedule], clock, InlineOffload(), board(clock), ticks.append, missed.append)):
            await asyncio.sleep(seconds)

    run(scene())
    assert not missed
    return ticks


def test_one_that_tells_nothing_is_woken_every_ten_seconds_and_asked_for_every_beat() -> None:
    collector = Later(10_000)
    ats = [tick.at for tick in ticks_of(collector, 120.5)]
    assert ats[:3] == [1_001_000, 1_002_000, 1_003_000]
    assert {after - before for before, after in pairwise(ats[3:])} == {10_000}
    assert abs(collector.calls - 120) <= 10


def test_one_that_begins_to_tell_is_heard_within_ten_seconds_and_at_every_beat_from_then_on() -> None:
    ticks = ticks_of(Later(31, silent=range(40, 60)), 90.5)
    told = [tick.at for tick in ticks if tick.readings]
    assert told[0] <= 1_001_000 + 40_000
    after = [tick.at for tick in ticks if tick.at >= told[0]]
    assert {later - before for before, later in pairwise(after)} == {1000}
    assert [len(tick.readings) for tick in ticks if tick.at >= told[0]].count(0) == 20


@pytest.mark.parametrize("interval", [0.01, 10.0, 60.0])
def test_no_more_beats_are_made_up_for_than_were_rested_through(interval: float) -> None:
    collector = Later(10**9)
    ticks_of(collector, 300.5, interval)
    beats = 300.5 / interval
    assert beats * 0.9 - 10 <= collector.calls <= beats + 102, "the first rest may be a short one"
