"""A number that comes again with less of the same brings nothing; with anything else it is a conflict."""

import pytest

from tests.hub.deliveries import batch, frame, hub, ticks
from tests.sim.loop import run

EPOCH = 0x1234
WHOLE = ticks(0, 10)


@pytest.mark.parametrize(
    ("again", "said"),
    [
        (batch(WHOLE[:6]), "duplicate"),
        (batch(WHOLE, resource={"device.id": "car-3", "lap": "12"}), "duplicate"),
        (batch(WHOLE[:6], axis="boot-2"), ("rejected", "identity_conflict")),
        (batch([*WHOLE, *ticks(10_000, 1)]), ("rejected", "identity_conflict")),
        (batch(ticks(0, 6, start=0.5)), ("rejected", "identity_conflict")),
        (b"no batch at all", ("rejected", "bad_gzip")),
    ],
    ids=["torn", "other words", "another boot", "one tick more", "other values", "nonsense"],
)
def test_what_comes_again_is_judged_by_its_readings(again: bytes, said: object) -> None:
    async def scene() -> None:
        async with hub() as at:
            assert await at.results(frame(EPOCH, 0, batch(WHOLE))) == ["stored"]
            assert await at.results(frame(EPOCH, 0, again), frame(EPOCH, 1, batch(ticks(20_000, 1)))) == [
                said,
                "stored",
            ]
            assert await at.rows("frame") == 2

    run(scene())
