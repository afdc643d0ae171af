"""The pusher: what waits for its pace, its day and its purse, and what steps aside; nothing is given up."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.dialects.native import Native
from edge_agent.kit.scopes import running
from edge_agent.model.frame import Frame
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.uplink.allowance import MOST_SAVED, TRICKLE
from edge_agent.uplink.daybook import Daybook
from edge_agent.uplink.pusher import Options, Pusher
from edge_agent.wire.frame import encoded_size
from tests.sim.disk import MemoryDisk
from tests.sim.offload import InlineOffload
from tests.uplink.pushing import HOUR, Scene, always, playing
from tests.uplink.scripted import Hub, answered, refused, settling, storing

DAY = 24 * HOUR
KIB = b"x" * (1024 - 44)


def sizes(scene: Scene) -> int:
    """Bytes of all request bodies."""
    return sum(len(request.body) for request in scene.link.requests)


def test_the_backlog_keeps_its_pace_and_what_is_new_does_not_wait_for_it() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(200):
            scene.telemetry.put(KIB)
        async with running(scene.pusher):
            await scene.clock.sleep(20)
            backlog = 200 - len(scene.telemetry.held) - 1
            assert 19 * 4 <= backlog <= 20 * 4 + 16, "4 KiB a second, one lump ahead"
            assert scene.pusher.progress.waiting == "the backlog keeps its pace"
            until = scene.pusher.progress.until
            assert until is not None
            assert 0 < until - scene.clock.now() <= 4_000
            report, newest = scene.lanes["reports"].put(), scene.telemetry.put()
            await scene.clock.sleep(1.1)
            assert report.identity not in scene.lanes["reports"].held
            assert newest.identity not in scene.telemetry.held
            await scene.clock.sleep(40)
        assert not scene.telemetry.held

    playing(play, options=Options(backfill_rate=4096))


def test_without_a_pace_a_backlog_goes_as_fast_as_it_is_taken() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(5_000):
            scene.telemetry.put(KIB)
        async with running(scene.pusher):
            await scene.clock.sleep(2)
        assert not scene.telemetry.held

    playing(play, options=Options(backfill_rate="unlimited"))


def test_a_stop_does_not_break_the_pace() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(200):
            scene.telemetry.put(KIB)
        async with running(scene.pusher):
            await scene.pusher.drained(within=5)
        assert 160 <= len(scene.telemetry.held) <= 184

    playing(play, options=Options(backfill_rate=4096))


def test_once_the_bytes_of_a_day_are_used_up_only_what_is_new_goes() -> None:
    async def play(scene: Scene) -> None:
        daybook = Daybook(65_536, Path("/s/allowance"), MemoryDisk(), InlineOffload(), scene.clock, scene.lamps)
        pusher = Pusher(
            Options(most_bytes=8192),
            scene.lanes,
            Native("d"),
            scene.link,
            scene.clock,
            random.Random(1),
            scene.time,
            scene.lamps,
            daybook,
        )
        for _ in range(100):
            scene.telemetry.put(KIB)
        async with daybook, running(pusher):
            await scene.clock.sleep(60)
            held = len(scene.telemetry.held)
            assert 30 <= held <= 48
            assert pusher.progress.waiting == "the bytes of a day are used up: only what is new goes"
            assert pusher.progress.today is not None
            assert 65_536 <= pusher.progress.today <= 65_536 + 10_000, "one request further, heads counted"
            for _ in range(3):
                scene.telemetry.put(KIB)
                scene.lanes["events"].put(KIB)
                await scene.clock.sleep(1.1)
            assert len(scene.telemetry.held) == held
            assert not scene.lanes["events"].held
            await scene.clock.sleep(23 * HOUR)
            assert len(scene.telemetry.held) == held
            await scene.clock.sleep(3 * HOUR)
        assert not scene.telemetry.held

    playing(play)


def test_a_line_that_loses_every_answer_cannot_burn_a_metered_link() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(20):
            scene.telemetry.put(b"x" * 900_000)
        async with running(scene.pusher):
            await scene.clock.sleep(DAY)
            assert sizes(scene) <= MOST_SAVED + TRICKLE * DAY + 1_000_000
            assert scene.pusher.progress.bytes == sizes(scene)
            scene.link.respond = storing
            await scene.clock.sleep(4 * HOUR)
        assert not scene.telemetry.held, "and nothing is given up"

    playing(play, respond=always(Unreachable("no answer in time")))


def test_attempts_that_never_left_cost_nothing() -> None:
    async def play(scene: Scene) -> None:
        for _ in range(20):
            scene.telemetry.put(b"x" * 900_000)
        async with running(scene.pusher):
            await scene.clock.sleep(DAY)
            assert max(scene.gaps()) <= 301
            assert scene.pusher.progress.bytes == 0
            scene.link.respond = storing
            await scene.clock.sleep(600)
        assert not scene.telemetry.held

    playing(play, respond=always(Unreachable("no connection", sent=False)))


def test_a_line_that_loses_two_answers_of_five_is_not_slowed_by_the_purse() -> None:
    chance = random.Random(3)

    async def play(scene: Scene) -> None:
        def lossy(request: Request, frames: Sequence[Frame]) -> Answer | Unreachable:
            return Unreachable("lost") if chance.random() < 0.4 else storing(request, frames)

        scene.link.respond = lossy
        async with running(scene.pusher):
            for _ in range(360):
                scene.telemetry.put(b"x" * 100_000)
                await scene.clock.sleep(10)
                waiting = scene.pusher.progress.waiting
                assert waiting is None or "in vain" not in waiting
            await scene.clock.sleep(600)
        assert not scene.telemetry.held

    playing(play)


@pytest.mark.parametrize(
    "answer",
    [
        answered(500),
        answered(413),
        settling({}),
        Unreachable("the line broke"),
        refused(400, "unsupported_version"),
        refused(400, "frame_payload_crc"),
    ],
    ids=lambda answer: getattr(answer, "status", "unreachable"),
)
@pytest.mark.parametrize("lane", ["telemetry", "reports", "logs"])
def test_a_frame_that_no_request_survives_stops_no_other_and_is_neither_let_go_nor_sent_hot(
    answer: Answer | Unreachable, lane: str
) -> None:
    async def play(scene: Scene) -> None:
        poison = next(one for name, one in scene.lanes.items() if name == lane).put()

        def picky(request: Request, frames: Sequence[Frame]) -> Answer | Unreachable:
            return answer if poison in frames else storing(request, frames)

        scene.link.respond = picky
        for _ in range(50):
            for one in scene.lanes.values():
                one.put()
        async with running(scene.pusher):
            await scene.clock.sleep(600)
            assert [key for one in scene.lanes.values() for key in one.held] == [poison.identity]
            before = sum(poison in frames for frames in scene.link.pushes)
            assert before <= 30
            for _ in range(360):
                scene.telemetry.put()
                await scene.clock.sleep(10)
                assert len(scene.telemetry.held) <= 2
            assert sum(poison in frames for frames in scene.link.pushes) - before <= 12
            scene.link.respond = storing
            await scene.clock.sleep(HOUR)
        assert not any(one.held for one in scene.lanes.values())
        assert all(word.status == "stored" for one in scene.lanes.values() for word in one.settled.values())

    playing(play)


@pytest.mark.parametrize("code", ["unsupported_version", "bad_batch", "bad_json", "bad_gzip", "identity_conflict"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_hub_that_rejects_everything_has_nothing_buried(code: str, *, alone: bool) -> None:
    async def play(scene: Scene) -> None:
        def wrong(_request: Request, frames: Sequence[Frame]) -> Answer:
            if alone and len(frames) == 1:
                return refused(400, code, frames[0])
            return settling({frame.identity: "rejected" for frame in frames}, code)

        for _ in range(100):
            scene.telemetry.put()
            scene.lanes["reports"].put()
        async with running(scene.pusher):
            await scene.clock.sleep(1)
            scene.link.respond = wrong
            for _ in range(360):
                scene.telemetry.put()
                await scene.clock.sleep(10)
            assert len(scene.link.pushes) <= 120
            assert not any(word.status == "rejected" for one in scene.lanes.values() for word in one.settled.values())
            scene.link.respond = storing
            await scene.clock.sleep(HOUR)
        assert not any(one.held for one in scene.lanes.values())

    playing(play)


def test_a_frame_rejected_beside_others_that_were_stored_is_believed() -> None:
    async def play(scene: Scene) -> None:
        bad = scene.telemetry.put()
        for _ in range(5):
            scene.telemetry.put()

        def strict(_request: Request, frames: Sequence[Frame]) -> Answer:
            return settling({frame.identity: "rejected" if frame == bad else "stored" for frame in frames}, "bad_batch")

        scene.link.respond = strict
        async with running(scene.pusher):
            await scene.clock.sleep(1)
        assert not scene.telemetry.held
        assert scene.telemetry.settled[bad.identity].code == "bad_batch"
        assert scene.lamp.note == "rejected: 1 batches, bad_batch"

    playing(play)


def test_a_hundred_frames_of_a_version_that_the_hub_does_not_know_are_kept_and_cost_little() -> None:
    async def play(scene: Scene) -> None:
        strange = {scene.telemetry.put(KIB).identity for _ in range(100)}

        def older(_request: Request, frames: Sequence[Frame]) -> Answer:
            words = {frame.identity: "rejected" if frame.identity in strange else "stored" for frame in frames}
            return settling(words, "unsupported_version")

        scene.link.respond = older
        async with running(scene.pusher):
            for _ in range(360):
                scene.telemetry.put()
                await scene.clock.sleep(10)
            assert strange <= set(scene.telemetry.held)
            assert len(scene.telemetry.held) <= 100 + 3
            assert sizes(scene) <= 360 * encoded_size(scene.link.pushes[-1][0]) + 2_000_000
            scene.link.respond = storing
            await scene.clock.sleep(2 * HOUR)
        assert not scene.telemetry.held

    playing(play)


def test_a_hub_that_is_heard_again_leaves_a_tenth_of_the_wait_once_a_minute() -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(2 * HOUR)
            while (left := (scene.pusher.progress.until or 0) - scene.clock.now()) < 100_000:
                await scene.clock.sleep(10)
            before = len(scene.link.pushes)
            scene.pusher.heard()
            scene.pusher.heard()
            assert scene.pusher.progress.until == scene.clock.now() + left // 10
            await scene.clock.sleep(left / 10_000 - 0.1)
            assert len(scene.link.pushes) == before
            await scene.clock.sleep(0.2)
            assert len(scene.link.pushes) == before + 1

    playing(play, respond=always(Unreachable("no", sent=False)))


def test_a_hub_that_asks_all_to_wait_is_met_by_a_draw_above_it() -> None:
    async def play(scene: Scene) -> None:
        scene.telemetry.put()
        async with running(scene.pusher):
            await scene.clock.sleep(10 * HOUR)
        assert all(120 <= gap <= 240.1 for gap in scene.gaps())
        assert max(scene.gaps()) > 200

    playing(play, respond=always(answered(503, retry_after="120")))


def test_the_bad_one_among_many_is_let_go_only_by_its_own_fault() -> None:
    async def play(scene: Scene) -> None:
        frames = [scene.telemetry.put() for _ in range(9)]
        scene.link.respond = Hub([frames[4].identity])
        async with running(scene.pusher):
            for _ in range(5):
                await scene.clock.sleep(60)
                scene.telemetry.put()
        rejected = {key for key, word in scene.telemetry.settled.items() if word.status == "rejected"}
        assert rejected == {frames[4].identity}

    playing(play)
