"""A hub whose clock is not synchronised says so, blames nobody for it, and keeps nothing that a guess placed."""

import orjson
import pytest
from structlog.testing import capture_logs

from edge_agent.hub.settings import Settings
from tests.hub.deliveries import AXIS, HUB_NOW, Hub, batch, frame, hub, ticks
from tests.hub.house import OK, opened, said
from tests.sim.loop import run

EPOCH = 0x51
YEARS = 10 * 365 * 86_400_000
LIVE = "/api/v1/devices/car-1/live"
STREAM = "/api/v1/telemetry/stream"
ONE = batch(ticks(0, 10))


def test_health_metrics_the_page_and_every_reply_say_what_is_known_of_the_clock() -> None:
    async def scene() -> None:
        async with opened(Settings()) as house:
            for error, stamp in ((None, "unsync"), (100, "err=100")):
                house.clock.set_wall(house.clock.wall() + YEARS, error)
                reply = await house.ask("GET", "/healthz")
                assert reply.headers["edge-hub-time"].endswith(f";{stamp}")
                assert reply.status == 200
                assert reply.body.startswith(b"ok\nclock not synchronised: ") if error is None else reply.body == OK
                assert (await house.ask("GET", "/readyz")).body == reply.body
                lines = (await house.ask("GET", "/metrics")).body.decode().splitlines()
                assert f"edge_hub_clock_synchronised {int(error is not None)}" in lines
                assert ("edge_hub_clock_error_seconds 0.1" in lines) == (error is not None)
                viewer = await house.let_in("eve", "viewer")
                listed = said(await house.ask("GET", "/api/v1/devices", token=viewer))
                assert listed["clock_error"] == error

    with capture_logs() as logged:
        run(scene())
    assert [line["synchronised"] for line in logged if line["event"] == "clock"] == [False, True], "told once"


def test_a_hub_that_does_not_know_the_time_blames_no_device() -> None:
    async def scene() -> None:
        async with hub() as at:
            at.era = 3
            sent = {"edge-sent-at": str(HUB_NOW + 10**12)}
            assert await at.results(frame(EPOCH, 0, ONE), extra=sent) == ["stored"]

    run(scene())


@pytest.mark.parametrize("off", [-YEARS, YEARS])
def test_what_was_placed_by_a_wrong_clock_moves_once_it_is_set_right(off: int) -> None:
    async def scene() -> None:
        async with hub() as at:
            at.now, at.era = HUB_NOW + off, 3
            await at.results(frame(EPOCH, 0, batch(ticks(0, 10))))
            at.now, at.era = HUB_NOW + off // 2, 4
            await at.results(frame(EPOCH, 1, batch(ticks(0, 9))))
            assert await ceilings(at) == [(HUB_NOW + off // 2 - 8000, 4)]
            at.now, at.era = HUB_NOW, 0
            await at.results(frame(EPOCH, 2, batch(ticks(0, 8))), frame(EPOCH, 3, batch(ticks(0, 7))))
            assert await ceilings(at) == [(HUB_NOW - 7000, 0)]
            at.now, at.era = HUB_NOW - 10**12, 5
            await at.results(frame(EPOCH, 4, batch(ticks(0, 6))))
            assert await ceilings(at) == [(HUB_NOW - 7000, 0)], "a guess changes nothing that is known"

    run(scene())


def test_labels_that_came_while_the_clock_was_ahead_give_way_once_it_is_set_right() -> None:
    async def scene() -> None:
        async with hub() as at:
            for now, era, site in ((HUB_NOW + YEARS, 3, "old"), (HUB_NOW, 0, "new"), (HUB_NOW - YEARS, 4, "new")):
                at.now, at.era = now, era
                await at.results(frame(EPOCH, era, batch(ticks(0, 10), resource={"site": site})))
                told = await at.store.read(lambda db: db.execute("SELECT resource FROM sender").fetchone()[0])
                assert orjson.loads(told) == {"site": site}

    run(scene())


async def ceilings(at: Hub) -> list[tuple[int, int]]:
    return await at.store.read(lambda db: db.execute("SELECT ceiling, era FROM axis").fetchall())


def test_live_ticks_of_a_device_that_does_not_know_the_time_are_placed_by_their_age() -> None:
    async def scene() -> None:
        async with opened() as house, house.stream(STREAM, token=house.viewer) as reader:
            await reader.until("hello")
            beat = {"axis": AXIS, "now": 5000, "ticks": [["gpu", 4000, [["gpu.load", {}, "1", 0.5, None]]]]}
            assert (await house.ask("POST", LIVE, beat, key=house.key)).status == 204
            told = orjson.loads((await reader.until("telemetry")).data)
            assert (told["ts"], told["ts_err"], told["flag"]) == (house.clock.wall() - 1000, None, "approximate")

    run(scene())
