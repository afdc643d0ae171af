"""Heartbeats and live views against a link that answers as it is told, in virtual time."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edge_agent.kit.scopes import running
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.lamp import Lamp
from edge_agent.model.offers import LiveView
from edge_agent.model.reading import Reading, Tick
from edge_agent.uplink.beater import Beater, Options
from tests.sim.clock import SimClock
from tests.sim.loop import run
from tests.uplink.plain import PlainTime, board, note, state


class Door:
    """A link and a dialect in one: notes when what was shown and sent, and answers with a status, or not at all."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.shown: list[tuple[int, list[tuple[str, int]]]] = []
        self.sent: list[tuple[int, list[tuple[str, int]]]] = []
        self.status: int | None = 204
        self.silent = False
        self.takes = True
        self.weight = 100
        self.in_flight = 0

    def live(self, view: LiveView) -> Request | None:
        assert view.axis == self._clock.axis
        assert all(isinstance(lamp, Lamp) for lamp in view.lamps)
        if not self.takes:
            return None
        self.shown.append((view.now, [(tick.collector, tick.at) for tick in view.ticks]))
        return Request("POST", "/live", body=bytes(self.weight))

    async def exchange(self, request: Request) -> Answer | Unreachable:
        assert request.path == "/live"
        self.sent.append(self.shown[-1])
        with self._alone():
            await asyncio.sleep(3600 if self.silent else 0.05)
        if self.status is None:
            return Unreachable("the door is closed")
        now = self._clock.now()
        return Answer(self.status, {}, b"", now, now)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        assert not self.in_flight, "one request is in flight"
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


class Scene:
    """A beater whose latest ticks are those of the last whole second. The axis starts at a whole second."""

    def __init__(self, **options: Any) -> None:
        self.clock = SimClock(start=1_000_000)
        self.lamps = board(self.clock)
        self.door = Door(self.clock)
        dialect: Any = self.door
        link: Any = self.door
        self.beater = Beater(Options(**options), dialect, link, self.clock, PlainTime(), self.lamps, self.latest)

    def latest(self) -> list[Tick]:
        at = self.clock.now() // 1000 * 1000
        return [Tick("car", at, (Reading("n", 1, "1"),)), Tick("slow", at // 10_000 * 10_000, ())]

    def times(self) -> list[int]:
        return [at - 1_000_000 for at, _ticks in self.door.shown]


def test_a_sign_of_life_goes_at_once_and_then_now_and_then() -> None:
    async def scene() -> None:
        it = Scene(every=60)
        async with running(it.beater):
            await asyncio.sleep(130)
        assert [ticks for _at, ticks in it.door.shown] == [[], [], []]
        assert it.times() == [0, 60_000, 120_000]
        assert state(it.lamps, "live") == "ok"

    run(scene())


def test_while_watched_each_second_shows_what_is_new() -> None:
    async def scene() -> None:
        it = Scene()
        async with running(it.beater):
            await asyncio.sleep(3.1)
            it.beater.watch(60)
            await asyncio.sleep(3)
        assert it.times() == [0, 3_100, 4_250, 5_250]
        assert it.door.shown[1][1] == [("car", 1_003_000), ("slow", 1_000_000)]
        assert it.door.shown[2][1] == [("car", 1_004_000)]

    run(scene())


def test_a_lease_ends_by_itself_and_is_never_longer_than_a_minute() -> None:
    async def scene() -> None:
        it = Scene(every=600)
        async with running(it.beater):
            it.beater.watch(5)
            await asyncio.sleep(30)
            short = len(it.times())
            it.beater.watch(10_000)
            await asyncio.sleep(300)
        assert 5 <= short <= 7
        assert 60 <= len(it.times()) - short <= 62

    run(scene())


def test_a_lease_can_be_renewed() -> None:
    async def scene() -> None:
        it = Scene(every=600)
        async with running(it.beater):
            for _ in range(10):
                it.beater.watch(10)
                await asyncio.sleep(5)
        assert len(it.times()) == 50

    run(scene())


@pytest.mark.parametrize(
    ("status", "said"), [(None, "the door is closed"), (401, "the hub answered 401"), (503, "the hub answered 503")]
)
def test_a_failure_touches_its_lamp_only_and_heals(status: int | None, said: str) -> None:
    async def scene() -> None:
        it = Scene(every=60)
        it.door.status = status
        async with running(it.beater):
            await asyncio.sleep(1)
            assert (state(it.lamps, "live"), note(it.lamps, "live")) == ("warn", said)
            it.door.status = 204
            await asyncio.sleep(60)
            assert state(it.lamps, "live") == "ok"
        assert len(it.times()) == 2

    run(scene())


def test_a_request_that_is_not_answered_is_given_up_and_not_repeated() -> None:
    async def scene() -> None:
        it = Scene(every=60, timeout=10)
        it.door.silent = True
        async with running(it.beater):
            it.beater.watch(25)
            await asyncio.sleep(29)
            assert note(it.lamps, "live") == "no answer within 10 s"
        assert it.times() == [0, 10_250, 21_250]

    run(scene())


def test_live_views_pause_when_their_budget_is_spent_and_heartbeats_do_not() -> None:
    async def scene() -> None:
        it = Scene(every=10, budget=1)
        async with running(it.beater):
            for _ in range(10):
                it.beater.watch(60)
                await asyncio.sleep(10)
                assert note(it.lamps, "live").startswith("live views pause")
        sent = [(at, ticks) for at, ticks in it.door.sent if at >= 1_001_000]
        assert 9 <= len(sent) <= 10
        assert not any(ticks for _at, ticks in sent)

    run(scene())


def test_live_views_go_on_when_they_are_within_their_budget_again() -> None:
    async def scene() -> None:
        it = Scene(every=10, budget=1000)
        async with running(it.beater):
            it.beater.watch(60)
            await asyncio.sleep(20)
            assert note(it.lamps, "live").startswith("live views pause")
            it.door.weight = 1
            await asyncio.sleep(2)
            assert state(it.lamps, "live") == "ok"

    run(scene())


def test_a_pause_is_over_when_nobody_looks_any_more() -> None:
    async def scene() -> None:
        it = Scene(every=10, budget=1)
        async with running(it.beater):
            it.beater.watch(5)
            await asyncio.sleep(4)
            assert state(it.lamps, "live") == "warn"
            await asyncio.sleep(10)
            assert state(it.lamps, "live") == "ok"

    run(scene())


def test_a_backend_without_live_views_is_sent_nothing() -> None:
    async def scene() -> None:
        it = Scene()
        it.door.takes = False
        async with running(it.beater):
            it.beater.watch(60)
            await asyncio.sleep(100)
        assert it.lamps.all() == ()

    run(scene())
