"""The pusher: what goes when, how it ends, and that nothing is lost over any schedule of faults."""

import random
from collections.abc import Sequence

import anyio
import pytest

from edge_agent.dialects.native import Native
from edge_agent.kit.scopes import running
from edge_agent.model.frame import Frame, Identity, LaneName
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.verdict import Settlement
from edge_agent.uplink.pusher import Options, Pusher
from edge_agent.wire.headers import CLOCK, SENT_AT, SPOOL
from tests.uplink.pushing import HOUR, OFFSET, Scene, always, playing
from tests.uplink.scripted import (
    Hub,
    MemoryLane,
    Trouble,
    answered,
    settling,
)


def test_what_matters_now_goes_first_and_the_backlog_follows_oldest_first() -> None:
    async def play(scene: Scene) -> None:
        old = [scene.telemetry.put(b"x" * 400) for _ in range(5)]
        newest = scene.telemetry.put()
        urgent = [scene.lanes[lane].put() for lane in ("reports", "events", "logs")]
        async with running(scene.pusher):
            await scene.clock.sleep(1)
        report, event, log = urgent
        assert scene.link.pushes == [[report, newest, event, log], old[:2], old[2:4], old[4:]]
        assert all(not lane.held for lane in scene.lanes.values())
        assert scene.lamp.state == "ok"

    playing(play, options=Options(most_bytes=1000))


def test_a_request_waits_for_the_moment_at_which_it_tells_most_about_the_time() -> None:
    async def play(scene: Scene) -> None:
        scene.time.turns_at = scene.clock.now() + 700
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(1)
        assert scene.link.times == [scene.time.turns_at]

    playing(play)


def test_news_during_a_long_backlog_takes_turns_with_it() -> None:
    async def play(scene: Scene) -> None:
        old = [scene.telemetry.put() for _ in range(4)]
        async with running(scene.pusher):
            await scene.clock.sleep(0.01)
            news = scene.telemetry.put()
            report = scene.lanes["reports"].put()
            await scene.clock.sleep(1)
        assert scene.link.pushes == [[old[3]], old[:2], [report, news], [old[2]]]

    playing(play, options=Options(most_frames=2))


def test_a_sealed_frame_goes_at_once_and_idling_asks_nothing() -> None:
    async def play(scene: Scene) -> None:
        async with running(scene.pusher):
            await scene.clock.sleep(24 * HOUR)
            assert scene.link.pushes == []
            assert scene.pusher.progress.waiting is None
            at = scene.clock.now()
            frames = [scene.telemetry.put(), scene.lanes["reports"].put()]
            await scene.clock.sleep(24 * HOUR)
        assert scene.link.pushes == [frames[::-1]]
        assert scene.link.times == [at]

    playing(play)


def test_a_push_says_when_it_left_on_which_axis_and_what_is_held() -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(1)
        (request,) = scene.link.requests
        now = scene.link.times[0]
        assert request.headers[SENT_AT] == str(now + OFFSET)
        assert request.headers[CLOCK] == f"{scene.clock.axis}={now}"
        assert request.headers[SPOOL] == "telemetry:000000000000012c:1:-"

    playing(play)


def test_each_lane_lets_go_of_what_was_named_and_keeps_the_rest() -> None:
    async def play(scene: Scene) -> None:
        report, event, log = (scene.lanes[lane].put() for lane in ("reports", "events", "logs"))
        stranger = Identity(9, 9)

        def once(_request: Request, _frames: Sequence[Frame]) -> Answer:
            scene.link.respond = always(answered(503))
            return settling({report.identity: "thinned", log.identity: "duplicate", stranger: "stored"})

        scene.link.respond = once
        async with running(scene.pusher):
            await scene.clock.sleep(0.5)
        assert scene.lanes["reports"].settled == {report.identity: Settlement("thinned")}
        assert scene.lanes["logs"].settled == {log.identity: Settlement("duplicate")}
        assert list(scene.lanes["events"].held) == [event.identity]
        assert scene.link.pushes[1] == [event]
        assert scene.pusher.progress.frames == 2

    playing(play)


class Unread(MemoryLane):
    """A lane whose disk fails to read while `failing`; its buffer takes what it holds for readable all the same."""

    failing = True
    asked = 0

    async def oldest(self, most_bytes: int, most_frames: int) -> Sequence[Frame]:
        self.asked += 1
        return [] if self.failing else await super().oldest(most_bytes, most_frames)

    async def newest(self) -> Frame | None:
        return None


def test_what_cannot_be_read_is_waited_for_and_is_no_fault_of_the_hub() -> None:
    async def play(scene: Scene) -> None:
        lane = Unread("telemetry", 300)
        scene.lanes["telemetry"] = lane
        frame = lane.put()
        async with running(scene.pusher):
            await scene.clock.sleep(600)
            assert scene.pusher.progress.waiting == "what is held cannot be read"
            assert scene.lamps.all() == ()
            assert lane.asked <= 600 / 1.0 + 1, "no hot loop, also where the buffer takes it for readable"
            report = scene.lanes["reports"].put()
            await scene.clock.sleep(1.1)
            assert scene.link.pushes == [[report]], "the other lanes go on"
            assert (scene.lamp.state, scene.lamp.note) == ("ok", "")
            lane.failing = False
            await scene.clock.sleep(60)
        assert scene.link.pushes == [[report], [frame]]

    playing(play)


def test_what_cannot_be_read_is_tried_again_though_nothing_new_comes() -> None:
    class Asleep(Unread):
        async def filled(self) -> None:
            await anyio.sleep_forever()

    async def play(scene: Scene) -> None:
        lane = Asleep("telemetry", 300)
        scene.lanes["telemetry"] = lane
        lane.put()
        async with running(scene.pusher):
            await scene.clock.sleep(600)
            assert lane.asked <= 11
            lane.failing = False
            await scene.clock.sleep(61)
        assert not lane.held

    playing(play)


def test_draining_ends_when_all_is_settled() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(20):
            scene.telemetry.put()
        async with running(scene.pusher):
            await scene.pusher.drained(within=60)
        assert not scene.telemetry.held
        assert scene.clock.now() == 1_000_000 + 50 * len(scene.link.pushes)

    playing(play, options=Options(most_frames=4))


@pytest.mark.parametrize("answer", [answered(401), answered(404), answered(503, retry_after="100")])
def test_draining_does_not_wait_for_what_cannot_come_in_time(answer: Answer) -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.pusher.drained(within=30)
        assert len(scene.link.pushes) == 1
        assert scene.clock.now() == 1_000_050

    playing(play, respond=always(answer))


def test_draining_retries_until_its_time_is_up() -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.pusher.drained(within=30)
        assert len(scene.link.pushes) > 3
        assert scene.clock.now() <= 1_030_000
        scene.link.delay = HOUR
        async with running(scene.pusher):
            await scene.pusher.drained(within=30)
        assert scene.clock.now() <= 1_060_000
        assert len(scene.telemetry.held) == 1

    playing(play, respond=always(Unreachable("no")))


def test_progress_counts_what_was_sent_and_settled() -> None:
    async def play(scene: Scene) -> None:
        fresh = scene.pusher.progress
        assert (fresh.frames, fresh.bytes, fresh.requests, fresh.last_ack) == (0, 0, 0, None)
        scene.telemetry.put(b"x" * 56)
        async with running(scene.pusher):
            await scene.clock.sleep(1)
        done = scene.pusher.progress
        assert (done.frames, done.bytes, done.requests, done.last_ack) == (1, 100, 1, 1_000_050)

    playing(play)


def test_a_pusher_for_fewer_lanes_works() -> None:
    async def play(scene: Scene) -> None:
        lanes: dict[LaneName, MemoryLane] = {"reports": scene.lanes["reports"]}
        pusher = Pusher(
            Options(), lanes, Native("d"), scene.link, scene.clock, random.Random(1), scene.time, scene.lamps
        )
        report = scene.lanes["reports"].put()
        async with running(pusher):
            await pusher.drained(within=1)
        assert scene.link.pushes == [[report]]

    playing(play)


@pytest.mark.parametrize("seed", range(30))
def test_over_any_schedule_of_faults_the_hub_holds_each_frame_once(seed: int) -> None:
    chance = random.Random(seed)

    async def play(scene: Scene) -> None:
        hub = Hub()
        sealed: list[Frame] = []
        scene.link.respond = Trouble(chance, hub)

        async def seal() -> None:
            for _ in range(60):
                lane = scene.lanes[chance.choice(list(scene.lanes))]
                sealed.append(lane.put(chance.randbytes(chance.randrange(200))))
                hub.bad |= {sealed[-1].identity} if chance.random() < 0.05 else set()
                await scene.clock.sleep(chance.random() * 30)

        async with running(scene.pusher):
            await seal()
            await scene.clock.sleep(6 * HOUR)
            scene.link.respond = hub
            await scene.clock.sleep(HOUR)
            sealed.append(scene.telemetry.put())
            await scene.clock.sleep(HOUR)
        assert not any(lane.held for lane in scene.lanes.values())
        settled = {key: word for lane in scene.lanes.values() for key, word in lane.settled.items()}
        for frame in sealed:
            if frame.identity in hub.bad:
                assert settled[frame.identity].status == "rejected"
                assert frame.identity not in hub.stored
            else:
                assert settled[frame.identity].status in {"stored", "duplicate"}
                assert hub.stored[frame.identity] == frame.payload

    playing(play, options=Options(most_bytes=2_000, most_frames=8), seed=seed)


def test_cancelling_in_the_middle_of_a_request_keeps_its_frames() -> None:
    async def play(scene: Scene) -> None:
        frame = scene.telemetry.put()
        with anyio.move_on_after(0.01):
            await scene.pusher.run()
        assert list(scene.telemetry.held) == [frame.identity]

    playing(play)
