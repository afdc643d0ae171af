"""A sealer with all that it needs, in virtual time, on a disk in memory."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Frame
from edge_agent.model.ports import OpenFile
from edge_agent.model.reading import Reading, Tick
from edge_agent.uplink.sealer import Options, Sealer
from edge_agent.wire.batch import parse, unzip
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.uplink.plain import PlainBuffer, PlainTime, board

FOLDER = Path("/run/edge")
SIDE = {"side": "left"}
ANCHOR = Anchor(1_700_000_000_000, 1_700_000_000_100, 1_000_000)


class UncutDisk(MemoryDisk):
    """A disk whose files cannot be cut, as on a file system that turned read-only: what a failed write left stays."""

    def create(self, path: Path, room: int = 0) -> OpenFile:
        return _Uncut(super().create(path, room))


class _Uncut:
    def __init__(self, file: OpenFile) -> None:
        self._file = file

    def append(self, data: bytes) -> None:
        self._file.append(data)

    def sync(self) -> None:
        self._file.sync()

    def close(self, size: int | None = None) -> None:  # noqa: ARG002 - the port's signature
        self._file.close()


class Scene:
    """A sealer with all that it needs."""

    def __init__(
        self,
        disk: MemoryDisk | None = None,
        buffer: PlainBuffer | None = None,
        missed: Counter[tuple[str, str]] | None = None,
        first: float = 1.0,
        **options: Any,
    ) -> None:
        self.clock = SimClock()
        self.disk = disk or MemoryDisk()
        self.buffer = buffer or PlainBuffer()
        self.lamps = board(self.clock)
        self.time = PlainTime(ANCHOR)
        self.limit: int | None = None
        self.sealer = Sealer(
            Options(**options),
            self.buffer,
            self.clock,
            self.disk,
            FOLDER,
            {"device.id": "car-3"},
            self.time,
            self.lamps,
            missed,
            first,
            lambda: self.limit,
        )

    def tick(self, series: int = 1) -> Tick:
        """A tick of so many readings, now."""
        return Tick("car", self.clock.now(), tuple(Reading(f"n{i}", 1.0, "1", SIDE, digits=1) for i in range(series)))

    async def sample(self, ticks: int, series: int = 1) -> None:
        """One tick a second, on the second."""
        for _ in range(ticks):
            self.sealer.take(self.tick(series))
            await asyncio.sleep(1)


def ticks_in(frame: Frame) -> list[int]:
    """The axis times of all ticks in a frame."""
    return [at for track in parse(unzip(frame.payload, 2**20)).tracks for at in track.instants]


def count_ticks(frames: Sequence[Frame]) -> int:
    """How many ticks these frames hold."""
    return sum(len(ticks_in(frame)) for frame in frames)
