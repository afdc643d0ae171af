"""A disk that does not answer holds neither a stop nor a number; what is cut short is sent twice at worst."""

import asyncio

import anyio

from edge_agent.model.frame import Loss
from edge_agent.model.verdict import Settlement
from edge_agent.spool.lane import Lane
from tests.sim import loop
from tests.spool.site import Site, fill, held, lamp, losses, sealed

STORED = Settlement("stored")


def now() -> float:
    """Seconds of the scene."""
    return asyncio.get_running_loop().time()


def test_a_hung_disk_holds_a_stop_for_a_few_seconds_only() -> None:
    async def scene() -> None:
        site = Site()
        spool, lamps = site.spool()
        await spool.open()
        lane = spool.lane("telemetry")
        frames = await fill(lane, 1)
        site.offload.hang("spool")
        began = now()
        with anyio.move_on_after(1):
            await lane.append(sealed(lane))
        assert now() - began <= 4
        assert lane.depth().frames == 2
        began = now()
        await spool.close()
        assert now() - began <= 4
        assert not site.offload.workers
        assert not any(one.part == "spool" for one in lamps.all())
        assert site.lit[-1].note == "the disk does not answer; batches that only memory held: 1"
        site.offload.free("spool")
        await asyncio.sleep(1)
        async with site.opened() as (again, _lamps):
            assert await held(again.lane("telemetry")) == frames

    loop.run(scene())


def test_whoever_is_not_cancelled_waits_for_a_slow_disk_to_the_end() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            frame = sealed(lane)
            site.offload.hang("spool")
            async with anyio.create_task_group() as group:

                async def append() -> None:
                    assert await lane.append(frame)

                group.start_soon(append)
                await asyncio.sleep(60)
                assert await lane.newest() == frame
                site.offload.free("spool")
            assert await held(lane) == [frame]

    loop.run(scene())


def test_a_call_that_ends_soon_is_not_cut_short_by_a_cancelled_caller() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            site.offload.hang("spool")
            asyncio.get_running_loop().call_later(2, site.offload.free, "spool")
            with anyio.move_on_after(1):
                await lane.append(sealed(lane))
            assert isinstance(lane, Lane)
            assert lane.unsaved == 0
            assert len(await held(lane)) == 1

    loop.run(scene())


def test_what_was_written_after_its_caller_left_is_sent_at_most_twice_and_let_go_once_for_all() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("telemetry")
            await fill(lane, 1)
            frame = sealed(lane)
            async with anyio.create_task_group() as group:
                group.start_soon(lane.append, frame)
                await asyncio.sleep(0)
                site.offload.hang("spool")
                await asyncio.sleep(1)
                group.cancel_scope.cancel()
            site.offload.free("spool")
            await fill(lane, 1)
            lent = await held(lane)
            assert sorted({one.identity.seq for one in lent}) == [0, 1, 2]
            await lane.settle({one.identity: STORED for one in lent})
            assert await held(lane) == []
            assert lane.inventory()[-1].held == ()
        async with site.opened() as (spool, _lamps):
            assert await held(spool.lane("telemetry")) == []
            assert await losses(spool) == {}

    loop.run(scene())


def test_a_number_whose_caller_was_cancelled_in_the_queue_is_held_with_its_frame() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, _lamps):
            lane = spool.lane("events")
            first, second = sealed(lane), sealed(lane)
            site.offload.hang("spool")
            async with anyio.create_task_group() as group:
                group.start_soon(lane.append, first)
                await asyncio.sleep(0.1)
                with anyio.move_on_after(0.1):
                    await lane.append(second)
                site.offload.free("spool")
            assert await held(lane) == [first, second]
            await lane.settle({first.identity: STORED, second.identity: STORED})
            assert lane.inventory()[-1].held == ()

    loop.run(scene())


def test_a_loss_whose_teller_is_cancelled_in_the_queue_is_told() -> None:
    async def scene() -> None:
        site = Site()
        async with site.opened() as (spool, lamps):
            reports = spool.lane("reports")
            site.offload.hang("spool")
            async with anyio.create_task_group() as group:
                group.start_soon(reports.append, sealed(reports))
                await asyncio.sleep(0.1)
                with anyio.move_on_after(0.1):
                    await spool._declare([Loss("telemetry", 9, ((3, 4),), "damaged")])
                site.offload.free("spool")
            assert await losses(spool) == {("telemetry", 9, "damaged"): ((3, 4),)}
            assert lamp(lamps).state == "ok"

    loop.run(scene())
