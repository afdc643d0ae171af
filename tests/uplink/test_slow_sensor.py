"""A sensor that takes four seconds delays no other, is asked as often as it can be, and does not hold the end."""

import asyncio
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from edge_agent.kit.scopes import running
from edge_agent.model.ports import Worker
from edge_agent.model.reading import Missed, Reading, Tick
from edge_agent.uplink.sampler import Sampler, Schedule
from tests.sim.clock import SimClock
from tests.sim.loop import run
from tests.sim.offload import InlineOffload
from tests.uplink.plain import board

P = ParamSpec("P")
T = TypeVar("T")
TAKES = 4.0
SLOW, QUICK = "slow", ("quick", "other")


class SlowWorker:
    """A thread whose calls take so long: they begin at once, and return then."""

    stuck = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        answer = function(*args, **kwargs)
        await asyncio.sleep(TAKES)
        return answer


class Threads(InlineOffload):
    """Each collector in a thread of its own; one of them is slow."""

    def worker(self, name: str) -> Worker:
        if name != f"collector.{SLOW}":
            return super().worker(name)
        worker = SlowWorker()
        self.workers.append(worker)
        return worker


class One:
    """A collector of one reading."""

    def collect(self) -> Iterable[Reading]:
        return [Reading("n", 1, "1")]


def test_a_sensor_that_takes_four_seconds_delays_nothing_and_holds_nothing() -> None:
    async def scene() -> None:
        clock, ticks, missed = SimClock(start=1_000_800), list[Tick](), list[Missed]()
        schedules = [Schedule(name, One(), 1.0, 5.0) for name in (SLOW, *QUICK)]
        sampler = Sampler(schedules, clock, Threads(), board(clock), ticks.append, missed.append)
        async with running(sampler):
            await asyncio.sleep(61.7)
            left = clock.now()
        assert clock.now() == left, "leaving waits for nobody"
        ats = {name: [tick.at for tick in ticks if tick.collector == name] for name in (SLOW, *QUICK)}
        for name in QUICK:
            assert ats[name] == list(range(1_001_000, 1_063_000, 1000))
        gaps = {after - before for before, after in zip(ats[SLOW], ats[SLOW][1:], strict=False)}
        assert gaps <= {4000, 5000}
        assert len(ats[SLOW]) >= 60 // 5
        assert {(one.collector, one.cause) for one in missed} == {(SLOW, "hung")}

    run(scene())
