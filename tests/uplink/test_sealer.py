"""The sealer: when it seals, what a crash leaves, and what becomes of it; in virtual time, on a disk in memory."""

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.reading import Missed, Reading, Tick
from edge_agent.uplink.sealer import Options, Sealer
from edge_agent.wire.batch import parse, unzip
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk, PowerCut
from tests.sim.loop import run
from tests.uplink.plain import PlainBuffer, PlainTime, board, note, state

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
        return Tick("car", self.clock.now(), (Reading("speed", value, "m/s", SIDE, digits=1),))

    async def sample(self, ticks: int) -> None:
        """One tick a second, on the second."""
        for _ in range(ticks):
            self.sealer.take(self.tick())
            await asyncio.sleep(1)


def ticks_in(frame: Frame) -> list[int]:
    return [at for track in parse(unzip(frame.payload, 2**20)).tracks for at in track.instants]


def readings_in(frames: Sequence[Frame]) -> int:
    return sum(len(ticks_in(frame)) for frame in frames)


def test_a_batch_holds_the_beats_of_its_window() -> None:
    async def scene() -> None:
        it = Scene()
        async with it.sealer:
            await it.sample(25)
        assert [len(ticks_in(frame)) for frame in it.buffer.frames] == [10, 10, 5]
        assert [frame.identity for frame in it.buffer.frames] == [Identity(7, seq) for seq in range(3)]
        assert it.buffer.frames[0].kind == FrameKind.TELEMETRY
        assert it.buffer.frames[0].sealed_at == 1_000_000 + 9500
        assert (it.sealer.readings_sampled, it.sealer.readings_sealed, it.sealer.batches) == (25, 25, 3)
        assert it.disk.paths(FOLDER) == []

    run(scene())


def test_a_batch_says_whose_it_is_and_what_was_missed() -> None:
    async def scene() -> None:
        it = Scene()
        async with it.sealer:
            it.sealer.miss(Missed("gps", 2, "hung"))
            it.sealer.miss(Missed("gps", 1, "hung"))
            it.sealer.miss(Missed("can", 4, "stalled"))
            await it.sample(1)
        await it.sealer.flush()
        batch = parse(unzip(it.buffer.frames[0].payload, 2**20))
        assert batch.axis == it.clock.axis
        assert batch.anchor == ANCHOR
        assert batch.resource == {"device.id": "car-3"}
        assert batch.stat == {"missed": [["can", 4, "stalled"], ["gps", 3, "hung"]]}

    run(scene())


def test_what_stops_coming_is_sealed_in_time() -> None:
    async def scene() -> None:
        it = Scene()
        async with it.sealer:
            await it.sample(1)
            await asyncio.sleep(10)
            assert len(it.buffer.frames) == 1
            await asyncio.sleep(100)
            assert len(it.buffer.frames) == 1

    run(scene())


def test_a_large_batch_is_sealed_early() -> None:
    async def scene() -> None:
        it = Scene(every=3600, most_bytes=400)
        async with it.sealer:
            await it.sample(600)
            early = len(it.buffer.frames)
        assert early >= 2
        assert readings_in(it.buffer.frames) == 600

    run(scene())


def test_flushing_seals_at_once_and_tells_what() -> None:
    async def scene() -> None:
        it = Scene()
        async with it.sealer:
            await it.sample(3)
            told = await it.sealer.flush()
            nothing = await it.sealer.flush()
        assert told == {"identity": f"{7:016x}/0", "batches": 1, "readings": 3, "durable": True}
        assert nothing == {"identity": None, "batches": 0, "readings": 0, "durable": True}
        assert len(it.buffer.frames) == 1

    run(scene())


def test_leaving_seals_what_is_open_when_the_block_breaks() -> None:
    async def scene() -> None:
        it = Scene()

        async def life() -> None:
            async with it.sealer:
                await it.sample(3)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await life()
        assert readings_in(it.buffer.frames) == 3

    run(scene())


def test_leaving_seals_what_is_open_when_the_block_is_cancelled() -> None:
    async def scene() -> None:
        it = Scene()
        with anyio.move_on_after(3.5) as patience:
            async with it.sealer:
                await it.sample(100)
        assert patience.cancelled_caught
        assert readings_in(it.buffer.frames) == 4
        assert it.disk.paths(FOLDER) == []

    run(scene())


def test_a_cancelled_task_ends_cancelled_and_sealed() -> None:
    async def scene() -> None:
        it = Scene()

        async def life() -> None:
            async with it.sealer:
                await it.sample(100)

        task = asyncio.ensure_future(life())
        await asyncio.sleep(3.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert readings_in(it.buffer.frames) == 4

    run(scene())


def test_a_cancellation_does_not_tear_a_frame_from_the_buffer() -> None:
    async def scene() -> None:
        it = Scene()
        it.buffer.gate.clear()
        with anyio.move_on_after(12):
            async with it.sealer:
                asyncio.get_running_loop().call_later(15, it.buffer.gate.set)
                await it.sample(100)
        assert [len(ticks_in(frame)) for frame in it.buffer.frames] == [10, 2]

    run(scene())


def test_leaving_does_not_wait_for_a_buffer_that_never_answers() -> None:
    async def scene() -> None:
        it = Scene(leave_within=5)
        it.buffer.gate.clear()
        async with it.sealer:
            await it.sample(12)
        assert it.clock.now() == 1_000_000 + 17_000
        assert it.buffer.frames == []
        assert state(it.lamps, "sealer") == "fail"
        it.buffer.gate.set()
        next_life = Scene(it.disk, it.buffer)
        assert await next_life.sealer.recover() == 2
        assert [len(ticks_in(frame)) for frame in it.buffer.frames] == [10, 2]

    run(scene())


def test_while_the_buffer_does_not_answer_memory_is_bounded_and_the_rest_is_counted() -> None:
    async def scene() -> None:
        it = Scene(every=1, most_bytes=0, leave_within=1)
        it.buffer.gate.clear()
        async with it.sealer:
            for _ in range(32 * 16 + 50):
                it.sealer.take(it.tick())
            it.buffer.gate.set()
            await asyncio.sleep(5)
            it.sealer.take(it.tick())
        assert readings_in(it.buffer.frames) == 32 * 16 + 1
        assert parse(unzip(it.buffer.frames[-1].payload, 2**20)).stat == {"missed": [["car", 50, "stalled"]]}

    run(scene())


def test_a_crash_still_seals_what_is_open() -> None:
    async def life(disk: MemoryDisk, buffer: PlainBuffer) -> None:
        it = Scene(disk, buffer)
        disk.make_folder(FOLDER)
        await it.sample(5)
        disk.kill()

    async def scene() -> None:
        disk, buffer = MemoryDisk(), PlainBuffer()
        await life(disk, buffer)
        it = Scene(disk, buffer)
        assert await it.sealer.recover() == 1
        assert [ticks_in(frame) for frame in buffer.frames] == [[1_000_000 + 1000 * beat for beat in range(5)]]
        assert buffer.frames[0].sealed_at == 1_004_000
        assert parse(unzip(buffer.frames[0].payload, 2**20)).stat == {"recovered": True}
        assert disk.paths(FOLDER) == []
        assert await it.sealer.recover() == 0

    run(scene())


def test_a_kill_at_any_call_costs_no_tick_that_was_taken() -> None:
    """The process ends at the k-th call of the disk: the next life has every tick but the one in hand."""

    async def life(it: Scene, taken: list[int]) -> None:
        async with it.sealer:
            for _ in range(25):
                it.sealer.take(it.tick())
                taken.append(it.clock.now())
                await asyncio.sleep(1)

    async def scene(cut: int) -> bool:
        disk, taken, whole = MemoryDisk(), list[int](), True
        disk.make_folder(FOLDER)
        disk.cut_at(cut)
        it = Scene(disk)
        try:
            await life(it, taken)
        except BaseException as error:
            if not _is_cut(error):
                raise
            whole = False
        disk.kill()
        later = Scene(disk, PlainBuffer(epoch=8, frames=it.buffer.frames))
        await later.sealer.recover()
        ats = sorted(at for frame in it.buffer.frames for at in ticks_in(frame))
        assert ats[: len(taken)] == taken
        assert len(ats) <= len(taken) + 1
        assert len({frame.identity for frame in it.buffer.frames}) == len(it.buffer.frames)
        assert disk.paths(FOLDER) == []
        return whole

    cut = 1
    while not run(scene(cut)):
        cut += 1
    assert cut > 30


def _is_cut(error: BaseException) -> bool:
    return isinstance(error, PowerCut) or any(_is_cut(inner) for inner in getattr(error, "exceptions", ()))


def test_a_crash_between_keeping_and_removing_makes_the_same_bytes_again() -> None:
    async def scene() -> None:
        disk, buffer = MemoryDisk(), PlainBuffer()
        it = Scene(disk, buffer)
        disk.fail("unlink", errno.EIO, times=None)
        async with it.sealer:
            it.sealer.miss(Missed("gps", 2, "hung"))
            await it.sample(12)
        sealed = list(buffer.frames)
        assert len(disk.paths(FOLDER)) == 2
        disk.heal()
        other = PlainBuffer()
        assert await Scene(disk, other).sealer.recover() == 2
        assert other.frames == sealed

    run(scene())


def test_without_an_open_file_the_batch_goes_on_in_memory_and_the_lamp_says_the_price() -> None:
    async def scene() -> None:
        it = Scene()
        it.disk.fail("append", errno.ENOSPC, at=3)
        async with it.sealer:
            await it.sample(5)
            assert state(it.lamps, "sealer") == "warn"
            assert "a crash would cost up to 10 s of readings" in note(it.lamps, "sealer")
            await it.sample(10)
            assert state(it.lamps, "sealer") == "ok"
        assert readings_in(it.buffer.frames) == 15

    run(scene())


def test_a_folder_that_cannot_be_made_stops_nothing() -> None:
    async def scene() -> None:
        it = Scene()
        it.disk.fail("make_folder", errno.EROFS)
        async with it.sealer:
            await it.sample(5)
            assert state(it.lamps, "sealer") == "warn"
        assert readings_in(it.buffer.frames) == 5

    run(scene())


def test_what_only_memory_holds_stays_on_tmpfs_until_it_is_durable() -> None:
    async def scene() -> None:
        it = Scene()
        it.buffer.durable = False
        async with it.sealer:
            await it.sample(21)
            assert len(it.disk.paths(FOLDER)) == 3
            assert state(it.lamps, "sealer") == "warn"
            it.disk.kill()
            survivor = PlainBuffer()
            assert await Scene(it.disk, survivor).sealer.recover() == 3

    run(scene())


def test_files_of_what_became_durable_are_removed() -> None:
    async def scene() -> None:
        it = Scene()
        it.buffer.durable = False
        async with it.sealer:
            await it.sample(21)
            it.buffer.durable = True
        assert it.disk.paths(FOLDER) == []
        assert state(it.lamps, "sealer") == "ok"

    run(scene())


def test_what_stays_on_tmpfs_is_bounded_and_the_newest_is_kept() -> None:
    async def scene() -> None:
        it = Scene(keep=1500)
        it.buffer.durable = False
        async with it.sealer:
            await it.sample(100)
        kept = it.disk.paths(FOLDER)
        assert 1 <= len(kept) < 10
        assert sum(len(it.disk.content(path)) for path in kept) <= 1500
        assert FOLDER / f"{7:016x}-9.open" in kept

    run(scene())


@pytest.mark.parametrize("content", [b"", b"what is this\n", b"00000000 {}\n"])
def test_a_leftover_that_cannot_be_read_is_removed_after_the_others_were_given(content: bytes) -> None:
    async def scene() -> None:
        disk, buffer = MemoryDisk(), PlainBuffer()
        disk.make_folder(FOLDER)
        await Scene(disk, buffer).sample(2)
        disk.plant(FOLDER / f"{1:016x}-0.open", content)
        disk.plant(FOLDER / "other.txt", b"not ours")
        disk.kill()
        it = Scene(disk, buffer)
        assert await it.sealer.recover() == 1
        assert disk.paths(FOLDER) == [FOLDER / "other.txt"]
        assert readings_in(buffer.frames) == 2

    run(scene())


def test_a_torn_leftover_gives_the_ticks_before_the_tear() -> None:
    async def scene() -> None:
        disk, buffer = MemoryDisk(), PlainBuffer()
        disk.make_folder(FOLDER)
        await Scene(disk, buffer).sample(4)
        [path] = disk.paths(FOLDER)
        disk.plant(path, disk.content(path)[:-7])
        assert await Scene(disk, buffer).sealer.recover() == 1
        assert readings_in(buffer.frames) == 3

    run(scene())


@pytest.mark.parametrize("call", ["entries", "read"])
def test_a_folder_that_cannot_be_read_stops_no_start(call: str) -> None:
    async def scene() -> None:
        disk, buffer = MemoryDisk(), PlainBuffer()
        disk.make_folder(FOLDER)
        await Scene(disk, buffer).sample(2)
        disk.fail(call, errno.EIO)
        it = Scene(disk, buffer)
        assert await it.sealer.recover() == 0
        assert state(it.lamps, "sealer") == "warn"
        assert await it.sealer.recover() == 1

    run(scene())


def test_a_buffer_that_breaks_ends_the_block() -> None:
    class Broken(PlainBuffer):
        async def append(self, frame: Frame) -> bool:
            raise ZeroDivisionError(frame.identity)

    async def scene() -> None:
        it = Scene(buffer=Broken())

        async def life() -> None:
            async with it.sealer:
                await it.sample(30)

        with pytest.raises(ZeroDivisionError):
            await life()
        assert it.clock.now() == 1_000_000 + 9_500
        assert len(it.disk.paths(FOLDER)) == 1

    run(scene())


def test_what_the_file_gives_is_what_memory_gave() -> None:
    """The payload is a function of the file, whatever the values are."""

    async def scene() -> None:
        disk, buffer = MemoryDisk(), PlainBuffer()
        disk.fail("unlink", errno.EIO, times=None)
        it = Scene(disk, buffer)
        values = [1, 2.5, float("nan"), float("inf"), None, 2**60, -0.0, 1e300, True]
        async with it.sealer:
            for digits in (0, 3, None):
                for value in values:
                    reading = Reading("x", value, "1", SIDE, "gauge", digits, "", "EAGAIN" if value is None else None)
                    it.sealer.take(Tick("car", it.clock.now(), (reading,)))
                    await asyncio.sleep(0.1)
        disk.heal()
        other = PlainBuffer()
        await Scene(disk, other).sealer.recover()
        assert other.frames == buffer.frames
        body = orjson.loads(unzip(buffer.frames[0].payload, 2**20))
        assert {gap[3] for gap in body["tracks"][0]["gaps"]} == {"nan", "infinite", "EAGAIN", "too_large"}

    run(scene())
