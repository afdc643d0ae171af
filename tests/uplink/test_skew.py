"""The time that a push states: what a hub's refusal teaches, and what a hub with a broken clock may cost."""

import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from edge_agent.kit.scopes import running
from edge_agent.model.frame import Frame
from edge_agent.model.http import Answer, Request
from edge_agent.wire.headers import SENT_AT
from tests.uplink.pushing import HOUR, OFFSET, Scene, playing
from tests.uplink.scripted import refused, settling, storing

YEARS = 315_360_000_000
TOLERANCE = 300_000


def keeping_time(scene: Scene, off: Callable[[], int]) -> Callable[[Request, Sequence[Frame]], Answer]:
    """A hub whose clock is so far off the device's, and that refuses what is further from it than its tolerance."""

    def respond(request: Request, frames: Sequence[Frame]) -> Answer:
        hub_time = scene.clock.now() + OFFSET + off()
        written = request.headers.get(SENT_AT)
        if written is not None and abs(int(written) - hub_time) > TOLERANCE:
            return refused(400, "clock_skew", hub_time=hub_time)
        return storing(request, frames)

    return respond


def pushing(play: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    """Play a scene while its pusher lives."""

    async def whole(scene: Scene) -> None:
        async with running(scene.pusher):
            await play(scene)

    playing(whole)


@pytest.mark.parametrize("off", [-YEARS, -400_000, 400_000, YEARS])
def test_a_refusal_costs_one_request_and_what_was_learnt_serves_the_next_hour(off: int) -> None:
    async def play(scene: Scene) -> None:
        scene.link.respond = keeping_time(scene, lambda: off)
        for _ in range(59):
            scene.telemetry.put()
            await scene.clock.sleep(60)
        assert not scene.telemetry.held
        assert len(scene.link.requests) == 60
        assert scene.link.pushes[0] == scene.link.pushes[1], "the same frames, at once"
        assert scene.link.times[1] - scene.link.times[0] == 50
        stated = [int(request.headers[SENT_AT]) for request in scene.link.requests[1:]]
        assert all(abs(said - at - OFFSET - off) <= 100 for said, at in zip(stated, scene.link.times[1:], strict=True))
        assert scene.lamp.state == "ok"

    pushing(play)


def test_a_hub_that_is_set_right_while_what_was_learnt_is_stated_costs_two_more() -> None:
    async def play(scene: Scene) -> None:
        off = YEARS
        scene.link.respond = keeping_time(scene, lambda: off)
        for turn in range(59):
            off = YEARS if turn < 30 else 0
            scene.telemetry.put()
            await scene.clock.sleep(60)
        assert not scene.telemetry.held
        assert len(scene.link.requests) == 59 + 2
        assert SENT_AT not in scene.link.requests[-1].headers, "until its own knowledge is tried again"

    pushing(play)


@pytest.mark.parametrize(
    ("hub_time", "vain"),
    [(17, 2), (10**15, 2), (-5, 1), (2**53, 1), (2**63, 1), (None, 1), ("soon", 1), (1.5, 1), (True, 1)],
)
def test_a_hub_that_refuses_whatever_is_stated_gets_it_unstated_and_nothing_is_lost(
    hub_time: object, vain: int
) -> None:
    async def play(scene: Scene) -> None:
        def broken(request: Request, frames: Sequence[Frame]) -> Answer:
            if SENT_AT in request.headers:
                return refused(400, "clock_skew", hub_time=hub_time)
            return storing(request, frames)

        scene.link.respond = broken
        frames = set()
        for _ in range(24 * 60):
            frames.add(scene.telemetry.put().identity)
            await scene.clock.sleep(60)
        assert set(scene.telemetry.settled) == frames
        assert not scene.telemetry.held
        assert len(scene.link.requests) - len(frames) in range(vain * 23, vain * 24 + 1), "once an hour"
        stored = [frame.identity for pushed in scene.link.pushes[vain:] for frame in pushed]
        assert set(stored) == frames

    pushing(play)


def test_a_hub_whose_clock_jumps_about_loses_nothing_and_is_not_pressed() -> None:
    async def play(scene: Scene) -> None:
        chance = random.Random(4)
        scene.link.respond = keeping_time(scene, lambda: chance.choice((0, YEARS, -YEARS, 10_000_000)))
        for _ in range(24 * 60):
            scene.telemetry.put()
            await scene.clock.sleep(60)
        assert not scene.telemetry.held
        assert len(scene.link.requests) <= 24 * 60 + 2 * 25

    pushing(play)


def test_a_hub_that_refuses_the_time_of_what_states_none_is_probed_slowly() -> None:
    async def play(scene: Scene) -> None:
        scene.link.respond = lambda _request, _frames: refused(400, "clock_skew", hub_time=17)
        scene.telemetry.put()
        await scene.clock.sleep(2 * HOUR)
        assert len(scene.telemetry.held) == 1
        assert len(scene.link.requests) <= 2 + 2 * 60 + 2 * 2
        assert scene.lamp.state == "fail"
        scene.link.respond = lambda _request, frames: settling({frame.identity: "stored" for frame in frames})
        await scene.clock.sleep(HOUR)
        assert not scene.telemetry.held

    pushing(play)
