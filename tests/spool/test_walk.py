"""A random walk against a plain model, over lives, kills, power cuts and faults.

The model is a set of sealed payloads. Whatever happens: what was durable and neither settled nor declared lost is
lent once, under its own identity or by a frame that stands for it; what is claimed in the inventory covers what is
lent; and no counter in what was thinned says what was never read.
"""

import asyncio
import errno
import random
from dataclasses import dataclass, field, replace

import pytest

from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.verdict import Settlement
from edge_agent.spool.options import Quota
from edge_agent.spool.spool import Spool
from tests.sim import loop
from tests.sim.disk import PowerCut
from tests.spool.batches import Machine, claimed, counters, numbers_of, stood_for
from tests.spool.site import FOLDER, ROOMY, Site, held, losses, sealed

STORED = Settlement("stored")
FAULTS = ("append", "sync", "create", "sync_folder", "unlink", "space", "replace")


@dataclass
class Walk:
    """One walk; `durable` are the frames that must not get lost, `known` all that were ever sealed.

    With a `machine` frames are real batches, which can be thinned. `appends` is how often a step seals one.
    """

    chance: random.Random
    site: Site
    machine: Machine | None = None
    appends: float = 0.5
    durable: dict[Identity, Frame] = field(default_factory=dict)
    known: dict[Identity, Frame] = field(default_factory=dict)
    settled: set[Identity] = field(default_factory=set)

    async def live(self, steps: int) -> None:
        """One life, ended well, by a kill, or by a power cut anywhere."""
        spool, _lamps = self.site.spool()
        end = self.chance.choice(("close", "kill", "crash", "cut"))
        try:
            if end == "cut":
                self.site.disk.cut_at(self.chance.randrange(1, steps * 4))
            await spool.open()
            lane = spool.lane("telemetry")
            for _ in range(steps):
                await self.step(lane)
            if end == "close":
                await spool.close()
        except PowerCut:
            end = "crash"
        self.site.disk.heal()
        if end == "kill":
            self.site.disk.kill()
        elif end != "close":
            self.site.disk.crash()

    async def step(self, lane: Buffer) -> None:
        deed = self.chance.random()
        deed = deed / self.appends / 2 if deed < self.appends else 1 - (1 - deed) / (1 - self.appends) / 2
        if deed < 0.5:
            size = self.chance.choice((50, 2000, 9000))
            frame = sealed(lane, size) if self.machine is None else self.machine.seal(lane)
            self.known[frame.identity] = frame
            if await lane.append(frame):
                self.durable[frame.identity] = frame
        elif deed < 0.6:
            newest = await lane.newest()
            if newest is not None:
                await self.settle(lane, [newest])
        elif deed < 0.8:
            lent = list(await lane.oldest(self.chance.choice((1, 10_000, 100_000)), self.chance.randrange(1, 20)))
            self.check(lane, lent)
            await self.settle(lane, self.chance.sample(lent, self.chance.randrange(len(lent) + 1)))
        elif deed < 0.9:
            call, code = self.chance.choice(FAULTS), self.chance.choice((errno.EIO, errno.ENOSPC))
            self.site.disk.fail(call, code, times=self.chance.randrange(1, 4), where=str(FOLDER / "telemetry"))
        elif deed < 0.95:
            self.site.disk.heal()
        else:
            await asyncio.sleep(self.chance.randrange(20))

    async def settle(self, lane: Buffer, frames: list[Frame]) -> None:
        for frame in frames:
            epoch, ranges = numbers_of(frame)
            self.settled |= {Identity(epoch, number) for pair in ranges for number in range(*pair)}
        await lane.settle({frame.identity: STORED for frame in frames})

    def check(self, lane: Buffer, lent: list[Frame]) -> None:
        numbers = stood_for(lent)
        assert len(lent) == len({frame.identity for frame in lent})
        assert numbers - self.settled <= claimed(lane)
        ends = {holding.epoch: holding.next for holding in lane.inventory()}
        assert all(seq < ends[epoch] for epoch, seq in numbers)
        for frame in lent:
            if frame.kind != FrameKind.THINNED:
                assert self.known[frame.identity] == frame
            elif self.machine is not None:
                assert set(counters([frame])) <= set(self.machine.counted.items())

    async def audit(self, spool: Spool) -> None:
        """All that is owed is there, or declared."""
        lane = spool.lane("telemetry")
        lent = await held(lane)
        self.check(lane, lent)
        declared = {
            Identity(epoch, number)
            for (_lane, epoch, _reason), ranges in (await losses(spool)).items()
            for pair in ranges
            for number in range(*pair)
        }
        owed = set(self.durable) - self.settled - declared
        assert owed <= stood_for(lent)


@pytest.mark.parametrize("seed", range(60))
def test_no_sealed_frame_is_lost_or_doubled(seed: int) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        quota = chance.choice((Quota(10**9, 1e9, 0), Quota(10**9, 1e9, 0), Quota(100_000, 1e9, 0)))
        site = Site(options=replace(ROOMY, telemetry=quota), chance=random.Random(seed + 1000))
        walk = Walk(chance, site)
        for life in range(8):
            site.axis = f"boot-{life}.0"
            await walk.live(chance.randrange(1, 60))
            async with site.opened() as (spool, _lamps):
                await walk.audit(spool)

    loop.run(scene(), seed)


@pytest.mark.parametrize("seed", range(20))
def test_no_number_is_lost_or_doubled_while_segments_are_thinned(seed: int) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        site = Site(options=replace(ROOMY, telemetry=Quota(20_000, 1e9, 0)), chance=random.Random(seed + 1000))
        walk = Walk(chance, site, Machine(gauges=6), appends=0.9)
        for life in range(4):
            site.axis = f"boot-{life}.0"
            await walk.live(chance.randrange(20, 160))
            async with site.opened() as (spool, _lamps):
                await walk.audit(spool)

    loop.run(scene(), seed)
