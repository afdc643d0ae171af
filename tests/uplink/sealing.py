"""A sealer with all that it needs, in virtual time, on a disk in memory."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Frame
from edge_agent.model.reading import Reading, Tick
from edge_agent.uplink.sealer import Options, Sealer
from edge_agent.wire.batch import parse, unzip
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.uplink.plain import PlainBuffer, PlainTime, board

FOLDER = Path("/run/edge")
SIDE = {"side": "left"}
ANCHOR = Anchor(1_700_000_000_000, 1_700_000_000_100, 1_000_000)


class Scene:
    """A sealer with all that it needs."""

    def __init__(self, disk: MemoryDisk | None = None, buffer: PlainBuffer | None = None, **options: Any) -> None:
        self.clock = SimClock()
        self.disk = disk or MemoryDisk()
        self.buffer = buffer or PlainBuffer()
        self.lamps = board(self.clock)
        self.time = PlainTime(ANCHOR)
        self.sealer = Sealer(
            Options(**options),
            self.buffer,
            self.clock,
            self.disk,
            FOLDER,
            {"device.id": "car-3"},
            self.time,
            self.lamps,
        )

    def tick(self, value: float = 1.0) -> Tick:
        """A tick of one reading, now."""
        return Tick("car", self.clock.now(), (Reading("speed", value, "m/s", SIDE, digits=1),))

    async def sample(self, ticks: int) -> None:
        """One tick a second, on the second."""
        for _ in range(ticks):
            self.sealer.take(self.tick())
            await asyncio.sleep(1)


def ticks_in(frame: Frame) -> list[int]:
    """The axis times of all ticks in a frame."""
    return [at for track in parse(unzip(frame.payload, 2**20)).tracks for at in track.instants]


def readings_in(frames: Sequence[Frame]) -> int:
    """How many ticks of one reading these frames hold."""
    return sum(len(ticks_in(frame)) for frame in frames)
