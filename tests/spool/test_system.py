"""The same queue on a real disk and in real threads: it works, and a large backlog costs little to find and to hold."""

import asyncio
import errno
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from edge_agent.kit.disk import SystemDisk
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.offload import Threads
from edge_agent.model.failure import DeviceError
from edge_agent.model.frame import Frame, Identity
from edge_agent.model.ports import Clock, Disk, OpenFile
from edge_agent.model.verdict import Settlement
from edge_agent.spool.inspect import listing, verify
from edge_agent.spool.options import MIB
from edge_agent.spool.segment import Name, Opening, opening_frame
from edge_agent.spool.spool import Spool
from edge_agent.wire.frame import encode
from tests.sim.clock import SimClock
from tests.spool.site import ROOMY, NoTime, fill, held, lamp

STORED = Settlement("stored")


def real(folder: Path, disk: Disk) -> tuple[Spool, LampBoard]:
    clock: Clock = SimClock()
    lamps = LampBoard(clock, lambda _lamp: None)
    return Spool(ROOMY, folder, "car-3", disk, Threads(), clock, random.Random(3), lamps, NoTime()), lamps


def test_a_backlog_survives_a_restart_and_is_drained(tmp_path: Path) -> None:
    async def scene() -> None:
        folder = tmp_path / "spool" / "hub"
        spool, lamps = real(folder, SystemDisk())
        await spool.open()
        assert lamp(lamps).state == "ok"
        frames = await fill(spool.lane("telemetry"), 30, size=100_000)
        await spool.close()
        again, _lamps = real(folder, SystemDisk())
        await again.open()
        lane = again.lane("telemetry")
        assert lane.depth().durable
        drained: list[Frame] = []
        while lane.depth().frames:
            await asyncio.wait_for(lane.filled(), 5)
            lent = await lane.oldest(MIB, 100)
            drained += lent
            await lane.settle({frame.identity: STORED for frame in lent})
        await again.close()
        assert drained == frames
        assert list((folder / "telemetry").iterdir()) == []

    asyncio.run(scene())


def test_two_agents_cannot_share_a_folder(tmp_path: Path) -> None:
    async def scene() -> None:
        first, _lamps = real(tmp_path, SystemDisk())
        second, _lamps = real(tmp_path, SystemDisk())
        await first.open()
        with pytest.raises(DeviceError, match="another process"):
            await second.open()
        await first.close()
        third, _lamps = real(tmp_path, SystemDisk())
        await third.open()
        await third.close()

    asyncio.run(scene())


def test_what_stands_in_the_way_is_put_aside(tmp_path: Path) -> None:
    async def scene() -> None:
        folder = tmp_path / "hub"
        (folder / "lock").mkdir(parents=True)
        (folder / "telemetry").write_text("not a folder")
        (folder / "reports").symlink_to("nowhere")
        (folder / "events").mkdir()
        (folder / "events" / "00000001-0000000000000001-0000000000.seg").mkdir()
        (folder / "events" / "00000002-0000000000000001-0000000000.seg").symlink_to("nowhere")
        spool, lamps = real(folder, SystemDisk())
        await spool.open()
        assert lamp(lamps).state == "ok"
        for name in ("telemetry", "reports", "events"):
            await fill(spool.lane(name), 2)
            assert spool.lane(name).depth().durable
        await spool.close()

    asyncio.run(scene())


class FullDisk(SystemDisk):
    """A disk on which nothing new can be made."""

    full = True

    def create(self, path: Path, room: int = 0) -> OpenFile:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().create(path, room)


def test_memory_serves_a_full_disk_and_is_written_out_at_the_end(tmp_path: Path) -> None:
    async def scene() -> None:
        disk = FullDisk()
        spool, lamps = real(tmp_path, disk)
        await spool.open()
        lane = spool.lane("telemetry")
        frame = Frame(1, lane.draw(), 5, b"payload")
        assert not await lane.append(frame)
        assert lamp(lamps).state == "warn"
        disk.full = False
        await spool.close()
        again, _lamps = real(tmp_path, SystemDisk())
        await again.open()
        assert await held(again.lane("telemetry")) == [frame]
        await again.close()

    asyncio.run(scene())


def test_what_a_kill_left_set_aside_is_given_back(tmp_path: Path) -> None:
    disk, name = SystemDisk(), Name(1, 0, 77)
    path = tmp_path / "telemetry" / name.file
    disk.make_folder(path.parent)
    file = disk.create(path, MIB)
    frame = Frame(1, Identity(77, 0), 5, b"payload")
    file.append(encode(opening_frame(name, Opening("car-3", "boot", 0, 0), "telemetry")) + encode(frame))
    file.sync()
    file.close()
    if path.stat().st_blocks * 512 < MIB:
        pytest.skip("this file system sets nothing aside, or gives it back at once")

    async def scene() -> None:
        spool, _lamps = real(tmp_path, disk)
        await spool.open()
        assert await held(spool.lane("telemetry")) == [frame]
        assert path.stat().st_blocks * 512 < MIB // 8
        await spool.close()

    asyncio.run(scene())


def planted_backlog(folder: Path, segments: int) -> None:
    """So many segments of 1 MiB, of frames of 1.7 KiB, all of one epoch."""
    folder.mkdir(parents=True)
    chance = random.Random(1)
    payloads = [chance.randbytes(1700) for _ in range(8)]
    seq = 0
    for _ in range(segments):
        name = Name(1, seq, 77)
        parts = [encode(opening_frame(name, Opening("car-3", "boot", 0, 0), "telemetry"))]
        size = len(parts[0])
        while size < MIB - 1800:
            parts.append(encode(Frame(1, Identity(77, seq), seq, payloads[seq % 8])))
            size += len(parts[-1])
            seq += 1
        (folder / name.file).write_bytes(b"".join(parts))


class CountingDisk(SystemDisk):
    """Counts what is read."""

    def __init__(self) -> None:
        self.bytes_read = 0
        self.reads = 0

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        data = super().read(path, offset, size)
        self.bytes_read += len(data)
        self.reads += 1
        return data


def test_a_start_reads_names_only_and_a_backlog_is_walked_in_little_memory(tmp_path: Path) -> None:
    planted_backlog(tmp_path / "telemetry", 16)

    async def scene() -> None:
        disk = CountingDisk()
        spool, _lamps = real(tmp_path, disk)
        tracemalloc.start()
        await spool.open()
        assert disk.reads <= 2
        assert disk.bytes_read <= 2048
        lane = spool.lane("telemetry")
        depth = lane.depth()
        assert depth.bytes > 15 * MIB
        assert depth.frames > 15 * 570
        assert len(lane.inventory()[0].held) == 1
        # Everything is settled but one frame in each hundred, so that no segment goes.
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(6):
            lent = await lane.oldest(MIB, 2000)
            await lane.settle({frame.identity: STORED for frame in lent if frame.identity.seq % 100})
        del lent
        assert tracemalloc.get_traced_memory()[0] - before < 2 * MIB
        tracemalloc.stop()
        await spool.close()

    asyncio.run(scene())
    assert verify(SystemDisk(), tmp_path) == []
    assert len(listing(SystemDisk(), tmp_path)) == 16
