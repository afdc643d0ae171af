"""The sealer: when it seals, and what it does when the disk or the buffer fails it; in virtual time."""

import asyncio
import errno
import random
import string

import anyio
import pytest

from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.reading import Missed, Reading, Tick
from edge_agent.wire.batch import parse, unzip
from tests.sim.loop import run
from tests.uplink.plain import PlainBuffer, note, state
from tests.uplink.sealing import ANCHOR, FOLDER, Scene, count_ticks, ticks_in


def test_a_batch_holds_the_beats_of_its_window() -> None:
    async def scene() -> None:
        it = Scene()
        async with it.sealer:
            await it.sample(25)
        assert [len(ticks_in(frame)) for frame in it.buffer.frames] == [10, 10, 5]
        assert [frame.identity for frame in it.buffer.frames] == [Identity(7, seq) for seq in range(3)]
        assert it.buffer.frames[0].kind == FrameKind.TELEMETRY
        assert it.buffer.frames[0].sealed_at == 1_000_000 + 9500
        assert (it.sealer.readings_sealed, it.sealer.batches) == (25, 3)
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
            await it.sample(60, series=100)
            early = len(it.buffer.frames)
        assert early >= 2
        assert count_ticks(it.buffer.frames) == 60

    run(scene())


def test_a_batch_of_wide_ticks_weighs_little_more_than_it_may() -> None:
    async def scene() -> None:
        it = Scene(every=3600, most_bytes=64 * 1024)
        chance = random.Random(1)
        async with it.sealer:
            for _ in range(8):
                wide = tuple(Reading(f"n{i}", chance.random(), "1", digits=None) for i in range(5000))
                it.sealer.take(Tick("car", it.clock.now(), wide))
                await asyncio.sleep(1)
        assert count_ticks(it.buffer.frames) == 8
        assert max(len(frame.payload) for frame in it.buffer.frames) < 2 * 64 * 1024

    run(scene())


def test_a_tick_that_no_hub_would_take_leaves_its_number_and_says_so() -> None:
    async def scene() -> None:
        it = Scene()
        it.disk.fail("unlink", errno.EIO, times=None)
        chance = random.Random(1)
        names = ["".join(chance.choices(string.printable, k=1000)) for _ in range(1600)]
        async with it.sealer:
            it.sealer.miss(Missed("gps", 1, "hung"))
            it.sealer.take(Tick("car", it.clock.now(), tuple(Reading("n", 1, "1", {"file": name}) for name in names)))
            await asyncio.sleep(15)
            it.sealer.take(it.tick())
        large, usual = it.buffer.frames
        assert len(large.payload) < 1000
        batch = parse(unzip(large.payload, 2**20))
        assert (batch.tracks, batch.stat) == ((), {"missed": [["gps", 1, "hung"]], "too_large": 1600})
        assert ticks_in(usual) == [1_015_000]
        it.disk.heal()
        other = PlainBuffer()
        assert await Scene(it.disk, other).sealer.recover() == 2
        assert other.frames == it.buffer.frames

    run(scene())


def test_what_a_suspend_made_overdue_is_sealed_with_the_next_tick() -> None:
    async def scene() -> None:
        it = Scene(every=600)
        async with it.sealer:
            await it.sample(1)
            it.clock.suspend(7200)
            assert it.sealer.stalled(it.clock.now()) > 0
            await it.sample(1)
            assert len(it.buffer.frames) == 1
            assert it.sealer.stalled(it.clock.now()) == 0

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
        assert count_ticks(it.buffer.frames) == 3

    run(scene())


def test_leaving_seals_what_is_open_when_the_block_is_cancelled() -> None:
    async def scene() -> None:
        it = Scene()
        with anyio.move_on_after(3.5) as patience:
            async with it.sealer:
                await it.sample(100)
        assert patience.cancelled_caught
        assert count_ticks(it.buffer.frames) == 4
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
        assert count_ticks(it.buffer.frames) == 4

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
            for _ in range(32 * 2 + 50):
                it.sealer.take(it.tick(series=500))
            it.buffer.gate.set()
            await asyncio.sleep(5)
            it.sealer.take(it.tick())
        assert count_ticks(it.buffer.frames) == 32 * 2 + 1
        assert parse(unzip(it.buffer.frames[-1].payload, 2**20)).stat == {"missed": [["car", 50, "stalled"]]}

    run(scene())


def test_without_an_open_file_the_batch_goes_on_in_memory_and_the_lamp_says_the_price() -> None:
    async def scene() -> None:
        it = Scene()
        it.disk.fail("append", errno.ENOSPC, at=3, times=None)
        async with it.sealer:
            await it.sample(5)
            assert state(it.lamps, "sealer") == "warn"
            assert "a crash would cost up to 10 s of readings" in note(it.lamps, "sealer")
            await it.sample(10)
            assert "a crash would cost up to 10 s of readings" in note(it.lamps, "sealer")
            it.disk.heal()
            await it.sample(10)
            assert state(it.lamps, "sealer") == "ok"
        assert [len(ticks_in(frame)) for frame in it.buffer.frames] == [2, 10, 10, 3]

    run(scene())


def test_a_file_that_fails_ends_its_batch_and_the_next_has_a_file_again() -> None:
    async def scene() -> None:
        it = Scene()
        it.disk.fail("append", errno.ENOSPC, at=3)
        async with it.sealer:
            await it.sample(2)
            it.sealer.take(it.tick())
            assert state(it.lamps, "sealer") == "warn"
            assert "its batch ends early" in note(it.lamps, "sealer")
            it.sealer.miss(Missed("gps", 1, "hung"))
            await asyncio.sleep(1)
            assert state(it.lamps, "sealer") == "ok"
            assert len(it.disk.paths(FOLDER)) == 1
        stats = [parse(unzip(frame.payload, 2**20)).stat for frame in it.buffer.frames]
        assert stats == [{"recovered": True}, {"missed": [["gps", 1, "hung"]]}]

    run(scene())


def test_what_waits_too_long_is_told_until_it_moves() -> None:
    async def scene() -> None:
        it = Scene()
        async with it.sealer:
            await it.sample(11)
            it.buffer.gate.clear()
            await it.sample(60)
            assert it.sealer.stalled(it.clock.now()) == 0
            assert state(it.lamps, "sealer") == "ok"
            await it.sample(30)
            assert it.sealer.stalled(it.clock.now()) == pytest.approx(101 - 19.5, abs=1)
            assert state(it.lamps, "sealer") == "fail"
            it.buffer.gate.set()
            await it.sample(1)
            assert it.sealer.stalled(it.clock.now()) == 0
            assert state(it.lamps, "sealer") == "ok"
        assert count_ticks(it.buffer.frames) == 102

    run(scene())


def test_slow_batches_have_longer_to_wait_and_nothing_open_never_stalls() -> None:
    async def scene() -> None:
        it = Scene(every=100)
        async with it.sealer:
            await asyncio.sleep(10_000)
            assert it.sealer.stalled(it.clock.now()) == 0
            it.buffer.gate.clear()
            await it.sample(100 + 295)
            assert it.sealer.stalled(it.clock.now()) == 0
            await it.sample(10)
            assert it.sealer.stalled(it.clock.now()) > 300
            it.buffer.gate.set()

    run(scene())


def test_whoever_stops_waiting_for_a_flush_tears_nothing() -> None:
    async def scene() -> None:
        it = Scene()
        async with it.sealer:
            await it.sample(1)
            it.buffer.gate.clear()
            with anyio.move_on_after(2) as patience:
                await it.sealer.flush()
            assert patience.cancelled_caught
            it.buffer.gate.set()
            told = await it.sealer.flush()
        assert told["identity"] == f"{7:016x}/0"
        assert len(it.buffer.frames) == 1

    run(scene())


def test_a_folder_that_cannot_be_made_stops_nothing() -> None:
    async def scene() -> None:
        it = Scene()
        it.disk.fail("make_folder", errno.EROFS)
        async with it.sealer:
            await it.sample(5)
            assert state(it.lamps, "sealer") == "warn"
        assert count_ticks(it.buffer.frames) == 5

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
