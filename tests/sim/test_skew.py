"""A hub whose clock is set while an agent runs: what a push pays for it, and what the agent believes afterwards."""

import pytest

from edge_agent.hub.exchange import Reply
from edge_agent.hub.router import refused
from edge_agent.model.http import Request
from edge_agent.wire.headers import SENT_AT
from edge_agent.wire.problem import Problem
from tests.sim.line import PEER
from tests.sim.loop import run
from tests.sim.weather import FAIR, Door, Weather
from tests.sim.world import World, world

TELEMETRY = "/api/v1/telemetry"
YEARS = 315_360_000_000


def fates(one: World) -> list[str]:
    """What came of each push."""
    return [passage.fate for passage in one.line.trace if passage.path == TELEMETRY]


@pytest.mark.parametrize("step", [-YEARS, -400_000, 400_000, YEARS])
def test_a_hub_that_is_set_costs_one_request_and_is_followed(step: int) -> None:
    async def scene() -> None:
        async with world() as one:
            await one.passes(60)
            before = len(fates(one))
            hub = one.house.clock
            hub.set_wall(hub.wall() + step)
            await one.passes(300)
            assert fates(one)[before:].count("400") == 1
            assert set(fates(one)) == {"200", "400"}
            assert one.agent.time.steps == 1
            now = one.agent.time.now()
            assert now is not None
            assert abs(now - hub.wall()) <= 100
            assert one.lamp("hub").state == "ok"
            await one.stop()
            await one.check_whole()

    run(scene())


def test_a_hub_that_refuses_every_stated_time_gets_each_batch_unstated_and_nothing_is_lost() -> None:
    async def scene() -> None:
        async with world(seal={"every": "60s"}) as one:

            async def answer(request: Request) -> Reply:
                if SENT_AT in request.headers:
                    problem = Problem(400, "clock_skew", "The device's time is not the hub's", extra={"hub_time": 17})
                    return refused(problem)
                assert one.line.router is not None
                return await one.line.router.answer(request, PEER)

            await one.passes(60)
            one.line.weather = Weather(door=Door("a broken clock", answer))
            await one.passes(3900)
            assert sum(fate.endswith("400") for fate in fates(one)) == 4, "two an hour"
            one.line.weather = FAIR
            await one.passes(60)
            await one.stop()
            await one.check_whole()

    run(scene())
