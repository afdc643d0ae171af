"""Segments that the disk does not give: asked again, waited for without a hot loop, put away at last."""

import asyncio
import errno

import anyio
import pytest

from edge_agent.model.frame import Frame
from edge_agent.model.verdict import Settlement
from edge_agent.spool.options import MIB
from tests.sim import loop
from tests.sim.disk import PowerCut
from tests.spool.site import FOLDER, Site, fill, held, lamp, losses, sealed, tight

STORED = Settlement("stored")


async def backlog(site: Site, frames: int = 4) -> list[Frame]:
    """Frames of an earlier life: two a segment."""
    async with site.opened() as (spool, _lamps):
        return await fill(spool.lane("telemetry"), frames, 400_000)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("read_before", [False, True])
def test_a_segment_that_is_never_given_goes_to_quarantine_and_its_numbers_are_declared(
    code: int, *, read_before: bool
) -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site)
        bad = site.segments()[0]
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            if read_before:
                assert await held(lane) == frames
            site.disk.fail("read", code, times=None, where=bad.name)
            assert await held(lane) == frames[2:]
            assert lamp(lamps).state == "warn"
            assert lamp(lamps).note == "segments that the disk does not give just now: 1"
            await lane.settle({frame.identity: STORED for frame in frames[2:]})
            asked = 1
            while bad in site.segments():
                await lane.filled()
                assert await held(lane) == []
                asked += 1
            assert asked == 5
            assert asyncio.get_running_loop().time() == pytest.approx(15 * 60, abs=1)
            assert await losses(spool) == {("telemetry", frames[0].identity.epoch, "damaged"): ((0, 2),)}
            assert lane.depth().frames == 0
            assert [path.name for path in site.disk.paths(FOLDER / "quarantine")] == [f"00000001-telemetry-{bad.name}"]
            assert lamp(lamps).state == "ok"

    loop.run(scene())


def test_filled_waits_for_the_end_of_the_sleep_or_for_a_new_frame() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site, 1)
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            site.disk.fail("read", errno.EIO, times=None, where="telemetry")
            assert await held(lane) == []
            with anyio.move_on_after(59) as early:
                await lane.filled()
            assert early.cancelled_caught
            asyncio.get_running_loop().call_later(0.5, site.disk.heal)
            with anyio.fail_after(2):
                await lane.filled()
            assert await held(lane) == frames
            assert lamp(lamps).state == "ok"
            site.disk.fail("read", errno.EIO, times=None, where="telemetry")
            assert await held(lane) == []
            async with anyio.create_task_group() as group:
                group.start_soon(lane.filled)
                await asyncio.sleep(1)
                await lane.append(sealed(lane))
            assert asyncio.get_running_loop().time() < 62

    loop.run(scene())


def test_a_disk_that_does_nothing_at_all_costs_no_segment() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            for call in ("read", "move", "make_folder", "replace", "create"):
                site.disk.fail(call, errno.EIO, times=None)
            for _ in range(12):
                await lane.filled()
                assert await held(lane) == []
            site.disk.heal()
            await lane.filled()
            assert await held(lane) == frames
            assert await losses(spool) == {}

    loop.run(scene())


@pytest.mark.parametrize("code", ["identity_conflict", "bad_batch"])
def test_a_rejected_frame_that_cannot_be_read_just_now_stays_held(code: str) -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            (frame,) = await fill(lane, 1)
            rejected = {frame.identity: Settlement("rejected", code)}
            site.disk.fail("read", errno.EIO, times=None, where="telemetry")
            await lane.settle(rejected)
            assert lane.inventory()[0].held == ((0, 1),)
            site.disk.heal()
            await asyncio.sleep(61)
            assert await held(lane) == [frame]
            assert await losses(spool) == {}
            await lane.settle(rejected)
            if code == "identity_conflict":
                (again,) = await held(lane)
                assert (again.payload, again.identity == frame.identity) == (frame.payload, False)
            else:
                assert await held(lane) == []
                assert await losses(spool) == {("telemetry", frame.identity.epoch, "rejected"): ((0, 1),)}

    loop.run(scene())


def test_a_segment_that_was_never_read_and_goes_by_quota_is_declared() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site)
        site.disk.fail("read", errno.EIO, times=None, where=site.segments()[0].name)
        site.options = tight(2 * MIB)
        async with site.opened() as (spool, _lamps):
            await fill(spool.lane("telemetry"), 2, size=400_000)
            assert await losses(spool) == {("telemetry", frames[0].identity.epoch, "quota"): ((0, 2),)}

    loop.run(scene())


def test_an_adopted_frame_is_durable_only_once_this_life_synced_it() -> None:
    async def scene() -> None:
        site = Site()
        spool, _lamps = site.spool()
        await spool.open()
        await fill(spool.lane("telemetry"), 1)
        frame = sealed(spool.lane("telemetry"))
        before = dict(site.disk.calls)
        site.disk.cut_at(4)
        with pytest.raises(PowerCut):
            await spool.lane("telemetry").append(frame)
        made = {call for call, times in site.disk.calls.items() if times > before.get(call, 0)}
        assert made == {"read", "space", "append", "sync"}, "the world stopped between the append and its sync"
        site.disk.kill()
        spool, _lamps = site.spool()
        await spool.open()
        lane = spool.lane("telemetry")
        assert await lane.adopt(frame)
        assert [one.identity.seq for one in await held(lane)] == [0, 1]
        written = site.disk.written
        assert await lane.adopt(frame)
        assert site.disk.written == written
        site.disk.crash()
        async with site.opened() as (again, _lamps):
            assert frame in await held(again.lane("telemetry"))
            assert await losses(again) == {}

    loop.run(scene())


def test_segments_with_a_few_frames_left_are_not_scanned_at_each_look() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 60, size=100_000)
            left = frames[::10]
            await lane.settle({frame.identity: STORED for frame in frames if frame not in left})
            assert await held(lane) == left
            before, segments = site.disk.calls["read"], len(site.segments())
            for _ in range(10):
                assert await held(lane) == left
            assert site.disk.calls["read"] - before == 10 * segments

    loop.run(scene())
