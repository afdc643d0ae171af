"""Deposits that share a transaction: one number is stored once, and what cannot be stored takes no other along."""

import asyncio

from tests.hub.deliveries import batch, frame, hub, report, ticks
from tests.sim.loop import run

ONE, TWO, THREE = (batch(ticks(first, 10)) for first in (0, 10_000, 20_000))
EPOCH = 0x1234


def test_one_number_in_two_requests_at_once_is_stored_once() -> None:
    async def scene() -> None:
        async with hub() as at:
            sent = [frame(EPOCH, 0, ONE), frame(EPOCH, 0, ONE), frame(EPOCH, 0, TWO)]
            found = await asyncio.gather(*(at.results(one, frame(EPOCH, 1 + n, ONE)) for n, one in enumerate(sent)))
            assert found == [["stored"] * 2, ["duplicate", "stored"], [("rejected", "identity_conflict"), "stored"]]
            assert (await at.audit(EPOCH))["stored"] == await at.rows("frame") == await at.rows("payload") == 4

    run(scene())


def test_a_request_that_cannot_be_stored_fails_alone_and_comes_again() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, ONE))
            at.broken = True
            reports = report(7, 0, [{"type": "outcome"}])
            outcomes = await asyncio.gather(
                at.results(frame(EPOCH, 1, TWO)),
                at.results(frame(EPOCH, 2, THREE), reports),
                at.results(frame(EPOCH, 3, THREE)),
                return_exceptions=True,
            )
            assert [outcomes[0], outcomes[2]] == [["stored"], ["stored"]]
            assert isinstance(outcomes[1], KeyError)
            at.broken = False
            assert (await at.audit(EPOCH))["stored"] == await at.rows("frame") == 3
            assert await at.results(frame(EPOCH, 2, THREE), reports) == ["stored", "stored"]
            assert await at.results(frame(EPOCH, 1, TWO), frame(EPOCH, 3, THREE)) == ["duplicate", "duplicate"]

    run(scene())
