"""A state folder that goes while the agent runs, or that cannot be made when it starts: all comes back by itself."""

import asyncio
import random
import shutil
from pathlib import Path

import pytest

from edge_agent.kit.disk import SystemDisk
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.offload import Threads
from edge_agent.model.failure import DeviceError
from edge_agent.model.frame import LANES
from edge_agent.model.verdict import Settlement
from edge_agent.spool.spool import Spool
from tests.sim import loop
from tests.sim.clock import SimClock
from tests.spool.site import (
    FOLDER,
    ROOMY,
    TELEMETRY,
    NoTime,
    Site,
    fill,
    held,
    lamp,
    losses,
    put_back,
    razed,
    sealed,
)

STATE = Path("/state")
STORED = Settlement("stored")


@pytest.mark.parametrize("gone", [STATE, FOLDER, TELEMETRY])
def test_a_folder_that_is_removed_is_made_again_at_the_next_frame(gone: Path) -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            old = await fill(lane, 5)
            await lane.settle({old[1].identity: STORED})
            razed(site.disk, gone)
            new = await fill(lane, 2)
            assert lamp(lamps).state == "ok"
            assert site.disk.lock(FOLDER / "lock") is None, "nobody else gets in"
            assert await held(lane) == new
            epoch = old[0].identity.epoch
            assert await losses(spool) == {("telemetry", epoch, "damaged"): ((0, 1), (2, 5))}
            assert [holding.held for holding in lane.inventory()] == [((5, 7),)]
        site.disk.crash()
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == new
            assert await losses(spool) == {("telemetry", epoch, "damaged"): ((0, 1), (2, 5))}

    loop.run(scene())


def test_every_lane_finds_out() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            for name in LANES:
                await fill(spool.lane(name), 2)
            razed(site.disk, STATE)
            new = {name: await fill(spool.lane(name), 1) for name in LANES}
            lost = await losses(spool)
            assert {(name, ranges) for (name, _epoch, _reason), ranges in lost.items()} == {
                (name, ((0, 2),)) for name in LANES
            }
        site.disk.crash()
        async with site.opened() as (spool, _lamps):
            for name in LANES:
                assert set(new[name]) <= set(await held(spool.lane(name)))

    loop.run(scene())


def test_an_open_segment_that_is_removed_takes_no_further_frame() -> None:
    async def scene() -> None:
        site = Site()
        spool, _lamps = site.spool()
        await spool.open()
        lane = spool.lane("telemetry")
        old = await fill(lane, 2)
        (segment,) = site.segments()
        razed(site.disk, segment)
        new = await fill(lane, 2)
        site.disk.crash()
        async with site.opened() as (again, _lamps):
            assert await held(again.lane("telemetry")) == new
            assert await losses(again) == {("telemetry", old[0].identity.epoch, "damaged"): ((0, 2),)}

    loop.run(scene())


def test_segments_of_earlier_lives_that_nobody_read_are_declared_by_their_names() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            old = await fill(spool.lane("telemetry"), 9, size=400_000)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            claimed = lane.inventory()[0].held
            assert claimed[0][0] == 0
            razed(site.disk, STATE)
            await fill(lane, 1)
            assert await losses(spool) == {("telemetry", old[0].identity.epoch, "damaged"): claimed}

    loop.run(scene())


def test_what_goes_is_declared_when_it_is_read_though_nothing_is_written() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            old = await fill(spool.lane("telemetry"), 9, size=400_000)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            claimed = lane.inventory()[0].held
            razed(site.disk, STATE)
            assert await held(lane) == []
            assert await losses(spool) == {("telemetry", old[0].identity.epoch, "damaged"): claimed}

    loop.run(scene())


def test_a_file_in_place_of_the_folder_holds_frames_in_memory_until_it_goes() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            old = await fill(lane, 2)
            site.disk.plant(STATE, b"in the way")
            new = [sealed(lane) for _ in range(3)]
            for frame in new[:2]:
                assert not await lane.append(frame)
            assert lamp(lamps).state == "warn"
            await asyncio.sleep(60)
            assert not await spool.lane("events").append(sealed(spool.lane("events")))
            assert site.disk.content(STATE) == b"in the way"
            site.disk.unlink(STATE)
            await asyncio.sleep(11)
            assert await lane.append(new[2])
            assert lamp(lamps).state == "ok"
            assert await held(lane) == new
            assert await losses(spool) == {("telemetry", old[0].identity.epoch, "damaged"): ((0, 2),)}
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == new
            assert len(await held(spool.lane("events"))) == 1

    loop.run(scene())


@pytest.mark.parametrize("restored", [False, True])
def test_a_file_in_place_of_the_folder_at_the_start_is_waited_for(*, restored: bool) -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            old = await fill(spool.lane("telemetry"), 2)
        real = razed(site.disk, STATE)
        site.disk.plant(STATE, b"in the way")
        async with site.opened() as (spool, lamps):
            lane = spool.lane("telemetry")
            assert lamp(lamps).state == "warn"
            new = [sealed(lane) for _ in range(2)]
            assert not await lane.append(new[0])
            site.disk.unlink(STATE)
            if restored:
                put_back(site.disk, STATE, real)
            await asyncio.sleep(11)
            assert await lane.append(new[1])
            assert lamp(lamps).state == "ok"
            assert await held(lane) == [*(old if restored else ()), *new]
            assert await losses(spool) == {}

    loop.run(scene())


def test_a_folder_that_is_removed_from_a_real_disk_is_made_again_and_locked(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "spool" / "hub"

    def real() -> tuple[Spool, LampBoard, SimClock]:
        clock = SimClock()
        lamps = LampBoard(clock, lambda _lamp: None)
        spool = Spool(ROOMY, folder, "car-3", SystemDisk(), Threads(), clock, random.Random(3), lamps, NoTime())
        return spool, lamps, clock

    async def scene() -> None:
        spool, lamps, _clock = real()
        await spool.open()
        lane = spool.lane("telemetry")
        old = await fill(lane, 3)
        shutil.rmtree(tmp_path / "state")
        new = await fill(lane, 3)
        assert lamp(lamps).state == "ok"
        assert await held(lane) == new
        assert await losses(spool) == {("telemetry", old[0].identity.epoch, "damaged"): ((0, 3),)}
        second, _lamps, _clock = real()
        with pytest.raises(DeviceError, match="another process"):
            await second.open()
        shutil.rmtree(tmp_path / "state")
        (tmp_path / "state").write_text("in the way")
        waiting = sealed(lane)
        assert not await lane.append(waiting)
        assert lamp(lamps).state == "warn"
        (tmp_path / "state").unlink()
        await spool.close()
        again, _lamps, _clock = real()
        await again.open()
        assert await held(again.lane("telemetry")) == [waiting]
        await again.close()

    asyncio.run(scene())
