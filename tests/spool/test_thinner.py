"""The thinner: over quota full segments become coarser, and stand for the same numbers, before any is dropped."""

import asyncio
import errno
from dataclasses import replace
from itertools import pairwise

from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.verdict import Settlement
from edge_agent.wire.coarse import stand_in_epoch
from edge_agent.wire.frame import encode
from tests.sim import loop
from tests.sim.disk import MemoryDisk
from tests.spool.batches import (
    QUOTA,
    Machine,
    claimed,
    counters,
    feed,
    numbers_of,
    opened,
    stood_for,
    thinned_once,
    windows,
)
from tests.spool.site import FOLDER, Site, fill, held, losses, sealed, tight

STORED = Settlement("stored")


def test_full_segments_are_thinned_oldest_first_then_once_more_and_only_then_evicted() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA // 2))
        async with site.opened() as (spool, _lamps):
            lane, machine = spool.lane("telemetry"), Machine(gauges=8)
            frames: list[Frame] = []
            seen: list[tuple[int, ...]] = []
            while not frames or lane.inventory()[0].held[0][0] == 0:
                frames += await feed(lane, machine, 1)
                assert lane.depth().bytes <= QUOTA // 2
                seen.append(tuple(windows(site)))
            for now in set(seen):
                full = now.index(0) if 0 in now else len(now)
                assert not any(now[full:]), "what is full is younger than what is thinned"
                assert list(now) == sorted(now, reverse=True) or 0 not in now[:-1]
                assert 60 not in now or now.count(0) <= 2, "60 s only when nothing is full but what was open then"
            assert 10 in {window for now in seen for window in now}
            assert set(seen[-2]) <= {60, 0}, "evicted only when nothing is left to thin"
            lent = await held(lane)
            lost = {number for pair in next(iter((await losses(spool)).values())) for number in range(*pair)}
            epoch = frames[0].identity.epoch
            assert stood_for(lent) | {Identity(epoch, number) for number in lost} == {f.identity for f in frames}
            assert claimed(lane) == stood_for(lent)
            assert len(frames) > 3 * QUOTA / 2 / max(len(encode(frame)) for frame in frames)

    loop.run(scene())


def test_a_stand_in_has_its_own_identity_and_is_settled_by_it() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        frames = await thinned_once(site)
        epoch = frames[0].identity.epoch
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            first, *rest = await held(lane)
            assert first.kind == FrameKind.THINNED
            assert first.identity == (stand_in_epoch(epoch, 10_000), 0)
            assert [holding.epoch for holding in lane.inventory()][:-1] == [epoch]
            (_epoch, ((_first, after),)) = numbers_of(first)
            await lane.settle({first.identity: STORED})
            assert claimed(lane) == {Identity(epoch, number) for number in range(after, len(frames))}
            assert await held(lane) == rest
            assert 10 not in windows(site)
            assert await losses(spool) == {}

    loop.run(scene())


def test_a_full_frame_whose_answer_comes_after_the_thinning_lets_go_of_its_number() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        async with site.opened() as (spool, _lamps):
            lane, machine = spool.lane("telemetry"), Machine()
            frames = await feed(lane, machine, 5)
            sent = await lane.oldest(10**6, 3)
            while 10 not in windows(site):
                frames += await feed(lane, machine, 1)
            await lane.settle({frame.identity: STORED for frame in sent})
            assert claimed(lane) == {frame.identity for frame in frames[3:]}
            await lane.settle({frames[4].identity: Settlement("rejected", "bad_batch")})
            assert frames[4].identity in claimed(lane), "the word comes again, for the frame that stands for it now"
            stand_in = (await held(lane))[0]
            await lane.settle({stand_in.identity: STORED})
            assert not claimed(lane) & stood_for([stand_in])

    loop.run(scene())


def test_a_rejected_stand_in_is_lost_in_the_numbers_that_it_stands_for() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        frames = await thinned_once(site)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            first = (await held(lane))[0]
            epoch, ranges = numbers_of(first)
            await lane.settle({first.identity: Settlement("rejected", "identity_conflict")})
            assert await losses(spool) == {("telemetry", epoch, "rejected"): ranges}
            assert claimed(lane) == {frame.identity for frame in frames} - stood_for([first])
            (letter,) = site.disk.paths(FOLDER / "dead")
            assert first.payload in site.disk.content(letter)

    loop.run(scene())


def test_what_is_no_batch_is_passed_over_and_evicted_in_its_turn() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            strange = await fill(lane, 10, size=1200)
            frames = await feed(lane, Machine(), 200)
            assert 10 in windows(site)
            lost = {number for pair in next(iter((await losses(spool)).values()), ()) for number in range(*pair)}
            present = stood_for(await held(lane))
            everything = {frame.identity for frame in (*strange, *frames)}
            assert present | {Identity(strange[0].identity.epoch, number) for number in lost} == everything
            assert all(number < 20 for number in lost)

    loop.run(scene())


def test_a_window_that_saves_little_is_not_used() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        async with site.opened() as (spool, _lamps):
            lane, machine = spool.lane("telemetry"), Machine(step=10_000, span=100_000)
            frames = await feed(lane, machine, 140)
            assert set(windows(site)) == {0, 60}
            assert stood_for(await held(lane)) == {frame.identity for frame in frames}

    loop.run(scene())


def test_a_disk_with_no_room_for_both_files_evicts_as_ever() -> None:
    async def scene() -> None:
        site = Site(disk=MemoryDisk(max_bytes=QUOTA + 90_000), options=tight(QUOTA))
        async with site.opened() as (spool, _lamps):
            lane, machine = spool.lane("telemetry"), Machine()
            site.disk.fail("replace", errno.ENOSPC, times=None, where="telemetry")
            frames = await feed(lane, machine, 140)
            assert set(windows(site)) == {0}
            lost = {number for pair in next(iter((await losses(spool)).values())) for number in range(*pair)}
            present = {frame.identity.seq for frame in await held(lane)}
            assert present | lost == {frame.identity.seq for frame in frames}
            site.disk.heal()
            await feed(lane, machine, 30)
            assert 10 in windows(site), "thinned again once it works"

    loop.run(scene())


def test_no_counter_is_falsified_and_every_reset_is_kept() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        machine = Machine()
        async with site.opened() as (spool, _lamps):
            frames = await feed(spool.lane("telemetry"), machine, 200)
            assert set(windows(site)) > {0}
        async with site.opened() as (spool, _lamps):
            lent = await held(spool.lane("telemetry"))
            assert stood_for(lent) == {frame.identity for frame in frames}
            kept = counters(lent)
            assert set(kept) <= set(machine.counted.items()), "each is a reading that was made"
            assert rise(kept) == rise(sorted(machine.counted.items()))

    def rise(readings: list[tuple[int, float]]) -> float:
        """What the counter grew in all, as its reader works it out."""
        values = [value for _at, value in readings]
        return sum(after - before if after >= before else after for before, after in pairwise(values))

    loop.run(scene())


def test_means_of_a_thinned_gauge_lie_between_its_least_and_greatest() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        await thinned_once(site)
        async with site.opened() as (spool, _lamps):
            first = (await held(spool.lane("telemetry")))[0]
            gauges = next(track for track in opened(first).tracks if track.counts is not None)
            assert gauges.counts is not None
            assert {count for column in gauges.counts for count in column} == {10}

    loop.run(scene())


def test_a_thinned_segment_is_as_old_as_it_was_and_goes_by_its_age() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA, max_age=3600))
        async with site.opened() as (spool, _lamps):
            lane, machine = spool.lane("telemetry"), Machine()
            frames = await feed(lane, machine, 40)
            await asyncio.sleep(3000)
            assert await spool.thin(10_000)
            await asyncio.sleep(700)
            await feed(lane, machine, 1)
            lost = await losses(spool)
            assert [reason for _lane, _epoch, reason in lost] == ["age"]
            present = {identity.seq for identity in stood_for(await held(lane))}
            gone = {number for pair in next(iter(lost.values())) for number in range(*pair)}
            assert present | gone == set(range(len(frames) + 1))
            assert not present & gone

    loop.run(scene())


def test_what_is_thinned_by_hand_ends_at_the_window_that_was_asked_for() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await feed(lane, Machine(), 60)
            before, freed = lane.depth().bytes, 0
            while step := await spool.thin(10_000):
                freed += step
            assert lane.depth().bytes == before - freed
            assert set(windows(site)[:-1]) == {10}
            assert windows(site)[-1] == 0, "the open segment stays"
            while await spool.thin(60_000):
                pass
            assert stood_for(await held(lane)) == {frame.identity for frame in frames}

    loop.run(scene())


def test_another_devices_segments_go_in_their_turn_and_are_no_loss_of_ours() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA), device="car-4")
        async with site.opened() as (spool, _lamps):
            await fill(spool.lane("telemetry"), 30, size=2000)
        site.device = "car-3"
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = [sealed(lane, 2000) for _ in range(60)]
            for frame in frames:
                assert await lane.append(frame)
            assert lane.depth().bytes <= QUOTA
            assert {epoch for _lane, epoch, _reason in await losses(spool)} <= {frames[0].identity.epoch}
            assert frames[-1] in await held(lane)
        assert all(path.name.startswith("00000002") for path in site.segments())

    loop.run(scene())


def test_other_lanes_are_never_thinned() -> None:
    async def scene() -> None:
        site = Site(options=replace(tight(QUOTA), events=replace(tight(QUOTA).events, max_bytes=40_000, keep_bytes=0)))
        async with site.opened() as (spool, _lamps):
            site.disk.calls.clear()
            await fill(spool.lane("events"), 40, size=2000)
            assert not site.disk.calls["replace"]
            assert len(await losses(spool)) == 1

    loop.run(scene())
