"""Retention: what is past its time goes, what is known of it stays."""

import random

from edge_agent.hub.retention import Options, Pruner
from tests.hub.deliveries import HUB_NOW, batch, frame, hub, ticks
from tests.sim.loop import run

EPOCH = 0x33
COUNT = 150
DAY_MS = 86_400_000


def test_payloads_past_their_time_go_and_their_numbers_stay() -> None:
    async def scene() -> None:
        async with hub() as at:
            pruner = Pruner(at.store, lambda: at.now, lambda: True, Options(raw=86400.0))
            payload = batch(ticks(0, 10))
            await at.results(*(frame(EPOCH, seq, payload) for seq in range(COUNT)))
            at.now = HUB_NOW + DAY_MS
            await at.results(frame(EPOCH, COUNT, payload))
            for now, left in ((DAY_MS, COUNT + 1), (DAY_MS + 1, 1), (2 * DAY_MS, 1), (2 * DAY_MS + 1, 0)):
                at.now = HUB_NOW + now
                await pruner.prune()
                assert await at.rows("payload") == left
            again = await at.results(frame(EPOCH, 0, payload), frame(EPOCH, 1, batch(ticks(0, 9))))
            assert again == ["duplicate", ("rejected", "identity_conflict")]
            found = await at.audit(EPOCH)
            assert (found["stored"], found["readings"]) == (COUNT + 1, (COUNT + 1) * 19)

    run(scene())


def test_the_room_of_what_went_is_used_again() -> None:
    async def scene() -> None:
        noise = random.Random(1)
        async with hub() as at:
            pruner = Pruner(at.store, lambda: at.now, lambda: True, Options(raw=0.0))
            large = batch(ticks(0, 10), resource={str(key): noise.randbytes(500).hex() for key in range(20)})
            sizes = []
            for turn in range(6):
                await at.results(*(frame(EPOCH, turn * 50 + seq, large) for seq in range(50)))
                at.now += 1
                await pruner.prune()
                sizes.append(await at.store.read(lambda db: int(db.execute("PRAGMA page_count").fetchone()[0])))
            assert sizes[-1] - sizes[0] < sizes[0] / 5

    run(scene())


def test_nothing_goes_while_the_clock_cannot_be_built_on_or_stands_before_the_newest_arrival() -> None:
    async def scene() -> None:
        settled = False
        async with hub() as at:
            pruner = Pruner(at.store, lambda: at.now, lambda: settled, Options(raw=86400.0))
            await at.results(frame(EPOCH, 0, batch(ticks(0, 10))))
            at.now = HUB_NOW + 3650 * DAY_MS
            await pruner.prune()
            assert await at.rows("payload") == 1
            await at.results(frame(EPOCH, 1, batch(ticks(0, 9))))
            settled, at.now = True, HUB_NOW + 5 * DAY_MS
            await pruner.prune()
            assert await at.rows("payload") == 2
            at.now = HUB_NOW + 3650 * DAY_MS
            await pruner.prune()
            assert await at.rows("payload") == 1

    run(scene())


def test_what_came_while_the_time_was_guessed_counts_from_when_it_is_known() -> None:
    async def scene() -> None:
        async with hub() as at:
            pruner = Pruner(at.store, lambda: at.now, lambda: not at.era, Options(raw=86400.0))
            at.now, at.era = 5 * DAY_MS, 17  # a board without a battery
            await at.results(*(frame(EPOCH, seq, batch(ticks(seq, 10))) for seq in range(COUNT)))
            at.now, at.era = HUB_NOW, 0
            for now, left in ((0, COUNT), (DAY_MS, COUNT), (DAY_MS + 1, 0)):
                at.now = HUB_NOW + now
                await pruner.prune()
                assert await at.rows("payload") == left

    run(scene())
