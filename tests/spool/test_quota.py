"""Quotas: the oldest go first, declared before they go."""

import asyncio
import errno
from dataclasses import replace

from edge_agent.model.verdict import Settlement
from edge_agent.spool.losses import losses_in
from edge_agent.spool.options import MIB, Quota, ReportsQuota
from edge_agent.spool.segment import OPENING_BYTES
from edge_agent.wire.frame import encoded_size
from tests.sim import loop
from tests.sim.disk import MemoryDisk
from tests.spool.site import FOLDER, ROOMY, Site, fill, held, losses, sealed, tight

STORED = Settlement("stored")


def test_a_lane_never_grows_past_its_size_and_declares_what_went() -> None:
    async def scene() -> None:
        site = Site(options=tight(100_000))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = []
            for _ in range(100):
                frames += await fill(lane, 1, size=3000)
                assert lane.depth().bytes <= 100_000
            lent = await held(lane)
            assert lent == frames[-len(lent) :]
            assert len(lent) >= 26
            gone = frames[: -len(lent)]
            declared = await losses(spool)
            (ranges,) = declared.values()
            assert sum(end - start for start, end in ranges) == len(gone)
            assert {(lane, reason) for lane, _epoch, reason in declared} == {("telemetry", "quota")}

    loop.run(scene())


def test_what_memory_held_while_the_disk_was_full_comes_to_it_a_segment_at_a_time() -> None:
    async def scene() -> None:
        site = Site(options=tight(16_000))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            await fill(lane, 60, size=200)
            site.disk.fail("append", errno.ENOSPC, times=None)
            for _ in range(60):
                await lane.append(sealed(lane, 200))
            site.disk.heal()
            await asyncio.sleep(60)
            assert await lane.append(sealed(lane, 200))
            sizes = [len(site.disk.content(path)) for path in site.segments()]
            assert max(sizes) <= 2000 + OPENING_BYTES
            assert sum(sizes) <= 16_000

    loop.run(scene())


def test_what_was_settled_is_not_declared_when_its_segment_goes() -> None:
    async def scene() -> None:
        site = Site(options=tight(80_000))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 20, size=3000)
            await lane.settle({frame.identity: STORED for frame in frames[1::2]})
            await fill(lane, 20, size=3000)
            declared = await losses(spool)
            numbers = {n for ranges in declared.values() for pair in ranges for n in range(*pair)}
            assert numbers
            assert all(number % 2 == 0 or number >= 20 for number in numbers)

    loop.run(scene())


def test_a_loss_is_declared_on_disk_before_its_segment_goes() -> None:
    async def scene(stop: int) -> bool:
        site = Site(options=tight(30_000))
        spool, _lamps = site.spool()
        await spool.open()
        lane = spool.lane("telemetry")
        frames = await fill(lane, 8, size=3000)
        task = asyncio.ensure_future(fill(lane, 3, size=3000))
        for _ in range(stop):
            await asyncio.sleep(0)
        done = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        site.disk.crash()
        async with site.opened() as (again, _lamps):
            present = {frame.identity.seq for frame in await held(again.lane("telemetry"))}
            declared = {n for ranges in (await losses(again)).values() for pair in ranges for n in range(*pair)}
            assert present | declared >= {frame.identity.seq for frame in frames}
        return done

    stop = 0
    while not loop.run(scene(stop)):
        stop += 1


def test_segments_older_than_the_age_in_powered_on_time_go() -> None:
    async def scene() -> None:
        site = Site(options=tight(MIB, max_age=3600))
        async with site.opened() as (spool, _lamps):
            await fill(spool.lane("telemetry"), 1)
            await asyncio.sleep(3000)
        site.axis = "boot-2.0"
        async with site.opened() as (spool, _lamps):
            # This boot's axis begins at 1000 s: so much is known to have passed since the first boot's segment.
            lane = spool.lane("telemetry")
            await asyncio.sleep(2000)
            young = await fill(lane, 1)
            assert len(await held(lane)) == 2
            assert lane.depth().oldest == 0
            await asyncio.sleep(700)
            young += await fill(lane, 1)
            assert await held(lane) == young
            assert [reason for _lane, _epoch, reason in await losses(spool)] == ["age"]

    loop.run(scene())


def test_a_file_system_that_is_nearly_full_stops_growth_but_never_below_what_may_be_kept() -> None:
    async def scene() -> None:
        quota = Quota(4 * MIB, 1e6, 200_000)
        options = replace(ROOMY, telemetry=quota, min_free_bytes=500_000)
        site = Site(disk=MemoryDisk(max_bytes=2 * MIB), options=options)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            most = 0
            for _ in range(600):
                await fill(lane, 1, size=5000)
                most = max(most, lane.depth().bytes)
            assert 2 * MIB - 500_000 - 90_000 < most <= 2 * MIB - 500_000
            site.disk.plant(FOLDER.parent / "others", bytes(2 * MIB - most - 20_000))
            before = lane.depth().bytes
            for _ in range(20):
                await fill(lane, 1, size=5000)
            assert 200_000 < lane.depth().bytes <= before

    loop.run(scene())


def test_the_room_that_a_lane_tells_is_what_quota_file_system_and_memory_leave() -> None:
    async def scene() -> None:
        quota = Quota(MIB, 1e6, 200_000)
        options = replace(ROOMY, telemetry=quota, min_free_bytes=500_000)
        site = Site(disk=MemoryDisk(max_bytes=4 * MIB), options=options)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert lane.depth().room == MIB
            await fill(lane, 80, size=5000)
            assert lane.depth().room == MIB - lane.depth().bytes
            site.disk.plant(FOLDER.parent / "others", bytes(4 * MIB - 500_000 - lane.depth().bytes - 300_000))
            await fill(lane, 1, size=5000)
            room = lane.depth().room
            assert room is not None
            assert 100_000 < room <= 300_000, "the file system has less than the quota"
            await fill(lane, 100, size=5000)
            assert (lane.depth().room or 0) < MIB // 8, "no more than the segment that went"
            site.disk.fail("append", errno.EIO, times=None)
            frame = sealed(lane, 5000)
            assert not await lane.append(frame)
            assert lane.depth().room == options.memory_bytes - encoded_size(frame)

    loop.run(scene())


def test_a_lane_may_grow_to_what_it_may_keep_though_the_file_system_is_full() -> None:
    async def scene() -> None:
        options = replace(ROOMY, telemetry=Quota(4 * MIB, 1e6, 200_000), min_free_bytes=2**50)
        async with Site(options=options).opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 30, size=5000)
            assert await held(lane) == frames
            await fill(lane, 60, size=5000)
            assert lane.depth().bytes <= 200_000

    loop.run(scene())


def test_few_inodes_stop_growth_too() -> None:
    async def scene() -> None:
        options = replace(ROOMY, telemetry=Quota(400_000, 1e6, 0), min_free_inodes=10)
        site = Site(disk=MemoryDisk(max_inodes=15), options=options)
        async with site.opened() as (spool, _lamps):
            await fill(spool.lane("telemetry"), 90, size=5000)
            assert len(site.segments()) <= 5

    loop.run(scene())


def test_losses_outlive_the_segments_of_the_reports_lane() -> None:
    async def scene() -> None:
        options = replace(tight(30_000), reports=ReportsQuota(20_000, 1e6, 0))
        site = Site(options=options)
        async with site.opened() as (spool, _lamps):
            frames = await fill(spool.lane("telemetry"), 40, size=3000)
            for _ in range(40):
                await fill(spool.lane("reports"), 1, size=3000)
            present = {frame.identity.seq for frame in await held(spool.lane("telemetry"))}
            epoch = frames[0].identity.epoch
            ranges = (await losses(spool))[("telemetry", epoch, "quota")]
            declared = {number for pair in ranges for number in range(*pair)}
            assert present | declared == set(range(40))
            reports = await held(spool.lane("reports"))
            assert any(losses_in(frame) for frame in reports)
            assert spool.lane("reports").depth().bytes <= 25_000

    loop.run(scene())


def test_dead_letters_are_bounded() -> None:
    async def scene() -> None:
        site = Site(options=replace(ROOMY, dead_bytes=10_000))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 20, size=1000)
            await lane.settle({frame.identity: Settlement("rejected", "bad_batch") for frame in frames})
            letters = site.disk.paths(FOLDER / "dead")
            assert len(letters) == 9
            assert frames[-1].payload in site.disk.content(letters[-1])

    loop.run(scene())


def test_a_quota_cut_tenfold_is_paid_off_a_few_segments_at_a_time() -> None:
    async def scene() -> None:
        site = Site(options=tight(800_000))
        async with site.opened() as (spool, _lamps):
            frames = await fill(spool.lane("telemetry"), 150, size=5000)
        site.options = tight(80_000)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            await fill(lane, 4, size=5000)
            assert lane.depth().bytes <= 80_000
            declared = await losses(spool)
            lost = {
                number for pair in declared[("telemetry", frames[0].identity.epoch, "quota")] for number in range(*pair)
            }
            assert lost >= set(range(130))

    loop.run(scene())
