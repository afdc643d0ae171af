"""The standing reserve: what is lost is known after a crash, though the disk took no frame that says so."""

import asyncio
import errno
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.model.frame import Frame, FrameKind, Identity, Loss
from edge_agent.model.ranges import difference, union
from edge_agent.model.verdict import Settlement
from edge_agent.spool.options import ReportsQuota
from edge_agent.spool.reserve import Reserve
from edge_agent.wire import record
from edge_agent.wire.frame import encode
from tests.sim import loop
from tests.sim.disk import MemoryDisk, PowerCut
from tests.spool.site import FOLDER, Site, fill, held, losses, razed, sealed, tight

STORED = Settlement("stored")
PATH = FOLDER / "reserve"


def fill_the_disk(site: Site, *, inodes: bool) -> None:
    """Nothing new is taken; what stands can be written over and removed."""
    code = errno.EDQUOT if inodes else errno.ENOSPC
    for call in ("create", "replace") if inodes else ("create", "replace", "append"):
        site.disk.fail(call, code, times=None, where="reports")
    site.disk.fail("replace", code, times=None, where="reserve")


@pytest.mark.parametrize("inodes", [False, True])
def test_a_loss_on_a_full_disk_is_known_after_a_crash(*, inodes: bool) -> None:
    async def scene() -> None:
        site = Site(options=tight(30_000))
        spool, _lamps = site.spool()
        await spool.open()
        lane = spool.lane("telemetry")
        frames = await fill(lane, 8, size=3000)
        fill_the_disk(site, inodes=inodes)
        frames += await fill(lane, 8, size=3000)
        present = {frame.identity.seq for frame in await held(lane)}
        assert len(present) < 16
        site.disk.crash()
        site.disk.heal()
        async with site.opened() as (again, _lamps):
            epoch = frames[0].identity.epoch
            expected = difference(((0, 16),), union((number, number + 1) for number in present))
            assert await losses(again) == {("telemetry", epoch, "quota"): expected}
            assert site.segments("reports"), "a frame has them now"
            assert Reserve(site.disk, FOLDER).read() == []

    loop.run(scene())


def test_what_memory_dropped_is_known_after_a_crash_too() -> None:
    async def scene() -> None:
        site = Site(options=replace(tight(10**6), memory_bytes=10_000))
        spool, _lamps = site.spool()
        await spool.open()
        lane = spool.lane("telemetry")
        for call in ("append", "create", "replace"):
            site.disk.fail(call, errno.ENOSPC, times=None)
        frames = [sealed(lane, 1000) for _ in range(20)]
        for frame in frames:
            assert not await lane.append(frame)
        await held(spool.lane("reports"))
        site.disk.crash()
        site.disk.heal()
        async with site.opened() as (again, _lamps):
            epoch = frames[0].identity.epoch
            assert await losses(again) == {("telemetry", epoch, "no_space"): ((0, 11),)}

    loop.run(scene())


def test_it_is_emptied_once_the_hub_settled_what_only_memory_had() -> None:
    async def scene() -> None:
        site = Site(options=tight(30_000))
        async with site.opened() as (spool, _lamps):
            lane, reports = spool.lane("telemetry"), spool.lane("reports")
            await fill(lane, 8, size=3000)
            fill_the_disk(site, inodes=False)
            await fill(lane, 8, size=3000)
            told = await held(reports)
            assert told
            assert Reserve(site.disk, FOLDER).read()
            await reports.settle({frame.identity: STORED for frame in told})
            assert Reserve(site.disk, FOLDER).read() == []
            site.disk.heal()

    loop.run(scene())


def test_whatever_call_is_the_last_on_a_full_disk_what_was_durable_is_there_or_declared() -> None:
    async def scene(call: int) -> bool:
        site, cut = Site(options=tight(30_000)), False
        spool, _lamps = site.spool()
        await spool.open()
        lane = spool.lane("telemetry")
        durable: list[Frame] = await fill(lane, 8, size=3000)
        fill_the_disk(site, inodes=False)
        site.disk.cut_at(call)
        try:
            for _ in range(6):
                frame = sealed(lane, 3000)
                if await lane.append(frame):
                    durable.append(frame)
            await held(spool.lane("reports"))
            await asyncio.sleep(11)
        except PowerCut:
            cut = True
        site.disk.crash()
        site.disk.heal()
        async with site.opened() as (again, _lamps):
            present = {frame.identity for frame in await held(again.lane("telemetry"))}
            declared = {
                Identity(epoch, number)
                for (_lane, epoch, _reason), ranges in (await losses(again)).items()
                for pair in ranges
                for number in range(*pair)
            }
            assert present | declared >= {frame.identity for frame in durable}
        return cut

    call = 1
    while loop.run(scene(call)):
        call += 1
    assert call > 15


def cut_short(site: Site) -> None:
    site.disk.plant(PATH, site.disk.content(PATH)[:100])


def remove(site: Site) -> None:
    site.disk.unlink(PATH)


@pytest.mark.parametrize(
    "wound",
    [
        remove,
        cut_short,
        lambda site: site.disk.plant(PATH, b""),
        lambda site: site.disk.plant(PATH, random.Random(1).randbytes(2**16)),
        lambda site: (razed(site.disk, PATH), site.disk.make_folder(PATH)),
    ],
)
def test_its_absence_or_damage_stops_nothing(wound: Callable[[Site], object]) -> None:
    async def scene() -> None:
        site = Site(options=tight(30_000))
        async with site.opened() as (spool, _lamps):
            await fill(spool.lane("telemetry"), 8, size=3000)
            wound(site)
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            await fill(lane, 8, size=3000)
            assert await losses(spool)
            wound(site)
            fill_the_disk(site, inodes=False)
            frames = await fill(lane, 8, size=3000)
            assert await losses(spool)
            site.disk.heal()
            assert frames[-1] in await held(lane)
            assert lamps.all()[0].state in {"ok", "warn"}

    loop.run(scene())


def test_a_write_that_is_cut_leaves_what_stood_before() -> None:
    disk = MemoryDisk()
    disk.make_folder(FOLDER)
    reserve = Reserve(disk, FOLDER)
    reserve.make()
    older = [Loss("telemetry", 5, ((0, 9),), "quota")]
    for losses_now in ([], older):
        reserve.keep(losses_now)
    torn = [Loss("telemetry", 5, ((0, 12),), "quota")]
    disk.cut_at(1)
    with pytest.raises(PowerCut):
        reserve.keep(torn)
    disk.crash()
    again = Reserve(disk, FOLDER)
    assert again.read() == older
    again.keep(torn)
    assert Reserve(disk, FOLDER).read() == torn


def test_what_does_not_fit_is_left_out_and_nothing_is_joined_over_a_gap() -> None:
    disk = MemoryDisk()
    disk.make_folder(FOLDER)
    reserve = Reserve(disk, FOLDER)
    reserve.make()
    chance = random.Random(4)
    starts = sorted(chance.sample(range(0, 2**40, 2**10), 40_000))
    many = union((start, start + chance.randrange(1, 1000)) for start in starts)
    long = (2**41, 2**42)
    reserve.keep([Loss("telemetry", 7, (*many, long), "quota"), Loss("events", 8, ((3, 4),), "damaged")])
    (kept,) = [loss for loss in Reserve(disk, FOLDER).read() if loss.lane == "telemetry"]
    assert set(kept.ranges) < {*many, long}
    assert long in kept.ranges
    assert len(kept.ranges) > 1000
    assert len(disk.content(PATH)) == 2**16


def test_losses_in_a_reports_segment_that_somebody_removed_are_told_again() -> None:
    async def scene() -> None:
        site = Site(options=replace(tight(30_000), reports=ReportsQuota(10**6, 1e6, 0)))
        async with site.opened() as (spool, _lamps):
            await fill(spool.lane("telemetry"), 20, size=3000)
            before = await losses(spool)
            assert before
            for path in site.segments("reports"):
                site.disk.unlink(path)
            await fill(spool.lane("reports"), 1)
            after = await losses(spool)
            assert {key: ranges for key, ranges in after.items() if key[0] == "telemetry"} == before
            assert {key[2] for key in after if key[0] == "reports"} == {"damaged"}

    loop.run(scene())


@pytest.mark.parametrize(
    "wound", [{"ranges": [[0, 1e30]]}, {"ranges": [["0", "9" * 40]]}, {"epoch": "-4d"}, {"epoch": "f" * 40}]
)
def test_numbers_that_no_frame_can_have_are_passed_over(wound: dict[str, Any]) -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened():
            pass
        said = [
            {"at": 0, "type": "loss", "lane": "telemetry", "epoch": "4d", "ranges": [[0, 3]], "reason": "quota", **more}
            for more in ({}, wound)
        ]
        slot = encode(Frame(FrameKind.REPORTS, Identity(0, 0), 0, record.pack("boot.0", None, {}, said)))
        site.disk.plant(PATH, slot + bytes(2**16 - len(slot)))
        async with site.opened() as (spool, _lamps):
            assert await losses(spool) == {("telemetry", 0x4D, "quota"): ((0, 3),)}

    loop.run(scene())
