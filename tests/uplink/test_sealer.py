"""The sealer: when it seals, and what it does when the disk or the buffer fails it; in virtual time."""

import asyncio
import errno

import anyio
import pytest

from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.reading import Missed
from edge_agent.wire.batch import parse, unzip
from tests.sim.loop import run
from tests.uplink.plain import PlainBuffer, note, state
from tests.uplink.sealing import ANCHOR, FOLDER, Scene, readings_in, ticks_in


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
