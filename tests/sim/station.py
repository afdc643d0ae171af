"""A hub's place: the data, and the hub that serves it, which may be killed, started again, and put back to a copy.

The hub is the real one but for its rim, with its database in memory. Work on the database is done in one go, so at
every instant at which a scene can act the data are what was committed and nothing else: `kill` takes them as they are,
ends whatever the hub was doing, and `start` gives a new hub the same data. A hub that was put back to an older copy
knows nothing of what it said since, and begins a new epoch of its journal.
"""

import asyncio
import sqlite3
from random import Random

import anyio

from edge_agent.hub.settings import Settings
from edge_agent.hub.store import engine
from edge_agent.hub.wiring import Hub
from edge_agent.kit.scopes import running
from tests.hub.house import House
from tests.sim.clock import SimClock
from tests.sim.line import Line
from tests.sim.offload import InlineOffload


class Station:
    """See the module. `house` is the hub as tests know it; `pace` is how many seconds one blocking call may take."""

    def __init__(self, line: Line, clock: SimClock, seed: str, pace: float) -> None:
        self._line, self._clock, self._seed, self._pace = line, clock, seed, pace
        self._lives = 0
        self._task: asyncio.Task[None] | None = None
        self._left: sqlite3.Connection | None = None
        self.house = House(self._hub(), clock)

    async def open(self) -> None:
        """Begin with an empty database, a device and two people."""
        hub = self.house.hub
        await hub.open()
        await self.house.furnish()
        self._serve(hub)

    @property
    def data(self) -> sqlite3.Connection:
        """The database, to be looked at: that of the hub that serves, or what the last one left."""
        connection = self._left or self.house.hub.store._connection
        assert connection is not None, "the hub is open"
        return connection

    @property
    def up(self) -> bool:
        """Whether a hub answers."""
        return self._task is not None

    def copy(self) -> sqlite3.Connection:
        """The data as they are at this instant."""
        copy = engine.connect(None, None)
        self.data.backup(copy)
        return copy

    async def kill(self) -> None:
        """End the hub's process; the data are what it had committed."""
        self._left = self.copy()
        self._line.sever()
        task, self._task = self._task, None
        assert task is not None, "a hub serves"
        task.cancel()
        await asyncio.wait([task])
        await self.house.hub.close()

    async def start(self) -> None:
        """Another hub on the data that the last one left."""
        hub = self._hub()
        hub.store._connection, self._left = self._left, None
        self.house.hub = hub
        await hub.open()
        self._serve(hub)

    async def restore(self, backup: sqlite3.Connection) -> None:
        """Go on from an older copy, as an operator does who restores a backup. No hub serves meanwhile."""
        self.data.close()
        self._line.forget()
        backup.execute("DELETE FROM hub_secret WHERE name = 'epoch'")
        self._left = backup
        await self.start()

    async def close(self) -> None:
        """End the hub as its service manager would."""
        hub, task = self.house.hub, self._task
        hub.part()
        await self._line.close()
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await hub.close()

    def check(self) -> None:
        """Raise what broke the hub, if something did."""
        if self._task is not None and self._task.done():
            self._task.result()
            raise AssertionError("the hub ended by itself")

    def _hub(self) -> Hub:
        self._lives += 1
        chance = Random(f"hub {self._seed} {self._lives}")
        offload = InlineOffload(chance if self._pace else None, self._pace)
        return Hub(Settings(clock_error=0.1), self._clock, chance, offload)

    def _serve(self, hub: Hub) -> None:
        self._line.router = hub.router
        self._task = asyncio.ensure_future(_live(hub))


async def _live(hub: Hub) -> None:
    async with running(hub):
        await anyio.sleep_forever()
