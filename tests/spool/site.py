"""A spool on a disk in memory, in virtual time: what the tests of this room share."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_agent.kit.lamps import LampBoard
from edge_agent.model.anchor import Anchor
from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import KIND_OF_LANE, Frame, LaneName, Range
from edge_agent.model.http import Answer
from edge_agent.model.lamp import Lamp
from edge_agent.model.ranges import union
from edge_agent.spool.losses import losses_in
from edge_agent.spool.options import MIB, Options, Quota
from edge_agent.spool.spool import Spool
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.sim.offload import InlineOffload

FOLDER = Path("/state/spool/hub")
TELEMETRY = FOLDER / "telemetry"
DEVICE = "car-3"
ROOMY = Options(min_free_bytes=0, min_free_inodes=0)


class NoTime:
    """A device that never learnt true time."""

    def observe(self, answer: Answer) -> None:
        pass

    def anchor(self) -> Anchor | None:
        return None

    def now(self) -> int | None:
        return None

    def turn(self) -> int:
        return 0


@dataclass
class Site:
    """One device: its disk outlives its spools."""

    disk: MemoryDisk = field(default_factory=MemoryDisk)
    options: Options = ROOMY
    device: str = DEVICE
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    axis: str = "boot-1.0"
    offload: InlineOffload = field(default_factory=InlineOffload)
    lit: list[Lamp] = field(default_factory=list)
    """Each lamp that changed its state, in order, over all lives."""

    def spool(self) -> tuple[Spool, LampBoard]:
        clock = SimClock(axis=self.axis)
        lamps = LampBoard(clock, self.lit.append)
        spool = Spool(self.options, FOLDER, self.device, self.disk, self.offload, clock, self.chance, lamps, NoTime())
        return spool, lamps

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Spool, LampBoard]]:
        """A life of the agent that ends in good order."""
        spool, lamps = self.spool()
        await spool.open()
        yield spool, lamps
        await spool.close()

    def segments(self, lane: LaneName = "telemetry") -> list[Path]:
        return [path for path in self.disk.paths(FOLDER / lane) if path.suffix == ".seg"]


def razed(disk: MemoryDisk, path: Path) -> Any:
    """A folder or file that was removed with all that is in it, past all faults, open files or not."""
    parent = disk._folder(path.parent)
    parent.durable.pop(path.name, None)
    return parent.names.pop(path.name)


def put_back(disk: MemoryDisk, path: Path, node: Any) -> None:
    """What `razed` gave, in its place again."""
    parent = disk._folder(path.parent)
    parent.names[path.name] = parent.durable[path.name] = node


def tight(max_bytes: int, max_age: float = 1e6, keep_bytes: int = 0) -> Options:
    """Options with this quota for telemetry, and no care for the rest of the file system."""
    return replace(ROOMY, telemetry=Quota(max_bytes, max_age, keep_bytes))


def sealed(buffer: Buffer, size: int = 100, fill: int = 0) -> Frame:
    """A frame with the next number of a lane and a payload of this size that tells frames apart."""
    identity = buffer.draw()
    start = b"%d/%d/%d." % (*identity, fill)
    payload = (start + random.Random(identity.seq).randbytes(size))[: max(size, len(start))]
    return Frame(KIND_OF_LANE[buffer.lane], identity, 1_000_000 + identity.seq, payload)


async def fill(buffer: Buffer, frames: int, size: int = 100) -> list[Frame]:
    """So many frames, appended; all must be durable."""
    appended = [sealed(buffer, size) for _ in range(frames)]
    for frame in appended:
        assert await buffer.append(frame)
    return appended


async def held(buffer: Buffer) -> list[Frame]:
    """Everything a lane would lend, in one go."""
    return list(await buffer.oldest(1024 * MIB, 10**9))


async def losses(spool: Spool) -> dict[tuple[str, int, str], tuple[Range, ...]]:
    """What the reports lane declares, by lane, epoch and reason."""
    found: dict[tuple[str, int, str], tuple[Range, ...]] = {}
    for frame in await held(spool.lane("reports")):
        for loss in losses_in(frame):
            key = (loss.lane, loss.epoch, loss.reason)
            found[key] = union((*found.get(key, ()), *loss.ranges))
    return found


def lamp(lamps: LampBoard) -> Lamp:
    """The spool's lamp."""
    return next(lamp for lamp in lamps.all() if lamp.part == "spool")
