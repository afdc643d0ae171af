"""Open batches over kills and power cuts: the real sealer before the real disk queue, both on one disk.

    first life     takes a tick a second and seals; it is killed wherever the world may stop
    second life    finds the queue, gives it what was left open, and is killed again, or the power goes, anywhere
    third life     does the same once more; all is counted

After each kill every tick that was taken is there, once; a batch that was durable under a number has the same bytes
under it for ever. A power cut takes what is on tmpfs: what was durable before it is there, and once a start has given
everything to the queue, all is.
"""

import asyncio
import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.kit.lamps import LampBoard
from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import Frame, Identity
from edge_agent.model.reading import Reading, Tick
from edge_agent.uplink.sealer import Options, Sealer
from tests.proofs.crashing import ALL, Product
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.spool.site import DEVICE, ROOMY, NoTime
from tests.uplink.sealing import ticks_in

RUNTIME = Path("/run/edge-agent")
_TICKS = 9
_EVERY = 4.0
_PRODUCT = Product(ROOMY)


@dataclass
class Left:
    """What a life leaves where it is killed: the disk, the ticks that were taken, and the batches that are durable."""

    disk: MemoryDisk
    taken: Sequence[int]
    durable: Mapping[Identity, bytes]


@dataclass
class Watcher:
    """Keeps what a life leaves at every `step`-th place where it may stop."""

    disk: MemoryDisk
    step: int
    taken: list[int] = field(default_factory=list)
    durable: dict[Identity, bytes] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    places: int = 0

    def look(self) -> None:
        """The world may stop here."""
        self.places += 1
        if self.places % self.step:
            return
        self.disk.watch = None
        kept = copy.deepcopy(self.disk)
        self.disk.watch = self.look
        kept.kill()
        self.left.append(Left(kept, tuple(self.taken), dict(self.durable)))


class Noting:
    """A buffer that notes what it keeps durably."""

    def __init__(self, buffer: Buffer, durable: dict[Identity, bytes]) -> None:
        self._buffer = buffer
        self._durable = durable

    def __getattr__(self, name: str) -> Any:
        return getattr(self._buffer, name)

    async def append(self, frame: Frame) -> bool:
        durable = await self._buffer.append(frame)
        if durable:
            self._durable[frame.identity] = frame.payload
        return durable


@dataclass
class Openings:
    """Tries it; `states` counts the kills and power cuts after which a third life looked."""

    step: int
    states: int = 0
    violations: dict[str, None] = field(default_factory=dict)

    async def explore(self) -> None:
        """All of it."""
        disk = MemoryDisk()
        watcher = Watcher(disk, self.step)
        disk.watch = watcher.look
        await self._first(watcher)
        disk.watch = None
        for left in watcher.left:
            await self._second(left)
            if self.violations:
                return

    async def _first(self, watcher: Watcher) -> None:
        spool = _PRODUCT.spool(watcher.disk, 1)
        await spool.open()
        clock = SimClock()
        sealer = _sealer(watcher.disk, Noting(spool.lane("telemetry"), watcher.durable), clock)
        async with sealer:
            for _ in range(_TICKS):
                sealer.take(Tick("car", clock.now(), (Reading("n", 1.0, "1", {}, digits=1),)))
                watcher.taken.append(clock.now())
                await asyncio.sleep(1)

    async def _second(self, left: Left) -> None:
        watcher = Watcher(left.disk, self.step, list(left.taken), dict(left.durable))
        left.disk.watch = watcher.look
        await self._starts(left, 2)
        left.disk.watch = None
        for again in watcher.left:
            power, chance = copy.deepcopy(again.disk), random.Random(len(self.violations))
            await self._starts(again, 3)
            power.crash(chance)
            for path in power.paths(RUNTIME) if power.entries(RUNTIME) else ():
                power.unlink(path)
            await self._starts(Left(power, (), again.durable), 3)
            self.states += 2
        # Everything was given to the queue, so the power may go.
        left.disk.crash()
        await self._starts(left, 3)
        self.states += 1

    async def _starts(self, left: Left, life: int) -> None:
        """A start, and what must be there after it."""
        spool = _PRODUCT.spool(left.disk, life)
        await spool.open()
        clock = SimClock()
        await _sealer(left.disk, spool.lane("telemetry"), clock).recover()
        frames = await spool.lane("telemetry").oldest(ALL, ALL)
        ticks = [at for frame in frames for at in ticks_in(frame)]
        if missing := set(left.taken) - set(ticks):
            self.violations[f"{len(missing)} ticks that were taken are lost"] = None
        if len(ticks) != len(set(ticks)):
            self.violations["a tick is there twice"] = None
        found = {frame.identity: frame.payload for frame in frames}
        if any(found.get(identity) != payload for identity, payload in left.durable.items()):
            self.violations["a durable batch is lost, or has other bytes"] = None


def _sealer(disk: MemoryDisk, buffer: Any, clock: SimClock) -> Sealer:
    lamps = LampBoard(clock, lambda _lamp: None)
    resource = {"device.id": DEVICE}
    return Sealer(Options(every=_EVERY), buffer, clock, disk, RUNTIME, resource, NoTime(), lamps)
