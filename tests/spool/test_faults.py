"""A disk that fails: nothing is retried on a failed descriptor, memory serves, and the disk is taken up again."""

import asyncio
import errno
from dataclasses import replace

import pytest

from edge_agent.model.frame import Identity
from edge_agent.model.verdict import Settlement
from edge_agent.spool.options import MIB
from tests.sim import loop
from tests.sim.disk import MemoryDisk
from tests.spool.site import FOLDER, ROOMY, TELEMETRY, Site, fill, held, lamp, losses, sealed

STORED = Settlement("stored")


def test_a_failed_sync_moves_the_frame_to_a_new_segment() -> None:
    async def scene() -> None:
        site = Site()
        spool, lamps = site.spool()
        await spool.open()
        lane = spool.lane("telemetry")
        frames = await fill(lane, 2)
        site.disk.fail("sync", errno.EIO)
        frames += await fill(lane, 2)
        assert len(site.segments()) == 2
        assert lamp(lamps).state == "ok"
        site.disk.crash()
        async with site.opened() as (again, _lamps):
            assert await held(again.lane("telemetry")) == frames
            assert await losses(again) == {}

    loop.run(scene())


@pytest.mark.parametrize("call", ["append", "sync", "create", "sync_folder"])
def test_a_first_frame_whose_segment_fails_goes_to_another(call: str) -> None:
    async def scene() -> None:
        site = Site()
        spool, _lamps = site.spool()
        await spool.open()
        site.disk.fail(call, errno.EIO, where="telemetry")
        frames = await fill(spool.lane("telemetry"), 1)
        site.disk.crash()
        async with site.opened() as (again, _lamps):
            assert await held(again.lane("telemetry")) == frames

    loop.run(scene())


def test_a_failed_segment_that_cannot_be_removed_does_not_hold_its_name() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            site.disk.fail("sync", errno.EIO)
            site.disk.fail("unlink", errno.EIO)
            frames = await fill(spool.lane("telemetry"), 2)
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == frames
            assert await losses(spool) == {}

    loop.run(scene())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_memory_serves_while_the_disk_takes_nothing_and_the_disk_is_taken_up_again(code: int) -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 2)
            site.disk.fail("append", code, times=None)
            site.disk.fail("create", code, times=None)
            site.disk.fail("replace", code, times=None)
            for _ in range(3):
                frames.append(sealed(lane))
                assert not await lane.append(frames[-1])
                await asyncio.sleep(11)
            assert lamp(lamps).state == "warn"
            assert lamp(lamps).note.startswith("not durable: ")
            assert not lane.depth().durable
            assert lane.depth().frames == 5
            assert await lane.newest() == frames[-1]
            assert await held(lane) == frames
            assert lane.inventory()[0].held == ((0, 5),)
            await lane.settle({frames[3].identity: STORED})
            assert await held(lane) == [*frames[:3], frames[4]]
            site.disk.heal()
            await asyncio.sleep(11)
            assert await spool.lane("events").append(sealed(spool.lane("events")))
            assert lamp(lamps).state == "ok"
            assert lane.depth().durable
            assert await held(lane) == [*frames[:3], frames[4]]
        site.disk.crash()
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == [*frames[:3], frames[4]]

    loop.run(scene())


def test_the_lamp_stays_while_the_disk_stays_full_though_memory_is_empty() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            for call in ("append", "create", "replace"):
                site.disk.fail(call, errno.ENOSPC, times=None)
            for _ in range(5):
                frame = sealed(lane)
                assert not await lane.append(frame)
                await lane.settle({frame.identity: STORED})
                await asyncio.sleep(11)
                assert lamp(lamps).state == "warn"
            site.disk.heal()
            await spool.lane("reports").settle({Identity(1, 1): STORED})
            assert lamp(lamps).state == "ok"

    loop.run(scene())


def test_memory_is_bounded_and_its_overflow_is_declared() -> None:
    async def scene() -> None:
        site = Site(options=replace(ROOMY, memory_bytes=10_000))
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            for call in ("append", "create", "replace"):
                site.disk.fail(call, errno.ENOSPC, times=None)
            frames = [sealed(lane, 1000) for _ in range(20)]
            for frame in frames:
                assert not await lane.append(frame)
            assert await held(lane) == frames[11:]
            assert lamp(lamps).state == "fail"
            epoch = frames[0].identity.epoch
            assert await losses(spool) == {("telemetry", epoch, "no_space"): ((0, 11),)}
            site.disk.heal()
            await asyncio.sleep(11)
            await fill(lane, 1)
            assert lamp(lamps).state == "ok"
        async with site.opened() as (spool, _lamps):
            assert len(await held(spool.lane("telemetry"))) == 10
            assert await losses(spool) == {("telemetry", epoch, "no_space"): ((0, 11),)}

    loop.run(scene())


def test_losses_are_carried_over_when_the_reports_themselves_overflow() -> None:
    async def scene() -> None:
        site = Site(options=replace(ROOMY, memory_bytes=5_000))
        async with site.opened() as (spool, _lamps):
            lane, reports = spool.lane("telemetry"), spool.lane("reports")
            for call in ("append", "create", "replace"):
                site.disk.fail(call, errno.ENOSPC, times=None)
            for _ in range(30):
                await lane.append(sealed(lane, 1000))
                await held(reports)
                await reports.append(sealed(reports, 1000))
            declared = await losses(spool)
            (epoch,) = {epoch for name, epoch, _reason in declared if name == "telemetry"}
            ((start, end),) = declared[("telemetry", epoch, "no_space")]
            assert (start, end) == (0, 30 - len(await held(lane)))

    loop.run(scene())


@pytest.mark.parametrize("calls", [("lock",), ("make_folder",), ("entries",), ("entries", "lock")])
def test_a_folder_that_cannot_be_used_at_the_start_is_taken_up_later(calls: tuple[str, ...]) -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            old = await fill(spool.lane("telemetry"), 3)
        for call in calls:
            site.disk.fail(call, errno.EACCES, times=None)
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            assert lamp(lamps).state == "warn"
            new = [sealed(lane), sealed(lane)]
            assert not await lane.append(new[0])
            assert (await held(lane))[-1] == new[0]
            site.disk.heal()
            await asyncio.sleep(11)
            assert await lane.append(new[1])
            assert lamp(lamps).state == "ok"
            assert await held(lane) == old + new
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == old + new

    loop.run(scene())


def test_a_read_only_file_system_still_gives_its_backlog() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            old = await fill(spool.lane("telemetry"), 3)
        for call in ("lock", "create", "append", "unlink", "move", "replace"):
            site.disk.fail(call, errno.EROFS, times=None)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            await lane.filled()
            assert await held(lane) == old
            await lane.settle({frame.identity: STORED for frame in old})
            assert await held(lane) == []
            assert len(site.segments()) == 1
            site.disk.heal()
        assert site.segments() == []

    loop.run(scene())


def test_a_full_disk_deletes_what_is_settled() -> None:
    async def scene() -> None:
        site = Site(disk=MemoryDisk(max_bytes=2 * MIB))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = [sealed(lane, 400_000) for _ in range(6)]
            durable = [await lane.append(frame) for frame in frames]
            assert durable.count(True) in range(3, 6)
            assert await held(lane) == frames
            await lane.settle({frame.identity: STORED for frame in frames[:4]})
            await asyncio.sleep(11)
            assert await lane.append(sealed(lane))
            assert lane.depth().durable

    loop.run(scene())


def test_a_folder_that_vanishes_is_made_again() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 6, size=400_000)
            for path in site.disk.paths(TELEMETRY):
                site.disk.unlink(path)
            frames = await fill(lane, 3, size=400_000)
            assert frames[-1] in await held(lane)

    loop.run(scene())


def test_every_failing_call_is_survived() -> None:
    """One call at a time fails, wherever it comes: what was durable is there afterwards, once."""

    async def scene(call: str, at: int) -> int:
        site = Site()
        async with site.opened() as (spool, _lamps):
            before = await fill(spool.lane("telemetry"), 3, size=400_000)
        site.disk.calls.clear()
        site.disk.fail(call, errno.EIO, at=at, where=str(FOLDER))
        spool, _lamps = site.spool()
        await spool.open()
        lane = spool.lane("telemetry")
        durable = []
        for _ in range(4):
            frame = sealed(lane, 400_000)
            if await lane.append(frame):
                durable.append(frame)
            await asyncio.sleep(11)
        lent = await lane.oldest(MIB, 2)
        await lane.settle({frame.identity: STORED for frame in lent})
        calls = site.disk.calls[call]
        site.disk.crash()
        site.disk.heal()
        async with site.opened() as (again, _lamps):
            frames = await held(again.lane("telemetry"))
            assert set(frames) >= set(before + durable) - set(lent)
            assert len(frames) == len(set(frames))
        return calls

    for call in (
        "append",
        "create",
        "entries",
        "lock",
        "make_folder",
        "read",
        "space",
        "sync",
        "sync_folder",
        "unlink",
    ):
        at, last = 1, 1
        while at <= last:
            last = loop.run(scene(call, at))
            at += 1
