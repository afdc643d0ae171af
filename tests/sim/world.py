"""One device, its hub and the line between them, whole, from one seed: in virtual time, no socket, no thread.

    async with world(seed=3) as it:
        await it.passes(600)
        it.line.cut()
        ...
        await it.stop()

The hub is the real one but for its rim, with its database in memory; the agent is the real one but for its ports. The
device's wall clock starts in 1970: all it ever knows of true time it learns from the hub. It samples the collector
`tests.sim.wave` only. The agent can end in three ways: `stop` as by SIGTERM, `kill` as by SIGKILL, `crash` as by a
power cut; and begin again with `start`, on the disk that it left. A scene that ends stops what still runs.
"""

import asyncio
import copy
import pkgutil
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import anyio

import edge_agent.collectors
from edge_agent.agent.agent import Agent
from edge_agent.agent.logs import Log
from edge_agent.agent.machine import Ports
from edge_agent.config.load import load
from edge_agent.config.settings import Hub as HubSection
from edge_agent.hub.settings import Settings
from edge_agent.hub.wiring import Hub
from edge_agent.kit.notify import Notifier
from edge_agent.kit.scopes import running
from edge_agent.link.keyfile import GivenKey, Key
from edge_agent.model.frame import FrameKind
from edge_agent.model.lamp import Lamp
from edge_agent.model.ports import Host, TrueTime
from edge_agent.wire import record
from edge_agent.wire.batch import Batch, parse, unzip
from tests.hub.house import House, said
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.sim.link import Line, SimLink
from tests.sim.offload import InlineOffload

DEVICE = "car-1"
WAVE = "tests.sim.wave"
STATE = Path("/var/lib/edge-agent")
RUNTIME = Path("/run/edge-agent")

BOOT = 100_000_000
"""Axis ms between the beginnings of two boots: ticks of all boots are told apart by their instants alone."""
_MOST_BODY = 64 * 1024 * 1024


class PocketKey:
    """A key that a scene may change. The port `Key`."""

    def __init__(self, value: str) -> None:
        self.value = self._told = value

    def read(self) -> str:
        return GivenKey(self.value).read()

    def changed(self) -> bool:
        before, self._told = self._told, self.value
        return before != self.value


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a scene wants to be different; `pace` is how long one blocking call may take, in seconds."""

    series: int
    root: Path
    pace: float
    sections: Mapping[str, Mapping[str, Any]]


class NotedLog(Log):
    """A log that writes nothing and notes the lamps."""

    def __init__(self, lamps: list[Lamp]) -> None:
        super().__init__("error")
        self._lamps = lamps

    def begun(self, device: str, hub: str, collectors: int) -> None:
        """Write nothing."""

    def lamp(self, lamp: Lamp) -> None:
        self._lamps.append(lamp)


class World:
    """See the module."""

    def __init__(self, house: House, line: Line, chance: Random, wishes: "Wishes") -> None:
        self.house, self.line = house, line
        self._chance, self._wishes = chance, wishes
        self._boots = 1
        self.clock = SimClock(wall=0)
        self.disk = MemoryDisk()
        self.key = PocketKey(house.key)
        self.lamps: list[Lamp] = []
        """Each lamp that was lit or changed its state, in order, over all lives."""
        self._agent: Agent | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop = anyio.Event()
        self._offload = self._hands()

    @property
    def agent(self) -> Agent:
        """The life that runs, or the last one."""
        assert self._agent is not None, "it was started"
        return self._agent

    def start(self) -> None:
        """Begin a life on the disk as it is."""
        loaded = load(None, self._flags())
        self._offload = self._hands()
        host = Host(self._wishes.root, live=False)
        ports = Ports(self.clock, self._chance, self.disk, self._offload, host, self._link)
        self._stop = anyio.Event()
        self._agent = Agent(loaded, ports, self.key, Notifier(None), NotedLog(self.lamps))
        self._task = asyncio.ensure_future(self._agent.run(self._stop))

    async def passes(self, seconds: float) -> None:
        """Let so much time go by; what breaks the agent is raised."""
        if self._task is None:
            await asyncio.sleep(seconds)
            return
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        for task in done:
            task.result()
            raise AssertionError("the agent ended by itself")

    async def stop(self) -> None:
        """End the life as the service manager would."""
        task, self._task = self._task, None
        if task is not None:
            self._stop.set()
            await task
            assert not self._offload.workers, "every worker was released"

    async def kill(self) -> None:
        """End the life as SIGKILL would: the disk stays as it is at this instant."""
        kept = copy.deepcopy(self.disk)
        kept.kill()
        await self._end(kept)

    async def crash(self) -> None:
        """End the life as a power cut would: what was not synced is gone, and the next life is on another axis."""
        kept = copy.deepcopy(self.disk)
        kept.crash()
        await self._end(kept)
        for path in kept.paths(RUNTIME) if kept.entries(RUNTIME) else ():
            kept.unlink(path)
        self._boots += 1
        self.clock = SimClock(axis=f"{self._boots:032x}.0", start=self._boots * BOOT, wall=0)

    def lamp(self, part: str) -> Lamp:
        """The lamp of a part as it is lit now."""
        return next(lamp for lamp in self.agent.lamps.all() if lamp.part == part)

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

    async def _end(self, kept: MemoryDisk) -> None:
        """Cancel what runs; what it still does on its way out reaches neither the next life's disk nor the hub."""
        task, self._task = self._task, None
        assert task is not None, "a life runs"
        self.line.cut()
        self.disk = kept
        task.cancel()
        await asyncio.wait([task])
        self.line.mend()

    def _flags(self) -> dict[str, Any]:
        shelf = [module.name for module in pkgutil.iter_modules(edge_agent.collectors.__path__)]
        keyring = self.house.hub.keyring
        flags: dict[str, Any] = {
            "device": {"id": DEVICE},
            "hub": {"url": "https://hub.example"},
            "trust": {
                keyring.key_id: {
                    "public": b64encode(keyring.public).decode(),
                    "types": ["config", "echo", "flush"],
                }
            },
            "state": {"folder": str(STATE), "runtime": str(RUNTIME)},
            "local": {"enabled": False},
            "collectors": {**{name: {"enabled": False} for name in shelf}, WAVE: {"series": self._wishes.series}},
        }
        return flags | {name: {**flags.get(name, {}), **section} for name, section in self._wishes.sections.items()}

    def _hands(self) -> InlineOffload:
        return InlineOffload(self._chance if self._wishes.pace else None, self._wishes.pace)

    @asynccontextmanager
    async def _link(self, hub: HubSection, key: Key, time: TrueTime) -> AsyncIterator[SimLink]:
        yield SimLink(self.line, hub.link, key, self.clock, time)


@asynccontextmanager
async def world(
    seed: int = 1, series: int = 8, root: Path = Path("/nowhere"), pace: float = 0.0, **sections: Mapping[str, Any]
) -> AsyncIterator[World]:
    """A hub that lives and a device whose agent runs; `sections` are its settings, as `seal={"every": "30s"}`."""
    settings = Settings()
    clock = SimClock(axis="the hub's")
    hub = Hub(settings, clock, Random(f"hub {seed}"), InlineOffload())
    await hub.open()
    house = House(hub, clock)
    await house.furnish()
    line = Line(hub.router, Random(f"line {seed}"), settings.limits.body)
    one = World(house, line, Random(f"device {seed}"), Wishes(series, root, pace, sections))
    async with running(hub):
        one.start()
        try:
            yield one
        finally:
            await one.stop()
            hub.part()
            await line.close()
    await hub.close()
