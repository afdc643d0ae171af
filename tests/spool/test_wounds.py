"""What stands in the state folder can neither stop a start nor cost more than it hit."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.verdict import Settlement
from edge_agent.spool.inspect import Finding, frames_of, listing, verify
from edge_agent.spool.options import MIB
from edge_agent.wire.frame import encode, encoded_size
from tests.sim import loop
from tests.spool.site import FOLDER, TELEMETRY, Site, fill, held, losses
from tests.spool.test_scan import flipped, later_version

STORED = Settlement("stored")
JUNK = b"\x5a" * 5000


async def backlog(site: Site, frames: int = 9, size: int = 400_000) -> list[Frame]:
    """Frames of an earlier life: two a segment."""
    async with site.opened() as (spool, _lamps):
        return await fill(spool.lane("telemetry"), frames, size)


def rewrite(site: Site, path: Path, wound: Callable[[bytes], bytes]) -> None:
    site.disk.plant(path, wound(site.disk.content(path)))


FOREIGN: list[Callable[[Site], None]] = [
    lambda site: site.disk.plant(TELEMETRY / "notes.txt", JUNK),
    lambda site: site.disk.plant(TELEMETRY / "x.seg", JUNK),
    lambda site: site.disk.plant(TELEMETRY / ("9" * 40 + "-0000000000000001-0.seg"), JUNK),
    lambda site: site.disk.plant(TELEMETRY / "999999999999-0000000000000001-0000000000.seg", JUNK),
    lambda site: site.disk.plant(TELEMETRY / "00000001-ffffffffffffffff-0000000000.seg", JUNK),
    lambda site: site.disk.plant(TELEMETRY / "00000001-0000000000000001-0000000000.seg", b""),
    lambda site: site.disk.plant(TELEMETRY / "00000001-0000000000000001-0000000000.seg", bytes(9000)),
    lambda site: site.disk.plant(TELEMETRY / "00000001-0000000000000001-0000000000.seg", bytes(5 * MIB)),
    lambda site: site.disk.make_folder(TELEMETRY / "00000001-0000000000000001-0000000000.seg"),
    lambda site: site.disk.make_folder(TELEMETRY / "00000001-0000000000000001-0000000000.seg/deeper"),
    lambda site: site.disk.plant(FOLDER / "quarantine", JUNK),
    lambda site: site.disk.plant(FOLDER / "dead", JUNK),
    lambda site: site.disk.plant(FOLDER / "events", JUNK),
    lambda site: site.disk.plant(FOLDER / "lock", JUNK),
    lambda site: site.disk.plant(FOLDER / "else/where", JUNK),
]


@pytest.mark.parametrize("plant", FOREIGN)
def test_a_foreign_name_is_left_alone_and_stops_nothing(plant: Callable[[Site], None]) -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site)
        plant(site)
        async with site.opened() as (spool, lamps):
            assert await held(spool.lane("telemetry")) == frames
            for lane in ("telemetry", "events", "reports"):
                await fill(spool.lane(lane), 2)
            assert lamps.all()[0].state == "ok"
            rejected = await held(spool.lane("events"))
            await spool.lane("events").settle({rejected[0].identity: Settlement("rejected", "bad_batch")})
            assert len(site.disk.paths(FOLDER / "dead")) == 1
        async with site.opened() as (spool, _lamps):
            assert (await held(spool.lane("telemetry")))[: len(frames)] == frames

    loop.run(scene())


@pytest.mark.parametrize("path", [FOLDER, TELEMETRY])
def test_a_file_where_a_folder_must_be_is_put_aside(path: Path) -> None:
    async def scene() -> None:
        site = Site()
        site.disk.plant(path, JUNK)
        async with site.opened() as (spool, lamps):
            frames = await fill(spool.lane("telemetry"), 2)
            assert lamps.all()[0].state == "ok"
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == frames
        assert site.disk.content(path.with_name(path.name + ".foreign-0")) == JUNK

    loop.run(scene())


def test_damage_costs_the_frame_it_hit_and_declares_its_number_once() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site)
        rewrite(site, site.segments()[1], lambda data: flipped(data, 200_000))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert [frame.identity.seq for frame in await held(lane)] == [0, 1, 3, 4, 5, 6, 7, 8]
            await held(lane)
            assert await losses(spool) == {("telemetry", frames[0].identity.epoch, "damaged"): ((2, 3),)}
            assert lane.inventory()[0].held == ((0, 2), (3, 9))

    loop.run(scene())


def test_damage_under_a_running_agent_is_found_when_it_reads() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 5, size=300_000)
            assert await lane.oldest(1, 1) == frames[:1]
            rewrite(site, site.segments()[0], lambda data: flipped(data, 400_000))
            assert await held(lane) == [frames[0], *frames[2:]]
            assert await losses(spool) == {("telemetry", frames[0].identity.epoch, "damaged"): ((1, 2),)}

    loop.run(scene())


def test_a_segment_without_a_frame_goes_to_quarantine_and_its_numbers_are_declared() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site)
        rewrite(site, site.segments()[1], lambda _data: JUNK)
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == frames[:2] + frames[4:]
            assert await losses(spool) == {("telemetry", frames[0].identity.epoch, "damaged"): ((2, 4),)}
        (kept,) = site.disk.paths(FOLDER / "quarantine")
        assert site.disk.content(kept) == JUNK

    loop.run(scene())


def test_quarantine_is_bounded() -> None:
    async def scene() -> None:
        site = Site()
        for number in range(9):
            site.disk.plant(TELEMETRY / f"00000001-{number:016x}-0000000000.seg", b"\x5a" * 3 * MIB)
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == []
        assert len(site.disk.paths(FOLDER / "quarantine")) == 5
        assert site.segments() == []

    loop.run(scene())


def test_an_empty_or_zeroed_file_goes_without_a_trace() -> None:
    async def scene() -> None:
        site = Site()
        site.disk.plant(TELEMETRY / "00000001-0000000000000001-0000000000.seg", b"")
        site.disk.plant(TELEMETRY / "00000001-0000000000000002-0000000000.seg", bytes(9000))
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == []
            assert await losses(spool) == {}
            assert site.segments() == []

    loop.run(scene())


def test_two_segments_in_each_others_place_lose_nothing() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site)
        one, other = site.segments()[:2]
        left, right = site.disk.content(one), site.disk.content(other)
        site.disk.plant(one, right)
        site.disk.plant(other, left)
        async with site.opened() as (spool, _lamps):
            assert set(await held(spool.lane("telemetry"))) == set(frames)
            assert await losses(spool) == {}

    loop.run(scene())


def test_a_segment_under_another_epochs_name_is_not_believed() -> None:
    async def scene() -> None:
        site = Site()
        await backlog(site, frames=1)
        (path,) = site.segments()
        site.disk.plant(TELEMETRY / "00000001-0000000000000009-0000000000.seg", site.disk.content(path))
        site.disk.unlink(path)
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == []
            assert len(site.disk.paths(FOLDER / "quarantine")) == 1

    loop.run(scene())


def test_frames_of_a_later_version_stay_and_the_others_are_sent() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site, frames=2)
        (path,) = site.segments()
        rewrite(site, path, lambda data: data + later_version(2))
        whole = TELEMETRY / f"00000001-{0x1234:016x}-0000000000.seg"
        site.disk.plant(whole, later_version(0) + later_version(1))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert await held(lane) == frames
            await lane.settle({frame.identity: STORED for frame in frames})
            assert await held(lane) == []
            assert await losses(spool) == {}
        assert site.segments() == sorted([whole, path])

    loop.run(scene())


def test_frames_of_a_kind_from_the_future_are_kept_and_sent() -> None:
    async def scene() -> None:
        site = Site()
        frame = Frame(77, Identity(5, 0), 1, b"who knows")
        site.disk.plant(TELEMETRY / "00000001-0000000000000005-0000000000.seg", encode(frame))
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == [frame]

    loop.run(scene())


def test_another_devices_segments_stay_where_they_are_unsent() -> None:
    async def scene() -> None:
        site = Site(device="car-4")
        await backlog(site)
        site.device = "car-3"
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert await held(lane) == []
            assert [holding.held for holding in lane.inventory()] == [()]
        assert len(site.segments()) == 5
        site.device = "car-4"
        async with site.opened() as (spool, _lamps):
            assert len(await held(spool.lane("telemetry"))) == 9

    loop.run(scene())


def test_a_segment_that_somebody_removed_is_declared_as_far_as_it_was_read() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 5, size=400_000)
            site.disk.unlink(site.segments()[0])
            assert await held(lane) == frames[2:]
            assert await losses(spool) == {("telemetry", frames[0].identity.epoch, "damaged"): ((0, 2),)}

    loop.run(scene())


def test_a_block_that_cannot_be_read_costs_the_frame_in_it() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site, frames=20, size=40_000)
        async with site.opened() as (spool, _lamps):
            # The read of the whole segment fails, and of the blocks after it the eleventh.
            site.disk.fail("read", errno.EIO, at=1)
            site.disk.fail("read", errno.EIO, at=11)
            lent = await held(spool.lane("telemetry"))
            assert lent == frames[:1] + frames[2:]
            assert await losses(spool) == {("telemetry", frames[0].identity.epoch, "damaged"): ((1, 2),)}

    loop.run(scene())


def test_a_disk_that_reads_nothing_is_asked_again_later() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site)
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            site.disk.fail("read", errno.EIO, times=None, where="telemetry")
            assert await held(lane) == []
            site.disk.heal()
            assert await held(lane) == []
            await asyncio.sleep(61)
            assert await held(lane) == frames
            assert await losses(spool) == {}

    loop.run(scene())


def test_the_listing_and_the_findings_say_what_is_there() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site, frames=5)
        epoch = frames[0].identity.epoch
        first, second, third = site.segments()
        assert verify(site.disk, FOLDER) == []
        assert [(found.path, found.frames, found.first, found.last) for found in listing(site.disk, FOLDER)] == [
            (first, 2, 0, 1),
            (second, 2, 2, 3),
            (third, 1, 4, 4),
        ]
        assert {(found.generation, found.epoch, found.device) for found in listing(site.disk, FOLDER)} == {
            (1, epoch, "car-3")
        }
        assert frames_of(site.disk, second) == frames[2:4]
        size = encoded_size(frames[0])
        opening = len(site.disk.content(third)) - size
        rewrite(site, second, lambda data: flipped(data, opening + 100))
        rewrite(site, third, lambda data: data + data[opening : opening + 99])
        site.disk.plant(TELEMETRY / "notes.txt", b"")
        site.disk.plant(FOLDER / "more", b"")
        assert verify(site.disk, FOLDER) == [
            Finding(FOLDER / "more", "foreign"),
            Finding(TELEMETRY / "notes.txt", "foreign"),
            Finding(second, "damaged", ((opening, opening + size),), ((2, 3),)),
            Finding(third, "unfinished", ((opening + size, opening + size + 99),), ()),
        ]

    loop.run(scene())


def test_an_opening_that_is_damaged_costs_no_frame() -> None:
    async def scene() -> None:
        site = Site()
        frames = await backlog(site)
        for path in site.segments():
            rewrite(site, path, lambda data: flipped(data, 60))
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == frames
            assert await losses(spool) == {}

    loop.run(scene())


def test_a_forged_opening_stops_nothing() -> None:
    async def scene() -> None:
        site = Site()
        for number, payload in enumerate((b"", b"[]", b'{"device":1}', b'{"device":"car-3","axis":"","powered":1e9}')):
            opening = encode(Frame(FrameKind.SEGMENT, Identity(number, 0), 0, payload))
            frame = encode(Frame(1, Identity(number, 0), 0, b"good"))
            site.disk.plant(TELEMETRY / f"00000001-{number:016x}-0000000000.seg", opening + frame)
        async with site.opened() as (spool, _lamps):
            assert len(await held(spool.lane("telemetry"))) == 4

    loop.run(scene())
