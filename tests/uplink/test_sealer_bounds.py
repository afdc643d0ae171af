"""The sealer: where the first seal lies, and batches below what is known to reach the hub."""

import random

import pytest

from edge_agent.model.reading import Reading, Tick
from edge_agent.wire.frame import encoded_size
from tests.sim.loop import run
from tests.uplink.sealing import Scene, ticks_in


@pytest.mark.parametrize(("first", "counts"), [(1.0, [10, 10, 10]), (0.5, [5, 10, 10]), (0.01, [1, 10, 10])])
def test_the_first_batch_is_cut_short_by_its_share_and_no_other(first: float, counts: list[int]) -> None:
    async def play() -> None:
        scene = Scene(first=first)
        async with scene.sealer:
            await scene.sample(35)
            assert [len(ticks_in(frame)) for frame in scene.buffer.frames][:3] == counts

    run(play())


@pytest.mark.parametrize("limit", [20_000, 100_000])
def test_under_a_limit_each_batch_is_smaller(limit: int) -> None:
    chance = random.Random(1)

    async def play() -> None:
        scene = Scene(every=600)

        def tick() -> Tick:
            readings = tuple(Reading(f"n{i}", chance.random(), "1", digits=9) for i in range(300))
            return Tick("car", scene.clock.now(), readings)

        async with scene.sealer:
            scene.limit = limit
            for _ in range(300):
                scene.sealer.take(tick())
                await scene.clock.sleep(1)
        sizes = [encoded_size(frame) for frame in scene.buffer.frames]
        assert len(sizes) > 2
        assert max(sizes) < limit
        assert sorted(sizes)[1] > limit / 4, "and not much smaller, but for the last"

    run(play())


def test_without_a_limit_a_batch_is_as_large_as_it_may() -> None:
    async def play() -> None:
        scene = Scene(every=600, most_bytes=4096)
        async with scene.sealer:
            scene.limit = 10**6
            for _ in range(100):
                scene.sealer.take(scene.tick(20))
                await scene.clock.sleep(1)
        assert all(encoded_size(frame) <= 2 * 4096 for frame in scene.buffer.frames)

    run(play())
