"""The sampler's grid, and what a collector that hangs, raises or gives rubbish costs; in virtual time."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import pytest

from edge_agent.kit.scopes import running
from edge_agent.model.reading import Missed, Reading, Tick
from edge_agent.uplink.sampler import Sampler, Schedule
from tests.sim.clock import SimClock
from tests.sim.loop import run
from tests.sim.offload import InlineOffload
from tests.uplink.plain import board, note, state

SIDE = {"side": "left"}
ODD: Any = Reading
"""For what no type checker would let pass."""


class Plain:
    """A collector that gives what a function gives for the number of the call."""

    def __init__(self, give: Callable[[int], Any]) -> None:
        self._give = give
        self.calls = 0

    def collect(self) -> Iterable[Reading]:
        self.calls += 1
        given: Iterable[Reading] = self._give(self.calls)
        return given


def steady(call: int) -> Iterator[Reading]:
    yield Reading("n", call, "1", SIDE)


class Scene:
    """A sampler and what it gave. The axis starts 200 ms before a whole second."""

    def __init__(self, *schedules: Schedule, most: float = 0.0, since: Mapping[str, int] | None = None) -> None:
        self.clock = SimClock(start=1_000_800)
        self.offload = InlineOffload(random.Random(1), most)
        self.lamps = board(self.clock)
        self.ticks: list[Tick] = []
        self.missed: list[Missed] = []
        self.sampler = self.turn(*schedules, since=since)

    def turn(self, *schedules: Schedule, since: Mapping[str, int] | None = None) -> Sampler:
        """A sampler of other schedules that gives to the same lists."""
        take, miss = self.ticks.append, self.missed.append
        return Sampler(schedules, self.clock, self.offload, self.lamps, take, miss, since)

    def ats(self, collector: str = "a") -> list[int]:
        return [tick.at for tick in self.ticks if tick.collector == collector]


def schedule(collector: Plain, name: str = "a", interval: float = 1.0, timeout: float = 5.0) -> Schedule:
    return Schedule(name, collector, interval, timeout)


def test_beats_lie_at_multiples_of_the_interval() -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(steady)), schedule(Plain(steady), "b", 0.25))
        async with running(it.sampler):
            await asyncio.sleep(3)
        assert it.ats() == [1_001_000, 1_002_000, 1_003_000]
        assert it.ats("b") == list(range(1_001_000, 1_003_751, 250))
        assert it.missed == []

    run(scene())


def test_a_collector_whose_first_beat_is_far_is_asked_at_once_too() -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(steady), interval=60))
        async with running(it.sampler):
            await asyncio.sleep(100)
        assert it.ats() == [1_000_800, 1_020_000, 1_080_000]

    run(scene())


def test_beats_never_drift_when_collectors_take_their_time() -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(steady)), most=0.49)
        async with running(it.sampler):
            await asyncio.sleep(50.15)
        await asyncio.sleep(1)
        assert it.ats() == list(range(1_001_000, 1_051_000, 1000))

    run(scene())


def test_what_was_read_long_after_its_beat_is_not_told_as_of_it() -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(steady)), most=0.9)
        async with running(it.sampler):
            await asyncio.sleep(50.15)
        await asyncio.sleep(1)
        late = [missed for missed in it.missed if missed.cause == "stalled"]
        assert 10 < len(late) < 40
        assert len(it.ats()) + len(late) == 50
        assert len(late) == len(it.missed)

    run(scene())


def test_a_stall_is_counted_and_never_followed_by_a_burst() -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(steady)), schedule(Plain(steady), "b"))
        async with running(it.sampler):
            await asyncio.sleep(1)
            it.clock.suspend(7.2)
            await asyncio.sleep(1.9)
        assert it.missed == [Missed("a", 7, "stalled"), Missed("b", 7, "stalled")]
        assert it.ats() == [1_001_000, 1_009_200, 1_010_000]

    run(scene())


def test_a_collector_that_hangs_costs_its_own_readings_and_is_not_asked_again_until_it_returned() -> None:
    async def scene() -> None:
        slow, quick = Plain(steady), Plain(steady)
        it = Scene(schedule(slow, timeout=2), schedule(quick, "b"))
        async with running(it.sampler):
            await asyncio.sleep(1)
            it.offload.hang("collector.a")
            await asyncio.sleep(1)
            assert state(it.lamps, "collector.a") == "ok"
            await asyncio.sleep(8)
            assert state(it.lamps, "collector.a") == "fail"
            assert "did not return within 2 s" in note(it.lamps, "collector.a")
            it.offload.free("collector.a")
            await asyncio.sleep(1)
            calls = slow.calls
            assert state(it.lamps, "collector.a") == "ok"
        assert it.ats("b") == list(range(1_001_000, 1_012_000, 1000))[: len(it.ats("b"))]
        assert len(it.ats("b")) == 11
        assert it.ats() == [1_001_000, 1_011_000]
        assert calls == 3
        beats = sum(missed.beats for missed in it.missed)
        assert {(missed.collector, missed.cause) for missed in it.missed} == {("a", "hung")}
        assert beats + len(it.ats()) == len(it.ats("b"))

    run(scene())


def test_a_collector_that_raises_costs_its_own_readings_and_is_asked_again() -> None:
    def failing(call: int) -> Iterator[Reading]:
        yield from steady(call)
        if call in {2, 3}:
            raise PermissionError(13, "not for you")

    async def scene() -> None:
        it = Scene(schedule(Plain(failing)), schedule(Plain(steady), "b"))
        async with running(it.sampler):
            await asyncio.sleep(2)
            assert state(it.lamps, "collector.a") == "warn"
            assert "PermissionError" in note(it.lamps, "collector.a")
            await asyncio.sleep(2)
            assert state(it.lamps, "collector.a") == "ok"
        assert it.ats() == [1_001_000, 1_004_000]
        assert it.missed == [Missed("a", 1, "failed")] * 2
        assert len(it.ats("b")) == 4

    run(scene())


@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        [None],
        [("n", 1, "1")],
        [ODD("n", "1", "1")],
        [ODD("n", [1], "1")],
        [ODD(None, 1, "1")],
        [ODD("n", 1, "1", None)],
        [ODD("n", 1, "1", {"a": 1})],
        [ODD("n", 1, "1", {1: "a"})],
        [ODD("n", 1, "1", SIDE, "rate")],
        [ODD("n", 1, "1", SIDE, [])],
        [ODD("n", 1, "1", SIDE, "gauge", "2")],
        [ODD("n", None, "1", SIDE, "gauge", 0, "", 7)],
    ],
)
def test_what_is_no_reading_counts_as_a_failure(given: Any) -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(lambda _call: given)))
        async with running(it.sampler):
            await asyncio.sleep(2)
        assert it.ticks == []
        assert it.missed == [Missed("a", 1, "failed")] * 2

    run(scene())


def test_texts_that_utf8_cannot_hold_are_mended_and_odd_numbers_become_plain() -> None:
    class Ratio(float):
        """A number of another library."""

    odd = Reading("n", Ratio(0.5), "1", {"disk": "a\udcff"}, source="/x\udcff")
    plain = Reading("n", 0.5, "1", {"disk": "a?"}, source="/x?")

    async def scene() -> None:
        it = Scene(schedule(Plain(lambda call: [odd, odd._replace(value=float(call))])))
        async with running(it.sampler):
            await asyncio.sleep(2)
        assert [tick.readings for tick in it.ticks] == [(plain, plain._replace(value=n)) for n in (1.0, 2.0)]
        assert type(it.ticks[0].readings[0].value) is float

    run(scene())


def test_a_reason_that_is_no_text_is_noticed_later_too() -> None:
    async def scene() -> None:
        why: list[Any] = ["", "EAGAIN", 7]
        it = Scene(schedule(Plain(lambda call: [Reading("n", None, "1", SIDE, reason=why[call])])))
        async with running(it.sampler):
            await asyncio.sleep(2)
        assert len(it.ticks) == 1
        assert it.missed == [Missed("a", 1, "failed")]

    run(scene())


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
def test_a_collector_that_would_end_the_agent_counts_as_a_failure(end: BaseException) -> None:
    def ending(_call: int) -> Iterator[Reading]:
        raise end

    async def scene() -> None:
        it = Scene(schedule(Plain(ending)), schedule(Plain(steady), "b"))
        async with running(it.sampler):
            await asyncio.sleep(2)
            assert type(end).__name__ in note(it.lamps, "collector.a")
        assert it.missed == [Missed("a", 1, "failed")] * 2
        assert len(it.ats("b")) == 2

    run(scene())


@pytest.mark.parametrize(
    ("given", "value", "reason"),
    [
        (2**63 - 1, 2**63 - 1, None),
        (2**63, float(2**63), None),
        (-(2**70), -float(2**70), None),
        (10**400, None, "too_large"),
        (-(10**400), None, "too_large"),
        (Fraction(10**400), None, "too_large"),
    ],
)
def test_a_number_that_json_cannot_hold_becomes_one_that_it_can(
    given: Any, value: float | None, reason: str | None
) -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(lambda call: [Reading("n", given if call > 1 else 0, "1", SIDE)])))
        async with running(it.sampler):
            await asyncio.sleep(2.5)
        assert it.ticks[1].readings == (Reading("n", value, "1", SIDE, reason=reason),)
        assert type(it.ticks[1].readings[0].value) is type(value)
        assert it.missed == []

    run(scene())


# Samplers that take over from one another.


def accounted(it: Scene, collector: str = "a") -> int:
    """Beats that gave a tick or were counted."""
    return len(it.ats(collector)) + sum(missed.beats for missed in it.missed if missed.collector == collector)


@pytest.mark.parametrize(("gap", "lost"), [(0.0, 0), (0.4, 0), (0.6, 0), (5.0, 4), (5.4, 5), (5.9, 5)])
def test_beats_between_two_samplers_are_counted(gap: float, lost: int) -> None:
    """What is asked at once stands for the last beat in between; when there was none it is one more."""

    async def scene() -> None:
        it = Scene(schedule(Plain(steady)), schedule(Plain(steady), "gone"))
        async with running(it.sampler):
            await asyncio.sleep(3.7)
        await asyncio.sleep(gap)
        turned = it.turn(schedule(Plain(steady)), schedule(Plain(steady), "new"), since=it.sampler.counted)
        async with running(turned):
            await asyncio.sleep(10)
        until = it.clock.now() // 1000 - 1000
        assert it.missed == ([Missed("a", lost, "stalled")] if lost else [])
        assert accounted(it) == until + (gap == 0)

    run(scene())


def test_beats_between_two_samplers_are_counted_on_the_new_grid() -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(steady)))
        async with running(it.sampler):
            await asyncio.sleep(3.7)
        await asyncio.sleep(60)
        async with running(it.turn(schedule(Plain(steady), interval=10), since=it.sampler.counted)):
            await asyncio.sleep(5)
        assert it.missed == [Missed("a", 5, "stalled")]

    run(scene())


@pytest.mark.parametrize("gap", [0.05, 0.3, 2.95, 3.3])
def test_a_beat_that_was_at_work_when_its_sampler_was_left_is_accounted_for(gap: float) -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(steady)))
        async with running(it.sampler):
            await asyncio.sleep(3)
            it.offload.hang("collector.a")
            await asyncio.sleep(0.6)
        it.offload.free("collector.a")
        await asyncio.sleep(gap)
        async with running(it.turn(schedule(Plain(steady)), since=it.sampler.counted)):
            await asyncio.sleep(3.15)
        assert accounted(it) == it.clock.now() // 1000 - 1000

    run(scene())


def test_a_collector_that_hung_when_its_sampler_was_left_is_counted_once_a_beat() -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(steady), timeout=60))
        async with running(it.sampler):
            await asyncio.sleep(1)
            it.offload.hang("collector.a")
            await asyncio.sleep(4)
        assert it.missed == [Missed("a", 1, "hung")] * 4
        assert it.sampler.counted == {"a": 1_005_000}
        it.offload.free("collector.a")
        async with running(it.turn(schedule(Plain(steady)), since=it.sampler.counted)):
            await asyncio.sleep(0.1)
        assert it.missed == [Missed("a", 1, "hung")] * 4

    run(scene())


def test_leaving_releases_workers_and_takes_lamps_away() -> None:
    async def scene() -> None:
        it = Scene(schedule(Plain(steady)), schedule(Plain(steady), "b"))
        async with running(it.sampler):
            await asyncio.sleep(1)
            assert len(it.offload.workers) == 2
            assert state(it.lamps, "collector.b") == "ok"
        assert it.offload.workers == []
        assert it.lamps.all() == ()

    run(scene())


def test_the_same_seed_gives_the_same_ticks() -> None:
    async def scene() -> list[Tick]:
        it = Scene(*(schedule(Plain(steady), name, 0.5) for name in "abc"))
        async with running(it.sampler):
            await asyncio.sleep(10)
        return it.ticks

    assert run(scene(), seed=5) == run(scene(), seed=5)
