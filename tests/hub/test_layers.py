"""Layers: where frames of several resolutions tell the same readings, each is told once, by the finest that has it."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from edge_agent.hub.query import Options
from edge_agent.hub.store.frames import prune
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import FrameKind
from edge_agent.model.reading import Reading, Tick
from edge_agent.wire.batch import unzip
from edge_agent.wire.coarse import Coarsener, StandIn, stand_in_epoch
from tests.hub.deliveries import HUB_NOW, OFFSET, Hub, answer, batch, frame, hub
from tests.sim.loop import run

EPOCH = 0x77
TEN, SIXTY = 10_000, 60_000
SURE = Anchor(OFFSET - 10, OFFSET + 10, 0)
WHOLE = {"device": "car-3", "start": str(OFFSET), "stop": str(HUB_NOW), "width": "10000"}


def full(start: int, stop: int) -> bytes:
    """A batch of these seconds: a gauge and a counter, which both rise by one a second."""
    made = [
        Tick("gpu", beat * 1000, (Reading("power", beat, "W", digits=0), Reading("energy", beat, "J", kind="counter")))
        for beat in range(start, stop)
    ]
    return batch(made, anchor=SURE)


class Device:
    """A device's batches, by the seconds at which they begin and the last one ends, and what stands for them."""

    def __init__(self, cuts: Sequence[int]) -> None:
        self.bodies = [full(start, stop) for start, stop in pairwise(cuts)]

    def whole(self, *numbers: int) -> list[bytes]:
        """Full frames."""
        return [frame(EPOCH, seq, self.bodies[seq]) for seq in numbers]

    def thin(self, numbers: Iterable[int]) -> StandIn:
        """Short windows of these batches."""
        return coarsened([(((seq, seq + 1),), self.bodies[seq]) for seq in numbers], TEN)


def coarsened(made: Sequence[StandIn | tuple[Any, bytes]], window: int) -> StandIn:
    """What stands for these numbers and their payloads."""
    coarsener = Coarsener(EPOCH, window)
    for ranges, payload in made:
        coarsener.add(ranges, unzip(payload, 2**24))
    (one,) = coarsener.pack()
    return one


def short(made: StandIn) -> bytes:
    """The frame of short windows."""
    return frame(stand_in_epoch(EPOCH, TEN), made.ranges[0][0], made.payload, FrameKind.THINNED)


def long(*made: StandIn) -> bytes:
    """The frame of long windows made of short ones."""
    one = coarsened(made, SIXTY)
    return frame(stand_in_epoch(EPOCH, SIXTY), one.ranges[0][0], one.payload, FrameKind.THINNED)


async def told(at: Hub, name: str, **more: str) -> list[Any]:
    """The points of one series, as [seconds, value, min, max, count]."""
    found = await answer(at.history.query, **{**WHOLE, **more}, name=name)
    return [[(ts - OFFSET) / 1000, *rest] for series in found["series"] for ts, _, _, *rest in series["points"]]


def scene(*frames: bytes, name: str = "power", **more: str) -> list[Any]:
    """What is told once these frames have come, each in a request of its own."""
    points: list[Any] = []

    async def played() -> None:
        async with hub() as at:
            for one in frames:
                assert await at.results(one) == ["stored"]
            points.extend(await told(at, name, **more))

    run(played())
    return points


def singles(start: int, stop: int) -> list[Any]:
    """Readings of these seconds, as points."""
    return [[second, second, second, second, 1] for second in range(start, stop)]


TENS = Device(range(0, 130, 10))
EIGHTS = Device(range(0, 130, 8))


def test_a_window_of_which_all_readings_came_in_full_is_left_out_at_the_edge_of_a_run_too() -> None:
    points = scene(*TENS.whole(0, 1, 2), short(TENS.thin(range(6))))
    assert points == singles(0, 30) + [[10 * n + 5, 10 * n + 4.5, 10 * n, 10 * n + 9, 10] for n in (3, 4, 5)]


@pytest.mark.parametrize("late", [False, True])
def test_a_window_of_which_some_readings_came_in_full_is_told_with_the_rest(*, late: bool) -> None:
    full_ones, thinned = EIGHTS.whole(3, 4), short(EIGHTS.thin(range(10)))
    points = scene(*([thinned, *full_ones] if late else [*full_ones, thinned]))
    # Both frames are of the seconds from 24 up to 40.
    assert [25, 21.5, 20, 29, 4] in points
    assert [point for point in points if point[-1] == 1] == singles(24, 40)
    assert sum(point[-1] for point in points) == 80
    assert [point[0] for point in points if point[-1] == 10] == [5, 15, 45, 55, 65, 75]


def test_readings_that_share_a_window_but_are_not_of_its_numbers_take_nothing_from_it() -> None:
    points = scene(*EIGHTS.whole(0, 1, 2), short(EIGHTS.thin([3, 4, 5])))
    assert points == [*singles(0, 24), [25, 26.5, 24, 29, 6], [35, 34.5, 30, 39, 10], [45, 43.5, 40, 47, 8]]


@pytest.mark.parametrize("late", [False, True])
def test_short_windows_are_told_and_of_long_ones_only_the_rest(*, late: bool) -> None:
    known, more = TENS.thin(range(6)), TENS.thin(range(6, 12))
    frames = [short(known), long(known, more)]

    async def played() -> None:
        async with hub() as at:
            # In the other order the hub has all numbers already, and keeps nothing of what is finer but came later.
            results = [await at.results(one) for one in (frames[::-1] if late else frames)]
            assert results == [["stored"], ["duplicate" if late else "stored"]]
            points = await told(at, "power")
            assert sum(point[-1] for point in points) == 120
            assert points[-1] == [90, 89.5, 60, 119, 60]
            assert [point[0] for point in points] == ([30, 90] if late else [5, 15, 25, 35, 45, 55, 90])

    run(played())


def test_a_long_window_is_told_with_what_short_ones_and_full_frames_leave() -> None:
    first, second = EIGHTS.thin([0, 1, 2]), EIGHTS.thin([3, 4, 5, 6, 7])
    points = scene(short(first), *EIGHTS.whole(1, 4), long(first, second))
    by_start = {at: rest for at, *rest in points if rest[-1] != 1}
    assert by_start[5.0] == [3.5, 0, 9, 8]
    assert by_start[15.0] == [17.5, 10, 19, 4]
    assert by_start[25.0] == [21.5, 20, 23, 4]
    # Of the first minute the seconds from 24 to 31 and from 40 to 59 are left.
    assert by_start[30.0] == [round((sum(range(24, 32)) + sum(range(40, 60))) / 28, 2), 0, 59, 28]
    assert by_start[90.0] == [61.5, 60, 63, 4]
    assert sum(point[-1] for point in points) == 64


@pytest.mark.parametrize("late", [False, True])
def test_a_counters_reading_at_an_instant_is_told_once(*, late: bool) -> None:
    first, second = EIGHTS.thin([0, 1, 2]), EIGHTS.thin([3, 4, 5, 6, 7])
    thinned, full_ones = [short(first), long(first, second)], EIGHTS.whole(1, 2)
    seconds = [at for at, *_ in scene(*([*thinned, *full_ones] if late else [*full_ones, *thinned]), name="energy")]
    assert seconds == [0, *range(8, 24), 59, 63]


def test_one_window_of_two_stand_ins_with_the_same_numbers_is_told_once() -> None:
    points = scene(short(EIGHTS.thin(range(7))), short(EIGHTS.thin([6, 7])))
    assert sum(point[-1] for point in points) == 64
    assert [point[2:] for point in points if point[0] == 55] == [[50, 55, 6], [48 + 2, 59, 4]]


def test_beyond_the_most_layers_a_window_is_told_as_it_came() -> None:
    points = scene(*(short(TENS.thin(range(stop))) for stop in range(1, 11)))
    assert [count for at, *_, count in points if at == 5] == [10] * (1 + 10 - 8)
    assert [count for at, *_, count in points if at == 95] == [10]


def test_a_window_is_the_same_in_every_range_that_it_stands_in() -> None:
    first, second = EIGHTS.thin([0, 1, 2]), EIGHTS.thin([3, 4, 5, 6, 7])
    frames = [short(first), *EIGHTS.whole(1, 4), long(first, second)]
    points = scene(*frames)
    for start in (0, 9, 24, 25, 26, 30, 31):
        for stop in (32, 60, 91):
            asked = {"start": str(OFFSET + start * 1000), "stop": str(OFFSET + stop * 1000)}
            assert scene(*frames, **asked) == [point for point in points if start <= point[0] < stop]


def test_full_frames_whose_payload_is_gone_take_nothing_from_a_window() -> None:
    async def played() -> None:
        async with hub() as at:
            await at.results(*EIGHTS.whole(0, 1, 2))
            at.now += 1000
            await at.results(short(EIGHTS.thin(range(4))))
            assert [25, 26.5, 20, 29, 6] in await told(at, "power")
            await at.store.write(lambda db: prune(db, HUB_NOW + 1, 3))
            points = await told(at, "power")
            assert [count for *_, count in points] == [10, 10, 10, 2]

    run(played())


@pytest.mark.parametrize("work", [Options(most_frames=48), Options(most_points=3000)])
def test_an_answer_in_pieces_tells_each_reading_once(work: Options) -> None:
    device = Device(range(0, 9601, 96))
    parts = [device.thin(range(first, first + 20)) for first in range(0, 100, 20)]
    frames = [*map(short, parts[:3]), long(*parts), *device.whole(*range(0, 100, 2))]
    after = OFFSET + 9_600_000

    async def played() -> None:
        async with hub() as at:
            await at.results(*frames)
            whole = await told(at, "power")
            assert sum(point[-1] for point in whole) == 9600
        async with hub(work=work) as at:
            await at.results(*frames)
            points, start, turns = list[Any](), OFFSET, 0
            while start < after:
                asked = {**WHOLE, "start": str(start), "stop": str(after)}
                found = await answer(at.history.query, **asked, name="power")
                rows = [row for series in found["series"] for row in series["points"]]
                points += [[(ts - OFFSET) / 1000, *rest] for ts, _, _, *rest in rows if ts < found["reached"]]
                assert found["reached"] > start
                start, turns = found["reached"], turns + 1
            assert turns > 1
            assert points == whole

    run(played())


@pytest.mark.parametrize("seed", range(12))
def test_what_is_told_adds_up_to_what_was_sampled_whatever_came_of_it_and_in_which_order(seed: int) -> None:
    draw = Random(seed)
    cuts = [0]
    while cuts[-1] < 600:
        cuts.append(cuts[-1] + draw.randint(1, 25))
    device = Device(cuts)
    numbers = len(device.bodies)
    marks = sorted({0, numbers, *draw.sample(range(1, numbers), 4)})
    groups = [draw.sample(range(first, after), draw.randint(1, after - first)) for first, after in pairwise(marks)]
    shorts = [device.thin(sorted(group)) for group in groups]
    coarse = [part for part in shorts if draw.random() < 0.6] or shorts[:1]
    kept = [number for number in range(numbers) if draw.random() < 0.4]
    frames = [
        *(short(part) for part in shorts if draw.random() < 0.6),
        long(*coarse),
        *device.whole(*kept),
    ]
    draw.shuffle(frames)

    async def played() -> None:
        async with hub() as at:
            stored = [await at.results(one) for one in frames]
            assert {status for (status,) in stored} <= {"stored", "duplicate"}
            found = await at.audit(EPOCH)
            points = await told(at, "power")
            beats = {number: range(cuts[number], cuts[number + 1]) for number in range(numbers)}
            have = {*kept, *(n for part in coarse for a, b in part.ranges for n in range(a, b))}
            have |= {n for part in shorts if short(part) in frames for a, b in part.ranges for n in range(a, b)}
            assert found["stored"] + found["thinned"] == len(have)
            sampled = [beat for number in have for beat in beats[number]]
            assert sum(point[-1] for point in points) == len(sampled)
            assert sum(value * count for _, value, _, _, count in points) == pytest.approx(sum(sampled), abs=5)
            assert all(least <= value <= greatest for _, value, least, greatest, _ in points)
            seconds = [at for at, *_ in await told(at, "energy")]
            assert len(set(seconds)) == len(seconds)
            assert {beat for number in kept for beat in beats[number]} <= set(seconds) <= set(sampled)

    run(played())
