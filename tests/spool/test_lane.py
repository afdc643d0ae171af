"""The lanes: drawing, keeping, lending, settling."""

import asyncio
from pathlib import Path

import anyio
import pytest

from edge_agent.model.failure import DeviceError
from edge_agent.model.frame import Frame, Holding, Identity
from edge_agent.model.ports import OpenFile
from edge_agent.model.verdict import Settlement
from edge_agent.spool.options import MIB
from edge_agent.wire.frame import MAGIC
from tests.sim import loop
from tests.sim.disk import MemoryDisk
from tests.spool.site import FOLDER, TELEMETRY, Site, fill, held, losses, sealed

STORED = Settlement("stored")


def test_a_number_is_drawn_once_and_from_zero() -> None:
    async def scene() -> None:
        async with Site().opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            drawn = [lane.draw() for _ in range(5)]
            assert [identity.seq for identity in drawn] == [0, 1, 2, 3, 4]
            assert len({identity.epoch for identity in drawn}) == 1

    loop.run(scene())


def test_each_lane_and_each_opening_has_its_own_epoch() -> None:
    async def scene() -> None:
        site, epochs = Site(), []
        for _ in range(2):
            async with site.opened() as (spool, _lamps):
                epochs += [spool.lane("telemetry").draw().epoch, spool.lane("reports").draw().epoch]
        assert len(set(epochs)) == 4
        assert all(epoch < 2**63 for epoch in epochs)

    loop.run(scene())


def test_a_frame_survives_a_crash_right_after_its_append() -> None:
    async def scene() -> None:
        site = Site()
        spool, _lamps = site.spool()
        await spool.open()
        frames = await fill(spool.lane("telemetry"), 3)
        site.disk.crash()
        async with site.opened() as (again, _lamps):
            assert await held(again.lane("telemetry")) == frames

    loop.run(scene())


def test_a_seal_is_one_append_and_one_sync_once_the_segment_is_open() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            site.disk.calls.clear()
            await fill(lane, 1)
            assert {call: site.disk.calls[call] for call in ("create", "append", "sync", "sync_folder")} == {
                "create": 1,
                "append": 1,
                "sync": 1,
                "sync_folder": 1,
            }
            site.disk.calls.clear()
            await fill(lane, 1)
            assert dict(site.disk.calls) == {"read": 1, "space": 1, "append": 1, "sync": 1}

    loop.run(scene())


def test_no_segment_is_made_before_the_first_frame() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened():
            assert site.disk.paths(FOLDER) == [FOLDER / "lock", FOLDER / "reserve"]

    loop.run(scene())


def test_the_oldest_come_in_order_and_within_both_bounds() -> None:
    async def scene() -> None:
        async with Site().opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 10, size=1000)
            assert await lane.oldest(5000, 100) == frames[:4]
            assert await lane.oldest(MIB, 3) == frames[:3]
            assert await lane.oldest(1, 100) == frames[:1]

    loop.run(scene())


def test_lending_goes_on_over_the_ends_of_segments() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            frames = await fill(spool.lane("telemetry"), 12, size=300_000)
            assert len(site.segments()) == 4
            assert await held(spool.lane("telemetry")) == frames
            assert await spool.lane("telemetry").oldest(4 * 301_000, 100) == frames[:4]

    loop.run(scene())


def test_the_newest_is_lent_without_the_disk_until_it_is_settled() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert await lane.newest() is None
            frames = await fill(lane, 3)
            site.disk.calls.clear()
            assert await lane.newest() == frames[2]
            assert not site.disk.calls
            await lane.settle({frames[2].identity: STORED})
            assert await lane.newest() is None
            assert await held(lane) == frames[:2]

    loop.run(scene())


def test_a_segment_is_unlinked_when_all_its_frames_are_settled_and_nothing_is_synced_for_it() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 4, size=500_000)
            first, second = site.segments()
            site.disk.calls.clear()
            await lane.settle({frame.identity: STORED for frame in frames[:1]})
            assert site.segments() == [first, second]
            await lane.settle({frame.identity: STORED for frame in frames[:2]})
            assert site.segments() == [second]
            assert not site.disk.calls["sync"] + site.disk.calls["sync_folder"]

    loop.run(scene())


def test_a_lane_that_is_settled_leaves_no_file_when_it_closes() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            frames = await fill(spool.lane("telemetry"), 3)
            await spool.lane("telemetry").settle({frame.identity: STORED for frame in frames})
        assert site.segments() == []

    loop.run(scene())


def test_unknown_identities_are_settled_without_effect() -> None:
    async def scene() -> None:
        async with Site().opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 2)
            await lane.settle({Identity(1, 1): STORED, Identity(1, 2): Settlement("rejected", "bad_batch")})
            assert await held(lane) == frames
            assert await losses(spool) == {}

    loop.run(scene())


def test_a_rejected_frame_goes_to_the_dead_letters_and_is_declared() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 3)
            await lane.settle({frames[1].identity: Settlement("rejected", "bad_batch")})
            assert await held(lane) == [frames[0], frames[2]]
            epoch = frames[0].identity.epoch
            assert await losses(spool) == {("telemetry", epoch, "rejected"): ((1, 2),)}
            (letter,) = site.disk.paths(FOLDER / "dead")
            assert frames[1].payload in site.disk.content(letter)

    loop.run(scene())


def test_a_conflict_gives_the_frame_a_number_of_a_fresh_epoch_and_the_lane_another() -> None:
    async def scene() -> None:
        async with Site().opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 2)
            await lane.settle({frames[0].identity: Settlement("rejected", "identity_conflict")})
            kept, again = await held(lane)
            assert kept == frames[1]
            assert again.payload == frames[0].payload
            epochs = {frames[0].identity.epoch, again.identity.epoch, lane.draw().epoch}
            assert len(epochs) == 3
            assert await losses(spool) == {}

    loop.run(scene())


def test_a_conflict_that_comes_back_after_a_crash_is_not_doubled() -> None:
    async def scene() -> None:
        site = Site()
        spool, _lamps = site.spool()
        await spool.open()
        (frame, _other) = await fill(spool.lane("telemetry"), 2)
        conflict = {frame.identity: Settlement("rejected", "identity_conflict")}
        await spool.lane("telemetry").settle(conflict)
        site.disk.crash()
        async with site.opened() as (again, _lamps):
            lane = again.lane("telemetry")
            assert frame in await held(lane)
            await lane.settle(conflict)
            frames = await held(lane)
            assert [found.payload for found in frames].count(frame.payload) == 1

    loop.run(scene())


def test_an_adopted_frame_keeps_its_identity_and_is_kept_once() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            frames = await fill(spool.lane("telemetry"), 2)
            orphan = sealed(spool.lane("telemetry"))
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            assert await lane.adopt(frames[1])
            assert await lane.adopt(orphan)
            assert await lane.adopt(orphan)
            assert await held(lane) == [*frames, orphan]

    loop.run(scene())


def test_numbers_out_of_order_are_all_kept() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = [sealed(lane) for _ in range(4)]
            for place in (1, 0, 3, 2):
                assert await lane.append(frames[place])
        async with site.opened() as (spool, _lamps):
            assert {frame.identity.seq for frame in await held(spool.lane("telemetry"))} == {0, 1, 2, 3}

    loop.run(scene())


def test_the_inventory_counts_open_numbers_and_older_epochs() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            old = await fill(spool.lane("telemetry"), 3)
            await spool.lane("telemetry").settle({old[1].identity: STORED})
            epoch = old[0].identity.epoch
            assert spool.lane("telemetry").inventory() == [Holding("telemetry", epoch, 3, ((0, 1), (2, 3)))]
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frames = await fill(lane, 2)
            lane.draw()
            await held(lane)
            await lane.settle({frames[0].identity: STORED})
            assert lane.inventory() == [
                Holding("telemetry", epoch, 3, ((0, 3),)),
                Holding("telemetry", frames[0].identity.epoch, 3, ((1, 3),)),
            ]

    loop.run(scene())


def test_an_unread_segment_claims_the_numbers_up_to_its_successor() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            frames = await fill(spool.lane("telemetry"), 5, size=400_000)
        site.disk.calls.clear()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            epoch = frames[0].identity.epoch
            assert lane.inventory()[0] == Holding("telemetry", epoch, 5, ((0, 5),))
            assert lane.depth().frames == 5
            assert site.disk.calls["read"] == 3, "two openings and the reserve"

    loop.run(scene())


def test_waiting_ends_with_the_first_frame() -> None:
    async def scene() -> None:
        async with Site().opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            waiting = asyncio.ensure_future(lane.filled())
            await asyncio.sleep(1)
            assert not waiting.done()
            await fill(lane, 1)
            await asyncio.wait_for(waiting, 1)
            await lane.filled()

    loop.run(scene())


def test_a_second_process_is_told_to_leave() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened():
            second, _lamps = site.spool()
            with pytest.raises(DeviceError, match="held by another process"):
                await second.open()

    loop.run(scene())


def test_an_append_whose_caller_is_cancelled_is_kept_once_and_remembered() -> None:
    async def scene() -> None:
        async with Site().opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            for turns in range(20):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(lane.append, sealed(lane))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    tasks.cancel_scope.cancel()
                lent = await held(lane)
                known = {number for holding in lane.inventory() for pair in holding.held for number in range(*pair)}
                assert known >= {frame.identity.seq for frame in lent}
                assert len(lent) == len(set(lent)) == lane.depth().frames
            assert len(lent) == 20

    loop.run(scene())


def test_a_giant_frame_is_a_fault_of_the_caller() -> None:
    async def scene() -> None:
        async with Site().opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            with pytest.raises(ValueError, match="no batch"):
                await lane.append(Frame(1, lane.draw(), 0, bytes(3 * MIB)))

    loop.run(scene())


def test_old_lives_come_before_new_ones() -> None:
    async def scene() -> None:
        site, frames = Site(), []
        for _ in range(12):
            async with site.opened() as (spool, _lamps):
                frames += await fill(spool.lane("telemetry"), 2)
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == frames
        assert [path.name[:8] for path in site.segments()] == [f"{number:08d}" for number in range(1, 13)]
        assert site.segments()[0].parent == TELEMETRY

    loop.run(scene())


class Shared(MemoryDisk):
    """A disk on which a file is another one from the next lock on."""

    late: tuple[Path, bytes] | None = None

    def lock(self, path: Path) -> OpenFile | None:
        late, self.late = self.late, None
        if late is not None:
            self.plant(*late)
        return super().lock(path)


def test_what_another_process_wrote_before_it_let_go_of_the_lock_is_there() -> None:
    async def scene() -> None:
        disk = Shared()
        site = Site(disk=disk)
        async with site.opened() as (spool, _lamps):
            frames = await fill(spool.lane("reports"), 2)
        (path,) = site.segments("reports")
        whole = disk.content(path)
        short = whole[: whole.rindex(MAGIC)]
        disk.plant(path, short)
        disk.late = path, whole
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("reports")) == frames
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("reports")) == frames

    loop.run(scene())
