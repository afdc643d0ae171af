"""The walk of an export: what one slice costs does not grow with the square of how often a device began."""

import sqlite3

from edge_agent.hub.exportwalk import Places
from edge_agent.model.anchor import Anchor
from tests.hub.deliveries import OFFSET, batch, frame, hub, ticks
from tests.sim.loop import run

BOOTS = 20
DAY_MS = 86_400_000


def test_a_slice_over_many_boots_reads_the_claims_of_each_once() -> None:
    async def scene() -> None:
        async with hub() as at:
            for boot in range(BOOTS):
                sure = Anchor(OFFSET + boot * DAY_MS - 10, OFFSET + boot * DAY_MS + 10, 0)
                await at.results(frame(boot, 0, batch(ticks(0, 10), axis=f"boot-{boot}", anchor=sure)))
            asked: list[str] = []
            places = Places("car-3", 1000)

            def look(connection: sqlite3.Connection, length: int = BOOTS * DAY_MS) -> int:
                connection.set_trace_callback(asked.append)
                part = places.look(connection, OFFSET, OFFSET + length)
                connection.set_trace_callback(None)
                return len(part.found)

            assert await at.store.read(look) == BOOTS
            assert sum("SELECT lo" in statement for statement in asked) == BOOTS
            asked.clear()
            assert await at.store.read(lambda connection: look(connection, DAY_MS)) == 1
            assert sum("SELECT lo" in statement for statement in asked) == 1, "and then of those in the slice alone"

    run(scene())
