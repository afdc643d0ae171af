"""Thinned segments on disk: found by their names, whole or not there, damaged, put back from outside."""

import errno
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.ranges import union
from edge_agent.model.verdict import Settlement
from edge_agent.spool.inspect import frames_of, listing, verify
from edge_agent.spool.segment import parse_name
from edge_agent.spool.thins import MOST_BODY, thins_of
from edge_agent.wire.batch import unzip
from edge_agent.wire.coarse import Coarsener, stand_in_epoch
from tests.sim import loop
from tests.sim.disk import PowerCut
from tests.spool.batches import QUOTA, Machine, claimed, feed, numbers_of, stood_for, thinned_once
from tests.spool.site import FOLDER, TELEMETRY, Site, held, losses, tight
from tests.spool.test_scan import flipped

STORED = Settlement("stored")


@pytest.mark.parametrize("end", ["crash", "kill"])
def test_whatever_call_is_the_last_while_thinning_each_number_is_there_once(end: str) -> None:
    async def scene(call: int) -> bool:
        site, frames = Site(options=tight(QUOTA)), list(sealed_before)
        for path in before.segments():
            site.disk.plant(path, before.disk.content(path))
        spool, _lamps = site.spool()
        await spool.open()
        lane, cut = spool.lane("telemetry"), False
        last = Machine().seal(lane)
        site.disk.cut_at(call)
        try:
            for widest in (10_000, 10_000, 60_000):
                await spool.thin(widest)
            if await lane.append(last):
                frames.append(last)
        except PowerCut:
            cut = True
        site.disk.crash() if end == "crash" else site.disk.kill()
        async with site.opened() as (again, _lamps):
            lane = again.lane("telemetry")
            lent = await held(lane)
            assert {frame.identity for frame in frames} <= stood_for(lent) <= {f.identity for f in (*frames, last)}
            assert claimed(lane) == stood_for(lent)
            assert await losses(again) == {}
            assert verify(site.disk, FOLDER) == []
        assert not [path for path in site.disk.paths(TELEMETRY) if path.suffix != ".seg"]
        return cut

    async def prepared() -> list[Frame]:
        async with before.opened() as (spool, _lamps):
            return await feed(spool.lane("telemetry"), Machine(), 30)

    before = Site(options=tight(QUOTA))
    sealed_before = loop.run(prepared())
    call = 1
    while loop.run(scene(call)):
        call += 1
    assert call > 15


def test_of_a_segment_and_its_thinned_forms_the_widest_holds_by_its_name() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        async with site.opened() as (spool, _lamps):
            frames = await feed(spool.lane("telemetry"), Machine(), 60)
            forms = dict[Any, bytes]()
            for widest in (10_000, 60_000):
                forms |= {path: site.disk.content(path) for path in site.segments()}
                while await spool.thin(widest):
                    pass
            after = site.segments()
        for path, data in forms.items():
            site.disk.plant(path, data)
        site.disk.plant(after[0].with_name(after[0].name + ".new"), b"unfinished")
        assert len(site.segments()) > len(after)
        async with site.opened() as (spool, _lamps):
            lent = await held(spool.lane("telemetry"))
            assert stood_for(lent) == {frame.identity for frame in frames}
            assert len(site.segments()) == len(after)
            assert site.disk.paths(TELEMETRY) == site.segments()
            assert verify(site.disk, FOLDER) == []
            assert {found.window for found in listing(site.disk, FOLDER)} <= {0, 10_000, 60_000}
            assert frames_of(site.disk, site.segments()[0])[0] == lent[0]

    loop.run(scene())


def test_damage_to_a_thinned_segment_is_declared_in_the_numbers_it_stood_for() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        frames = await thinned_once(site)
        path = site.segments()[0]
        name = parse_name(path.name)
        assert name is not None
        site.disk.plant(path, flipped(site.disk.content(path), 800))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            present = stood_for(await held(lane))
            assert await losses(spool) == {("telemetry", name.epoch, "damaged"): ((0, name.after),)}
            assert present == {frame.identity for frame in frames[name.after :]} == claimed(lane)

    loop.run(scene())


def test_a_thinned_frame_from_outside_is_kept_as_a_segment_of_its_own() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        await thinned_once(site)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            lent = await held(lane)
            letter = lent[0]
            await lane.settle({frame.identity: STORED for frame in lent})
            assert await lane.adopt(letter)
            assert await lane.adopt(letter)
            assert await held(lane) == [letter]
            assert claimed(lane) == stood_for([letter])
        site.disk.crash()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert await held(lane) == [letter]
            site.disk.fail("replace", errno.ENOSPC, times=None)
            await lane.settle({letter.identity: STORED})
            assert not await lane.adopt(letter)
            assert await held(lane) == []

    loop.run(scene())


def test_an_unread_thinned_segment_claims_what_its_name_says() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        frames = await thinned_once(site)
        site.disk.calls.clear()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            # The end of an epoch's last segment is not known before it is read.
            assert {identity.seq for identity in claimed(lane)} >= set(range(len(frames) - 25))
            assert site.disk.calls["read"] == 3
            depth = lane.depth().frames
            lent = await held(lane)
            assert claimed(lane) == stood_for(lent) == {frame.identity for frame in frames}
            assert depth <= lane.depth().frames == len(lent)

    loop.run(scene())


def test_a_frame_that_comes_again_after_its_segment_was_thinned_is_not_beaten_by_it() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        async with site.opened() as (spool, _lamps):
            orphans = [Machine().seal(spool.lane("telemetry")) for _ in range(3)]
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            for orphan in orphans:
                assert await lane.adopt(orphan)
            await feed(lane, Machine(), 1)
            await lane.settle({orphans[0].identity: STORED})
            assert await spool.thin(10_000)
            assert await lane.adopt(orphans[0])
        site.disk.crash()
        async with site.opened() as (spool, _lamps):
            lent = await held(spool.lane("telemetry"))
            assert orphans[0] in lent
            assert {orphan.identity for orphan in orphans} <= stood_for(lent)

    loop.run(scene())


def test_a_torn_copy_of_a_batch_takes_no_number_from_the_segment_that_stands_for_all_of_it() -> None:
    async def scene() -> None:
        site = Site(options=tight(QUOTA))
        frames = await thinned_once(site)
        name = parse_name(site.segments()[0].name)
        assert name is not None
        torn = replace(frames[1], payload=Machine(step=5000).batch(1))
        site.disk.crash()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert await lane.adopt(torn)
            lent = await held(lane)
            assert stood_for(lent) == {frame.identity for frame in frames}
            assert torn not in lent
            while not (lost := await losses(spool)):
                await feed(lane, Machine(), 1)
            assert lost == {("telemetry", name.epoch, "quota"): ((0, name.after),)}

    loop.run(scene())


def test_a_payload_that_does_not_say_what_it_stands_for_says_nothing() -> None:
    for payload in (b"", b"junk", Machine().batch(0)):
        assert thins_of(Frame(FrameKind.THINNED, Identity(1, 0), 0, payload)) is None


async def batches(count: int) -> list[Frame]:
    """Full frames of another spool, one epoch."""
    async with Site().opened() as (spool, _lamps):
        return await feed(spool.lane("telemetry"), Machine(), count)


def stand_in(frames: Sequence[Frame]) -> Frame:
    """What stands for these."""
    epoch, first = frames[0].identity
    coarsener = Coarsener(epoch, 10_000)
    for frame in frames:
        coarsener.add(((frame.identity.seq, frame.identity.seq + 1),), unzip(frame.payload, MOST_BODY))
    (made,) = coarsener.pack()
    return Frame(FrameKind.THINNED, Identity(stand_in_epoch(epoch, 10_000), first), 0, made.payload)


def test_a_thinned_frame_is_kept_though_the_name_of_a_file_that_nobody_read_tells_of_its_numbers() -> None:
    async def scene() -> None:
        frames, site = await batches(30), Site()
        for frame in (frames[0], frames[20]):
            async with site.opened() as (spool, _lamps):
                assert await spool.lane("telemetry").adopt(frame)
        letter = stand_in(frames[10:20])
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert stood_for([letter]) <= claimed(lane), "all up to the next file, while the first was not read"
            assert await lane.adopt(letter)
            assert stood_for(await held(lane)) == stood_for([frames[0], letter, frames[20]])

    loop.run(scene())


def test_a_stand_in_whose_first_number_was_settled_by_itself_is_lent_for_the_others() -> None:
    async def scene() -> None:
        frames, site = await batches(6), Site()
        letter = stand_in(frames)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert await lane.adopt(letter)
            await lane.settle({frames[0].identity: STORED})
            assert [frame.identity for frame in await held(lane)] == [letter.identity]
            await lane.settle({letter.identity: STORED})
            assert await held(lane) == []

    loop.run(scene())


def test_a_full_segment_is_not_beaten_by_a_thinned_one_that_came_from_outside_just_before() -> None:
    async def scene() -> None:
        frames, site = await batches(12), Site()
        async with site.opened() as (spool, _lamps):
            for frame in frames[:3]:
                assert await spool.lane("telemetry").adopt(frame)
        async with site.opened() as (spool, _lamps):
            for frame in (stand_in(frames[:6]), *frames):
                assert await spool.lane("telemetry").adopt(frame)
        async with site.opened() as (spool, _lamps):
            lent = [numbers_of(frame) for frame in await held(spool.lane("telemetry"))]
            assert union(*(ranges for _epoch, ranges in lent)) == ((0, 12),)

    loop.run(scene())
