"""Scenes: what agent and hub do together when the line, the key, the disk or the power fails."""

import errno
from collections.abc import Sequence
from itertools import pairwise

import pytest

from tests.sim.line import Passage
from tests.sim.loop import run
from tests.sim.weather import FAIR, Weather
from tests.sim.world import BOOT, World, world

TELEMETRY = "/api/v1/telemetry"
SECOND = 1000


def pushes(one: World) -> Sequence[Passage]:
    return [passage for passage in one.line.trace if passage.path == TELEMETRY]


async def gaps(one: World) -> list[tuple[int, int]]:
    """Where stored ticks are more than a beat apart: the ticks on both sides, in axis ms."""
    ticks = sorted(await one.ticks())
    return [(before, after) for before, after in pairwise(ticks) if after // SECOND - before // SECOND > 1]


def test_twenty_minutes_without_the_hub_cost_nothing_and_double_nothing() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(60.7)
            one.line.cut()
            await one.passes(1200)
            held = one.agent.buffers["telemetry"].depth()
            assert held.frames == 120
            assert held.durable
            assert one.lamp("hub").state == "warn"
            assert "Connection refused" in one.lamp("hub").note
            assert one.lamp("stream").state == "warn"
            tried = len(pushes(one))
            assert tried < 60, "attempts are spaced"
            one.line.mend()
            await one.passes(320)
            assert one.lamp("hub").state == one.lamp("stream").state == "ok"
            await one.stop()
            await one.check_whole()
            assert not await gaps(one)
            assert len(pushes(one)) - tried < 100, "the backlog goes in large requests"

    run(scene())


@pytest.mark.parametrize("seed", range(5))
def test_lost_answers_double_nothing(seed: int) -> None:
    async def scene() -> None:
        async with world(seed) as one:
            await one.passes(15)
            one.line.weather = Weather(lose_answers=0.5, lose_requests=0.2)
            await one.passes(600)
            one.line.weather = FAIR
            await one.passes(400)
            await one.stop()
            assert any(passage.fate == "200 lost" for passage in pushes(one))
            assert any(passage.fate == "request lost" for passage in pushes(one))
            await one.check_whole()
            assert not await gaps(one)

    run(scene())


def test_answers_that_come_later_than_patience_lasts_double_nothing() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(15)
            one.line.weather = Weather(delay=15.0)
            await one.passes(600)
            assert one.lamp("hub").state == "warn"
            one.line.weather = FAIR
            await one.passes(400)
            await one.stop()
            await one.check_whole()
            assert not await gaps(one)

    run(scene())


def test_a_wrong_key_pauses_pushing_keeps_sampling_and_a_right_one_is_tried_at_once() -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(30.7)
            one.key.value = "edge_" + "A" * 43
            sampled, asked = one.agent.tally.readings, len(pushes(one))
            await one.passes(300)
            assert one.lamp("hub").state == "fail"
            assert "key" in one.lamp("hub").note
            assert len(pushes(one)) - asked <= 6, "a slow probe"
            assert one.agent.tally.readings == sampled + 300 * 8
            assert one.agent.buffers["telemetry"].depth().frames >= 29
            one.key.value = one.house.key
            await one.passes(10)
            assert one.lamp("hub").state == "ok"
            assert one.agent.buffers["telemetry"].depth().frames <= 1
            await one.stop()
            await one.check_whole()

    run(scene())


def fill(one: World) -> None:
    one.disk.max_bytes = 0


def turn_read_only(one: World) -> None:
    for call in ("create", "append", "replace", "make_folder", "move"):
        one.disk.fail(call, errno.EROFS, times=None)


def fail_every_sync(one: World) -> None:
    for call in ("sync", "sync_folder"):
        one.disk.fail(call, errno.EIO, times=None)


def refuse_all(one: World) -> None:
    for call in ("entries", "read", "create", "append", "sync", "sync_folder", "replace", "make_folder", "unlink"):
        one.disk.fail(call, errno.EIO, times=None)


def heal(one: World) -> None:
    one.disk.max_bytes = 2**40
    one.disk.heal()


@pytest.mark.parametrize("wound", [fill, turn_read_only, fail_every_sync, refuse_all])
def test_a_disk_that_takes_nothing_stops_neither_sampling_nor_pushing(wound: object) -> None:
    assert callable(wound)

    async def scene() -> None:
        async with world() as one:
            await one.passes(30.7)
            wound(one)
            await one.passes(120)
            assert one.lamp("spool").state == "warn"
            assert "not durable" in one.lamp("spool").note
            stored = (await one.audit())["readings"]
            assert stored >= 140 * 8, "what memory holds is pushed"
            one.line.cut()
            await one.passes(120)
            assert one.agent.buffers["telemetry"].depth().frames >= 11
            assert not one.agent.buffers["telemetry"].depth().durable
            heal(one)
            await one.passes(30)
            assert one.lamp("spool").state == one.lamp("sealer").state == "ok"
            assert one.agent.buffers["telemetry"].depth().durable
            one.line.mend()
            await one.passes(320)
            await one.stop()
            await one.check_whole()
            assert not await gaps(one)

    run(scene())


def test_a_disk_that_never_took_anything_is_no_reason_not_to_start() -> None:
    async def scene() -> None:
        async with world() as one:
            refuse_all(one)
            await one.passes(60.7)
            assert one.lamp("spool").state == "warn"
            assert one.lamp("sealer").state == "warn"
            assert one.lamp("hub").state == "ok"
            await one.stop()
            await one.check_whole()

    run(scene())


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("moment", [10.3, 40.45, 40.49, 40.502, 40.51, 40.53, 40.56, 40.7, 41.001, 44.9])
def test_a_kill_costs_at_most_the_tick_in_hand(moment: float, online: bool) -> None:  # noqa: FBT001 - a table's column
    async def scene() -> None:
        async with world(pace=0.02) as one:
            if not online:
                one.line.cut()
            began = one.clock.now()
            await one.passes(moment)
            sampled, last = one.agent.tally.readings, one.agent.tally.last
            await one.kill()
            one.line.mend()
            one.start()
            await one.passes(400.7)
            await one.stop()
            ticks = await one.ticks()
            assert set(ticks.values()) == {1}
            assert sum(at <= (last or 0) for at in ticks) * 8 >= sampled - 8
            assert len(ticks) >= (one.clock.now() - began) // SECOND - 2
            audit = await one.audit()
            assert all(epoch["stored"] == epoch["next"] for epoch in audit["epochs"]), audit

    run(scene())


@pytest.mark.parametrize("moment", [9.0, 40.45, 40.51, 40.56, 44.9])
def test_a_power_cut_costs_at_most_what_was_not_sealed(moment: float) -> None:
    async def scene() -> None:
        async with world(pace=0.02) as one:
            one.line.cut()
            await one.passes(moment)
            last = one.agent.tally.last or 0
            await one.crash()
            one.line.mend()
            one.start()
            await one.passes(400.7)
            await one.stop()
            ticks = await one.ticks()
            assert set(ticks.values()) == {1}
            earlier = [at for at in ticks if at < BOOT]
            assert last - max(earlier, default=1_000_000) <= 11 * SECOND
            seconds = {at // SECOND for at in earlier}
            assert len(seconds) == max(seconds) - 1000 + 1 if seconds else moment < 11
            found = (await one.audit())["sums"]["telemetry"]
            assert found["missing"] + found["lost"].get("unaccounted", 0) <= 1

    run(scene())


def test_a_batch_that_a_power_cut_took_before_its_first_seal_is_not_called_held_for_ever() -> None:
    async def scene() -> None:
        async with world(pace=0.02) as one:
            one.line.cut()
            await one.passes(15)
            await one.kill()
            one.line.mend()
            one.start()
            await one.passes(2)
            told = [epoch for epoch in (await one.audit())["epochs"] if epoch["held"]]
            assert told, "the push of the backlog told the hub of the batch that is open now"
            await one.crash()
            one.line.mend()
            one.start()
            await one.passes(60)
            await one.stop()
            for epoch in (await one.audit())["epochs"]:
                assert epoch["held"] == 0, epoch

    run(scene())


def test_a_boot_in_1970_is_dated_by_what_the_hub_said() -> None:
    async def scene() -> None:
        async with world() as one:
            assert one.clock.wall() < 10**6
            offset = one.house.clock.wall() - one.clock.now()
            await one.passes(60.7)
            await one.stop()
            ticks = sorted(await one.ticks())
            begin, end = ticks[0] + offset - SECOND, ticks[-1] + offset + SECOND
            found = await one.ask("GET", f"/api/v1/query?device=car-1&name=wave.level&from={begin}&to={end}&width=1000")
            points = found["series"][0]["points"]
            assert len(points) == len(ticks)
            for at, (ts, error, *_rest) in zip(ticks, points, strict=True):
                assert abs(ts - (at + offset)) <= error < 200

    run(scene())
