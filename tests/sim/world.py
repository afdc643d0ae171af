"""One device, its hub and the line between them, whole, from one seed: in virtual time, no socket, no thread.

    async with world(seed=3) as it:
        await it.passes(600)
        it.line.cut()
        ...
        await it.stop()

`World` is that device (`tests.sim.device`), and knows the hub's place as `station`. A scene that ends stops what still
runs. More machines with the same device id come by `cloned`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from edge_agent.hub.settings import Settings
from edge_agent.model.frame import FrameKind
from edge_agent.wire import record
from edge_agent.wire.batch import Batch, parse, unzip
from tests.hub.house import House, said
from tests.sim.clock import SimClock
from tests.sim.device import BOOT, DEVICE, RUNTIME, SPOOL, STATE, Device, Trust, Wishes
from tests.sim.disk import MemoryDisk
from tests.sim.line import Hear, Line, deaf
from tests.sim.station import Station
from tests.sim.wave import NAME as WAVE
from tests.sim.witness import Witness

__all__ = ["BOOT", "DEVICE", "RUNTIME", "SPOOL", "STATE", "WAVE", "World", "world"]

_MOST_BODY = 64 * 1024 * 1024


class World(Device):
    """See the module."""

    def __init__(self, station: Station, line: Line, chance: Random, wishes: Wishes, witness: Witness) -> None:
        keyring = station.house.hub.keyring
        trust = Trust(keyring.key_id, keyring.public)
        super().__init__(line, trust, station.house.key, chance, wishes, witness)
        self.station = station
        self.machines: list[Device] = [self]
        """Every machine of this device id, in the order in which they were made."""

    @property
    def house(self) -> House:
        """The hub, to be asked."""
        return self.station.house

    def cloned(self, image: MemoryDisk, chance: Random) -> Device:
        """Another machine with this disk, not started yet."""
        number = len(self.machines)
        clone = Device(self.line, self._trust, self.key.value, chance, self._wishes, self.witness, number)
        clone.put_back(image)
        self.machines.append(clone)
        return clone

    async def passes(self, seconds: float) -> None:
        """Let so much time go by; what breaks an agent or the hub is raised."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            alive = [machine._task for machine in self.machines if machine._task is not None]
            if not alive:
                await asyncio.sleep(left)
            elif (await asyncio.wait(alive, timeout=left, return_when=asyncio.FIRST_COMPLETED))[0]:
                break
        for machine in self.machines:
            machine.check()
        self.station.check()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that the hub answers an admin."""
        token = await self.house.let_in("ann", "admin")
        reply = await self.house.ask(method, path, body, token=token)
        assert reply.status < 300, reply.body
        return said(reply)

    async def audit(self) -> dict[str, Any]:
        """Where every number of this device is."""
        found: dict[str, Any] = await self.ask("GET", f"/api/v1/audit?device={DEVICE}")
        return found

    async def batches(self) -> list[Batch]:
        """Every telemetry batch that the hub stores, in the order of its axis times."""
        return [parse(body) for body in await self._bodies(FrameKind.TELEMETRY)]

    async def reports(self, kind: str) -> list[Mapping[str, Any]]:
        """Every report of this type that the hub stores, in order."""
        records = [record.parse(body).records for body in await self._bodies(FrameKind.REPORTS)]
        return [one for some in records for one in some if one["type"] == kind]

    async def ticks(self) -> Counter[int]:
        """The instants (axis ms) of the wave that the hub stores, and how often each is there."""
        batches = await self.batches()
        return Counter(
            at for batch in batches for track in batch.tracks if track.collector == WAVE for at in track.instants
        )

    async def check_whole(self) -> None:
        """All that this life sampled is stored, once; no number of any life is missing, held back or lost."""
        audit, ticks = await self.audit(), await self.ticks()
        for epoch in audit["epochs"]:
            assert (epoch["missing"], epoch["held"], epoch["lost"]) == (0, 0, {}), epoch
        assert set(ticks.values()) == {1}, "no tick is stored twice"
        own = [epoch["readings"] for epoch in audit["epochs"] if epoch["epoch"] == f"{self.agent.epoch:016x}"]
        assert own == [self.agent.tally.readings]

    async def _bodies(self, kind: FrameKind) -> list[bytes]:
        query = "SELECT payload FROM frame JOIN payload ON payload.frame = frame.id WHERE kind = ? ORDER BY first, seq"
        rows = await self.house.hub.store.read(lambda connection: connection.execute(query, (kind,)).fetchall())
        return [unzip(payload, _MOST_BODY) for (payload,) in rows]


@asynccontextmanager
async def world(
    seed: int = 1,
    series: int = 8,
    root: Path = Path("/nowhere"),
    pace: float = 0.0,
    hub_pace: float = 0.0,
    hear: Hear = deaf,
    witness: Witness | None = None,
    **sections: Mapping[str, Any],
) -> AsyncIterator[World]:
    """A hub that lives and a device whose agent runs; `sections` are its settings, as `seal={"every": "30s"}`.

    `pace` and `hub_pace` are how long one blocking call may take there, in seconds; `hear` is told every passage of the
    line.
    """
    clock = SimClock(axis="the hub's")
    line = Line(Random(f"line {seed}"), Settings().limits.body, clock.wall, hear)
    station = Station(line, clock, str(seed), hub_pace)
    await station.open()
    wishes = Wishes(series, root, pace, sections)
    one = World(station, line, Random(f"device {seed}"), wishes, witness or Witness())
    one.start()
    try:
        yield one
    finally:
        for machine in one.machines:
            await machine.stop()
        await station.close()
