"""The pusher: what follows from each kind of answer."""

from collections.abc import Sequence

import pytest

from edge_agent.kit.scopes import running
from edge_agent.model.frame import Frame
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.verdict import Settlement
from edge_agent.uplink.pusher import Options
from edge_agent.wire.headers import SENT_AT
from tests.uplink.pushing import HOUR, OFFSET, Scene, always, playing
from tests.uplink.scripted import (
    Hub,
    answered,
    refused,
    settling,
    storing,
)


@pytest.mark.parametrize("culprit", range(7))
def test_one_bad_frame_among_many_is_found_and_no_other_is_touched(culprit: int) -> None:
    async def play(scene: Scene) -> None:
        frames = [scene.telemetry.put() for _ in range(7)]
        scene.link.respond = Hub([frames[culprit].identity])
        async with running(scene.pusher):
            await scene.clock.sleep(10)
            scene.telemetry.put()
            await scene.clock.sleep(10)
        assert not scene.telemetry.held
        for place, frame in enumerate(frames):
            status = Settlement("rejected", "bad_batch") if place == culprit else Settlement("stored")
            assert scene.telemetry.settled[frame.identity] == status
        assert len(scene.link.pushes) <= 14

    playing(play)


@pytest.mark.parametrize(
    "answer",
    [
        settling({}),
        refused(400, "frame_payload_crc"),
        refused(413, "too_large"),
        answered(413),
        answered(500),
        answered(429),
        answered(404),
        answered(200, b"<html>"),
        answered(302),
        answered(401),
        answered(403),
        refused(400, "clock_skew", hub_time=5),
        refused(400, "clock_skew"),
        Unreachable("no"),
    ],
    ids=lambda answer: getattr(answer, "status", "unreachable"),
)
def test_no_answer_makes_a_hot_loop_and_all_is_kept(answer: Answer | Unreachable) -> None:
    async def play(scene: Scene) -> None:
        for lane in scene.lanes.values():
            for _ in range(20):
                lane.put()
        async with running(scene.pusher):
            await scene.clock.sleep(4 * HOUR)
            assert scene.pusher.progress.waiting == scene.lamp.note != ""
        # Halving asks a few times at once; the backoff's mean is 150 s.
        assert 24 <= len(scene.link.pushes) <= 24 * 10
        assert all(len(lane.held) == 20 for lane in scene.lanes.values())
        assert scene.lamp.state != "ok"
        scene.link.respond = storing
        async with running(scene.pusher):
            await scene.pusher.drained(within=10)
        assert all(not lane.held for lane in scene.lanes.values())
        assert scene.lamps.all()[0].state == "ok"

    playing(play, respond=always(answer))


def test_a_frame_that_stays_unsettled_steps_back_behind_all_others() -> None:
    async def play(scene: Scene) -> None:
        frames = [scene.telemetry.put() for _ in range(9)]
        stuck = frames[0]

        def deaf(_request: Request, frames: Sequence[Frame]) -> Answer:
            return settling({frame.identity: "stored" for frame in frames if frame != stuck})

        scene.link.respond = deaf
        async with running(scene.pusher):
            await scene.clock.sleep(30)
            assert list(scene.telemetry.held) == [stuck.identity]
            await scene.clock.sleep(HOUR)
            before = len(scene.link.pushes)
            fresh = scene.telemetry.put()
            scene.pusher.nudge()
            await scene.clock.sleep(0.1)
            assert scene.link.pushes[before] == [fresh]
            scene.link.respond = storing
            await scene.clock.sleep(HOUR)
        assert not scene.telemetry.held

    playing(play)


def test_a_stuck_frame_that_is_evicted_is_forgotten() -> None:
    async def play(scene: Scene) -> None:
        stuck = scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(5)
            scene.telemetry.evict(stuck)
            await scene.clock.sleep(HOUR)
            scene.link.respond = storing
            frame = scene.telemetry.put()
            await scene.clock.sleep(HOUR)
        assert scene.link.pushes[-1] == [frame]

    playing(play, respond=always(settling({})))


def test_too_large_is_halved_and_remembered() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(64):
            scene.telemetry.put(b"x" * 56)  # 100 bytes a frame

        def narrow(request: Request, frames: Sequence[Frame]) -> Answer:
            return answered(413) if len(request.body) > 1_000 else storing(request, frames)

        scene.link.respond = narrow
        async with running(scene.pusher):
            await scene.clock.sleep(10)
            assert not scene.telemetry.held
            for _ in range(20):
                scene.telemetry.put(b"x" * 56)
            before = len(scene.link.pushes)
            await scene.clock.sleep(10)
        assert [len(frames) for frames in scene.link.pushes[before:]] == [1, 7, 7, 5]

    playing(play)


def test_a_limit_grows_again_when_what_stood_in_the_way_is_gone() -> None:
    async def play(scene: Scene) -> None:
        def narrow(request: Request, frames: Sequence[Frame]) -> Answer:
            return answered(413) if len(request.body) > 1_000 else storing(request, frames)

        scene.link.respond = narrow
        async with running(scene.pusher):
            for _ in range(64):
                scene.telemetry.put(b"x" * 56)  # 100 bytes a frame
            await scene.clock.sleep(60)
            scene.link.respond = storing
            before = len(scene.link.pushes)
            for _ in range(1_200):
                scene.telemetry.put(b"x" * 56)
            await scene.clock.sleep(60)
            assert not scene.telemetry.held
        sizes = [len(frames) for frames in scene.link.pushes[before:] if len(frames) > 1]
        assert sizes[0] == 7
        assert max(sizes) == 30, "750 bytes, 1500, and 3000 at most"
        assert sizes[:-1] == sorted(sizes[:-1])
        assert sizes.count(7) >= 20

    playing(play, options=Options(most_bytes=3_000))


def test_a_limit_that_the_hub_names_is_kept_to() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(10):
            scene.telemetry.put(b"x" * 56)

        def narrow(request: Request, frames: Sequence[Frame]) -> Answer:
            return refused(413, "too_large", limit=450) if len(request.body) > 450 else storing(request, frames)

        scene.link.respond = narrow
        async with running(scene.pusher):
            await scene.clock.sleep(10)
        assert [len(frames) for frames in scene.link.pushes] == [1, 9, 4, 4, 1]

    playing(play)


def test_a_frame_too_large_alone_waits_aside_until_somebody_takes_it() -> None:
    async def play(scene: Scene) -> None:
        large = scene.telemetry.put(b"x" * 5_000)
        small = scene.telemetry.put()

        def narrow(request: Request, frames: Sequence[Frame]) -> Answer:
            return answered(413) if len(request.body) > 1_000 else storing(request, frames)

        scene.link.respond = narrow
        async with running(scene.pusher):
            await scene.clock.sleep(HOUR)
            assert list(scene.telemetry.held) == [large.identity]
            assert scene.telemetry.settled == {small.identity: Settlement("stored")}
            assert "too large" in scene.lamp.note
            scene.link.respond = always(refused(413, "too_large", large))
            await scene.clock.sleep(HOUR)
            assert list(scene.telemetry.held) == [large.identity], "another hub may take it"
            scene.link.respond = storing
            await scene.clock.sleep(HOUR)
        assert scene.telemetry.settled[large.identity] == Settlement("stored")

    playing(play, options=Options(most_bytes=4_000))


def test_a_skewed_push_goes_again_at_once_with_the_hubs_time_then_without_any() -> None:
    async def play(scene: Scene) -> None:
        wrong = 999_000
        at = scene.clock.now()

        def skewed(request: Request, frames: Sequence[Frame]) -> Answer:
            if len(scene.link.requests) < 3:
                return refused(400, "clock_skew", hub_time=OFFSET + wrong + 50)
            return storing(request, frames)

        scene.link.respond = skewed
        frame = scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(1)
            first, second, third = scene.link.requests
            assert scene.link.pushes == [[frame]] * 3
            assert scene.link.times == [at, at + 50, at + 100]
            assert first.headers[SENT_AT] == str(at + OFFSET)
            assert second.headers[SENT_AT] == str(OFFSET + wrong + 50)
            assert SENT_AT not in third.headers
            scene.telemetry.put()
            await scene.clock.sleep(HOUR)
            assert SENT_AT not in scene.link.requests[-1].headers
            scene.telemetry.put()
            await scene.clock.sleep(1)
        assert SENT_AT in scene.link.requests[-1].headers, "its own knowledge is tried again after an hour"

    playing(play)


def test_a_corrected_time_is_kept_for_the_next_pushes() -> None:
    async def play(scene: Scene) -> None:
        def strict(request: Request, frames: Sequence[Frame]) -> Answer:
            true = scene.clock.now() + OFFSET
            if abs(int(request.headers[SENT_AT]) - true) > 300_000:
                return refused(400, "clock_skew", hub_time=true)
            return storing(request, frames)

        scene.link.respond = strict
        async with running(scene.pusher):
            for _ in range(5):
                scene.telemetry.put()
                await scene.clock.sleep(10)
        assert len(scene.link.pushes) == 6

    playing(play, offset=OFFSET - 9_000_000)


def test_a_device_without_time_states_none() -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(1)
        assert SENT_AT not in scene.link.requests[0].headers

    playing(play, offset=None)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (answered(401, b"no"), "the hub does not accept the key: 401 text/html: no"),
        (refused(403, "forbidden"), "the hub does not accept the key: 403 forbidden: Title"),
        (answered(200, b"<h1>Sign in</h1>"), "this is not the hub's answer: 200 text/html: <h1>Sign in</h1>"),
        (answered(302), "this is not the hub's answer: 302 text/html"),
    ],
)
def test_a_closed_door_is_probed_slowly_with_one_frame(answer: Answer, note: str) -> None:
    async def play(scene: Scene) -> None:
        for _ in range(50):
            scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(2 * HOUR)
            scene.pusher.nudge()
            await scene.clock.sleep(1)
        assert all(60 <= gap <= 301 for gap in scene.gaps())
        assert max(scene.gaps()) - min(scene.gaps()) > 60
        assert all(len(frames) == 1 for frames in scene.link.pushes[1:])
        assert (scene.lamp.state, scene.lamp.note) == ("fail", note)
        assert scene.pusher.progress.waiting is None, "it was stopped"
        assert len(scene.telemetry.held) == 50

    playing(play, respond=always(answer))


def test_a_new_key_is_tried_at_once() -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(10)
            scene.link.respond = storing
            scene.pusher.key_changed()
            await scene.clock.sleep(0.01)
            assert len(scene.link.pushes) == 2
            await scene.clock.sleep(1)
        assert not scene.telemetry.held

    playing(play, respond=always(answered(401)))


def test_a_key_that_changes_while_a_request_is_out_is_not_missed() -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(0.01)
            scene.pusher.key_changed()
            scene.link.respond = storing
            await scene.clock.sleep(1)
        assert not scene.telemetry.held

    playing(play, respond=always(answered(401)))


def test_the_hubs_wait_is_a_lower_bound_and_no_nudge_shortens_it() -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(1)
            assert scene.pusher.progress.waiting == "503 text/html"
            scene.pusher.nudge()
            await scene.clock.sleep(1200)
        assert all(gap >= 120 for gap in scene.gaps())
        assert scene.gaps()

    playing(play, respond=always(answered(503, retry_after="120")))


def test_an_outage_is_met_with_growing_waits_and_a_nudge_ends_one_a_minute() -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(2 * HOUR)
            assert max(scene.gaps()) <= 301
            assert scene.lamp.note == "no connection"
            for _ in range(3):
                before = len(scene.link.pushes)
                for _ in range(6):
                    scene.pusher.nudge()
                    await scene.clock.sleep(10)
                assert 1 <= len(scene.link.pushes) - before <= 3
            scene.link.respond = storing
            await scene.clock.sleep(HOUR)
        assert not scene.telemetry.held

    playing(play, respond=always(Unreachable("no connection")))


def test_a_line_that_carries_only_small_requests_still_empties_the_buffer() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(64):
            scene.telemetry.put(b"x" * 1_000)

        def thin(request: Request, frames: Sequence[Frame]) -> Answer | Unreachable:
            return Unreachable("too slow") if len(request.body) > 8_000 else storing(request, frames)

        scene.link.respond = thin
        async with running(scene.pusher):
            await scene.clock.sleep(HOUR)
        assert not scene.telemetry.held

    playing(play)
