"""Bulk out on a slow line: what ends in the middle of a slice says how far it came, so that the next goes on there."""

from contextlib import aclosing
from typing import Any

import orjson
import pytest

from edge_agent.hub.logins import ACCESS_SECONDS
from tests.hub.deliveries import OFFSET, hub
from tests.hub.test_export import chunks, told
from tests.hub.test_layers import Device, short
from tests.sim.loop import run


@pytest.mark.parametrize("thinned", [False, True])
def test_a_line_too_slow_for_one_slice_comes_to_the_end_nevertheless(*, thinned: bool) -> None:
    async def scene() -> None:
        async with hub() as at:
            device = Device(range(0, 1301, 10))
            early = [short(device.thin(range(30)))] if thinned else []
            await at.results(*early, *device.whole(*range(30 * thinned, 130)))
            points, _ = await told(at, name="power")
            reached, parts = OFFSET - 5000, list[Any]()
            for _ in range(20):
                text, began = b"", at.now
                async with aclosing(chunks(at, name="power", start=str(reached))) as events:
                    async for chunk in events:
                        text += chunk
                        at.now += ACCESS_SECONDS * 1000 * 2 // 3
                *lines, end = map(orjson.loads, text.splitlines())
                assert at.now - began <= ACCESS_SECONDS * 1000 * 3, "it ended as soon as it had to"
                assert end["reached"] > reached
                parts += [point for point in lines if point["ts"] < end["reached"]]
                reached = end["reached"]
                if end["complete"]:
                    break
            assert end["complete"]
            key = orjson.dumps
            assert sorted(map(key, parts)) == sorted(map(key, points))

    run(scene())


def test_an_export_that_never_began_reached_nothing() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.store.write(lambda db: db.execute("ALTER TABLE frame RENAME TO elsewhere"))
            points, end = await told(at, start=str(-(2**53)))
            assert (points, end["complete"], end["reached"]) == ([], False, -(2**53))

    run(scene())
