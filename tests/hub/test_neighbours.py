"""Neighbours: a boot of which nobody knew the time lies after the one before it, and before the one after it."""

import random
import sqlite3
from collections.abc import Sequence
from functools import partial

import pytest

from edge_agent.hub.neighbours import lines
from edge_agent.hub.query import Question
from edge_agent.hub.spans import spans
from edge_agent.hub.timeline import Stamp
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Holding
from edge_agent.wire.headers import format_inventory
from tests.hub.deliveries import HUB_NOW, Hub, batch, frame, hub, ticks
from tests.sim.loop import run

BOOTED = HUB_NOW - 100_000_000
HOUR = 3_600_000


class Boot:
    """A boot: its epoch, the true time at its axis time 0, how long it measured, and what it knew of true time."""

    def __init__(self, number: int, began: int, lasts: int, error: int | None = None) -> None:
        self.epoch, self.axis, self.began, self.lasts, self.error = number, f"boot-{number}", began, lasts, error

    def frames(self) -> list[bytes]:
        anchor = None if self.error is None else Anchor(self.began - self.error, self.began + self.error, 5000)
        first = batch(ticks(1000, 2, step=self.lasts // 2), axis=self.axis, anchor=anchor)
        last = batch(ticks(1000 + self.lasts, 1), axis=self.axis)
        return [frame(self.epoch, 0, first), frame(self.epoch, 1, last)]


def spool(boots: Sequence[Boot]) -> dict[str, str]:
    return {"edge-spool": format_inventory([Holding("telemetry", boot.epoch, 2, ((0, 2),)) for boot in boots])}


async def deliver(at: Hub, boots: Sequence[Boot], *, named: Sequence[Boot] | None = None) -> None:
    """Push the newest boot first, as a pusher does; each request names all that are held."""
    for boot in reversed(boots):
        await at.results(*boot.frames(), extra=spool(boots if named is None else named))


async def stamps(at: Hub, boots: Sequence[Boot], place: int) -> list[Stamp]:
    """Where each boot has this axis time."""

    def placed(db: object) -> list[Stamp]:
        rows = dict(db.execute("SELECT name, id FROM axis").fetchall())  # type: ignore[attr-defined]
        found = {line.axis: line.timeline for line in lines(db, 1)}  # type: ignore[arg-type]
        return [found[rows[boot.axis]].stamp(place) for boot in boots]

    return await at.store.read(placed)


def test_a_boot_without_a_claim_lies_in_the_middle_of_its_room() -> None:
    async def scene() -> None:
        async with hub() as at:
            before, lost, after = (
                Boot(9, BOOTED, HOUR, 5),
                Boot(5, BOOTED + 3 * HOUR, HOUR),
                Boot(7, BOOTED + 9 * HOUR, HOUR, 5),
            )
            await deliver(at, [before, lost, after])
            for place in (1000, 1000 + HOUR):
                _, stamp, _ = await stamps(at, [before, lost, after], place)
                assert (stamp.flag, stamp.error is not None) == ("approximate", True)
                assert stamp.error is not None
                assert abs(stamp.ts - (lost.began + place)) <= stamp.error
                room = 9 * HOUR + 1000 - (HOUR + 1000)
                assert abs(stamp.error - (room - HOUR) // 2) < 2000

    run(scene())


@pytest.mark.parametrize("seed", range(20))
def test_several_in_a_row_are_bounded_together_and_keep_their_order(seed: int) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        boots: list[Boot] = []
        began = BOOTED
        for number in chance.sample(range(1, 99), 7):
            lasts = 2 * chance.randrange(1000, HOUR)
            boots.append(Boot(number, began, lasts, 20 if not boots or len(boots) == 6 else None))
            began += 1000 + lasts + chance.randrange(HOUR)
        async with hub() as at:
            await deliver(at, boots)
            firsts = await stamps(at, boots, 1000)
            for boot, stamp in zip(boots, firsts, strict=True):
                assert stamp.error is not None
                assert abs(stamp.ts - (boot.began + 1000)) <= stamp.error
            assert [stamp.ts for stamp in firsts] == sorted(stamp.ts for stamp in firsts)

    run(scene())


def test_the_newest_boot_without_a_claim_is_placed_by_its_arrival_and_after_the_one_before_it() -> None:
    async def scene() -> None:
        async with hub() as at:
            before, newest = Boot(1, BOOTED, HOUR, 5), Boot(2, BOOTED + 3 * HOUR, HOUR)
            await deliver(at, [before, newest])
            _, stamp = await stamps(at, [before, newest], 1000 + HOUR)
            assert stamp == (HUB_NOW, None, "approximate")
            at.now = BOOTED - HOUR  # the hub's own clock is wrong now, and says so
            at.era = 7
            last = Boot(3, BOOTED + 3 * HOUR, HOUR)
            await deliver(at, [last])
            (stamp,) = await stamps(at, [last], 1000)
            assert stamp.error is None
            assert stamp.ts >= BOOTED + HOUR

    run(scene())


def test_claims_are_read_of_the_boots_that_may_hold_what_is_asked_and_of_the_neighbours_of_the_unknown() -> None:
    async def scene() -> None:
        async with hub() as at:
            boots = [Boot(seq, BOOTED + 3 * seq * HOUR, HOUR, None if seq == 3 else 5) for seq in range(1, 9)]
            await deliver(at, boots)
            read: list[str] = []

            def found(db: sqlite3.Connection, number: int) -> int:
                begun = BOOTED + 3 * number * HOUR
                asked = Question.model_validate(
                    {"device": "car-3", "name": "gpu.power", "from": begun, "to": begun + HOUR}
                )
                db.set_trace_callback(read.append)
                held = spans(db, asked, 100)
                db.set_trace_callback(None)
                return len({span.axis for span in held})

            assert await at.store.read(partial(found, number=7)) == 1
            axes = {int(one.split("axis = ")[1].split(" ")[0]) for one in read if "SELECT lo" in one}
            names = dict(await at.store.read(lambda db: db.execute("SELECT id, name FROM axis").fetchall()))
            assert {names[axis] for axis in axes} == {"boot-2", "boot-3", "boot-4", "boot-7"}

    run(scene())


def test_a_boot_that_comes_to_light_before_known_ones_has_no_place_among_them() -> None:
    async def scene() -> None:
        async with hub() as at:
            first, known, hidden = Boot(1, BOOTED, HOUR, 5), Boot(3, BOOTED + 9 * HOUR, HOUR, 5), Boot(2, BOOTED, HOUR)
            await deliver(at, [first])
            await deliver(at, [known])
            await deliver(at, [hidden], named=[hidden, known])
            await deliver(at, [hidden], named=[hidden])
            (stamp,) = await stamps(at, [hidden], 1000 + HOUR)
            assert stamp == (HUB_NOW, None, "approximate")

    run(scene())


def test_an_order_that_claims_contradict_leaves_the_ceiling() -> None:
    async def scene() -> None:
        async with hub() as at:
            boots = [Boot(1, BOOTED + 9 * HOUR, HOUR, 5), Boot(2, BOOTED + 3 * HOUR, HOUR), Boot(3, BOOTED, HOUR, 5)]
            await deliver(at, boots)
            stamp = (await stamps(at, boots, 1000 + HOUR))[1]
            assert stamp == (HUB_NOW, None, "approximate")

    run(scene())


def test_two_axes_that_take_turns_are_no_neighbours() -> None:
    async def scene() -> None:
        async with hub() as at:
            one, other = Boot(1, BOOTED, HOUR, 5), Boot(2, BOOTED, HOUR)
            again, after = Boot(3, BOOTED, HOUR, 5), Boot(4, BOOTED + 9 * HOUR, HOUR, 5)
            again.axis = one.axis
            await deliver(at, [one, other, again, after])
            stamp = (await stamps(at, [other], 1000 + HOUR))[0]
            assert stamp == (HUB_NOW, None, "approximate")

    run(scene())
