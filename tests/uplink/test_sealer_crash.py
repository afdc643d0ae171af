"""What a crash of the process leaves of open batches, and what the next life makes of it."""

import asyncio
import errno
import zlib

import orjson
import pytest

from edge_agent.model.reading import Missed, Reading, Tick
from edge_agent.wire.batch import parse, unzip
from tests.sim.disk import MemoryDisk, PowerCut
from tests.sim.loop import run
from tests.uplink.plain import PlainBuffer, note, state
from tests.uplink.sealing import FOLDER, SIDE, Scene, UncutDisk, count_ticks, ticks_in


@pytest.mark.parametrize("shielded", [False, True])
def test_leaving_does_not_wait_for_a_buffer_that_never_answers(*, shielded: bool) -> None:
    async def scene() -> None:
        it = Scene(leave_within=5, buffer=PlainBuffer(shielded=shielded))
        it.buffer.gate.clear()
        async with it.sealer:
            await it.sample(12)
        assert it.clock.now() == 1_000_000 + 17_000
        assert it.buffer.frames == []
        assert state(it.lamps, "sealer") == "fail"
        assert "2 batches stay in /run/edge, 0 were in memory only" in note(it.lamps, "sealer")
        it.buffer.gate.set()
        await asyncio.sleep(1)
        next_life = Scene(it.disk, it.buffer)
        assert await next_life.sealer.recover() == 2
        assert [len(ticks_in(frame)) for frame in it.buffer.frames] == [10, 2]

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


@pytest.mark.parametrize("disk_type", [MemoryDisk, UncutDisk])
@pytest.mark.parametrize("times", [1, 2, None])
def test_a_file_that_fails_and_then_a_kill_double_nothing(times: int | None, disk_type: type) -> None:
    """The disk takes nothing from the k-th write on, as when it is full or turned read-only; then the process ends."""

    async def scene(at: int) -> None:
        disk: MemoryDisk = disk_type()
        disk.make_folder(FOLDER)
        disk.fail("append", errno.EROFS, at=at, times=times)
        disk.fail("unlink", errno.EROFS, times=None)
        it = Scene(disk)
        async with it.sealer:
            await it.sample(25)
        assert count_ticks(it.buffer.frames) == 25
        disk.kill()
        disk.heal()
        known = list(it.buffer.frames)
        await Scene(disk, it.buffer).sealer.recover()
        assert it.buffer.frames == known, "each number has one content"

    for at in range(1, 30):
        run(scene(at))


def test_a_file_of_a_later_version_stays_for_that_one() -> None:
    async def scene() -> None:
        disk, buffer = MemoryDisk(), PlainBuffer()
        body = b'{"open":2}'
        disk.plant(FOLDER / f"{1:016x}-0.open", b"%08x %b\n" % (zlib.crc32(body), body))
        it = Scene(disk, buffer)
        assert await it.sealer.recover() == 0
        assert len(disk.paths(FOLDER)) == 1
        assert "later version" in note(it.lamps, "sealer")

    run(scene())


@pytest.mark.parametrize("content", [b"", b"what is this\n", b"00000000 {}\n", b"00000000 \n"])
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
        assert count_ticks(buffer.frames) == 2

    run(scene())


def test_a_torn_leftover_gives_the_ticks_before_the_tear() -> None:
    async def scene() -> None:
        disk, buffer = MemoryDisk(), PlainBuffer()
        disk.make_folder(FOLDER)
        await Scene(disk, buffer).sample(4)
        [path] = disk.paths(FOLDER)
        disk.plant(path, disk.content(path)[:-7])
        assert await Scene(disk, buffer).sealer.recover() == 1
        assert count_ticks(buffer.frames) == 3

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
