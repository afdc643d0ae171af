"""Bytes to flash for each byte sealed, over many seals: `python -m tests.bench.flash FOLDER SIZE COUNT`.

The real spool takes frames of the size that the agent sealed, each settled before the next one comes, as while the hub
answers; what a frame holds does not matter to a disk. The spool's opening is not counted, each new segment is.

A lower bound, and no stand-in for what a live agent writes: without pauses the file system's own pages (bitmaps,
inodes) stay dirty and count once, while between real seals they are written back and count again.
"""

import asyncio
import os
import sys
from pathlib import Path

from edge_agent.kit.chance import system_chance
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.disk import SystemDisk
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.offload import Threads
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.frame import Frame, FrameKind
from edge_agent.model.verdict import Settlement
from edge_agent.spool.options import Options
from edge_agent.spool.spool import Spool
from edge_agent.wire.frame import encoded_size
from tests.bench.meter import flash_bytes
from tests.bench.place import Place

_STORED = Settlement("stored")


def ratio(place: Place, size: int, count: int) -> float:
    """What a spool hands to flash for each byte sealed, in frames of this size."""
    child = place.start("-m", "tests.bench.flash", str(place.folder("flash")), str(size), str(count))
    child.wait()
    return float(child.last_words())


def open_spool(folder: Path, device: str) -> Spool:
    """A spool on the real disk, as the agent makes it; how much the disk has left for others does not matter."""
    clock = SystemClock()
    lamps = LampBoard(clock, lambda _lamp: None)
    options = Options(min_free_bytes=0, min_free_inodes=0)
    return Spool(options, folder, device, SystemDisk(), Threads(), clock, system_chance(), lamps, Timekeeper(clock))


async def _written(folder: Path, size: int, count: int) -> float:
    spool = open_spool(folder, "flash")
    await spool.open()
    lane, chance, sealed = spool.lane("telemetry"), system_chance(), 0
    before = flash_bytes(os.getpid())
    for at in range(count):
        frame = Frame(FrameKind.TELEMETRY, lane.draw(), at, chance.randbytes(size))
        sealed += encoded_size(frame)
        if not await lane.append(frame):
            raise RuntimeError("the spool did not take a frame to the disk")
        await lane.settle({frame.identity: _STORED})
    after = flash_bytes(os.getpid())
    await spool.close()
    return (after - before) / sealed


if __name__ == "__main__":
    sys.stdout.write(str(asyncio.run(_written(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))))
