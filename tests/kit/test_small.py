"""Waits, lamps, notes to the service manager, chance."""

import random
import socket
from pathlib import Path

import orjson
import pytest

from edge_agent.kit.backoff import Backoff
from edge_agent.kit.chance import system_chance
from edge_agent.kit.lamps import MOST_NOTE, LampBoard
from edge_agent.kit.notify import Notifier
from edge_agent.model.lamp import Lamp
from tests.sim.clock import SimClock
from tests.sim.loop import run


class Top(random.Random):
    """Always draws the largest."""

    def random(self) -> float:
        return 1.0


def test_ceilings_double_up_to_the_most_and_start_over_on_success() -> None:
    backoff = Backoff(Top(), first=1.0, most=10.0)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next() == 1


def test_the_draw_covers_everything_below_the_ceiling() -> None:
    draws = []
    for seed in range(300):
        backoff = Backoff(random.Random(seed), first=8.0)
        draws.append(backoff.next())
    assert min(draws) < 0.5
    assert max(draws) > 7.5
    assert 3.5 < sum(draws) / len(draws) < 4.5


@pytest.mark.parametrize(("after", "least"), [(None, 0), (30.0, 30), (1e9, 3600), (-5.0, 0)])
def test_a_bound_from_outside_is_honoured_up_to_an_hour(after: float | None, least: float) -> None:
    backoff = Backoff(random.Random(1), first=1.0)
    assert least <= backoff.next(after) <= least + max(1, min(least, 300)), (
        "drawn above it, since all may be told the same"
    )


def test_the_chance_of_the_system_differs_each_time() -> None:
    chance = system_chance()
    assert chance.getrandbits(63) != chance.getrandbits(63)
    assert len(chance.randbytes(16)) == 16
    assert 0 <= chance.random() < 1


def test_a_lamp_is_told_when_its_state_changes_not_its_note_and_when_it_is_born_other_than_ok() -> None:
    async def scene() -> None:
        clock, changes = SimClock(start=0), list[Lamp]()
        board = LampBoard(clock, changes.append)
        board.light("pusher", "ok")
        await clock.sleep(1)
        board.light("pusher", "warn", "waits 2 s")
        await clock.sleep(1)
        board.light("pusher", "warn", "waits 4 s")
        board.light("clock", "ok")
        board.light("disk", "fail", "full")
        assert changes == [Lamp("pusher", "warn", 1000, "waits 2 s"), Lamp("disk", "fail", 2000, "full")]
        board.remove("disk")
        assert board.all() == (Lamp("clock", "ok", 2000), Lamp("pusher", "warn", 1000, "waits 4 s"))
        board.remove("pusher")
        board.remove("pusher")
        assert [lamp.part for lamp in board.all()] == ["clock"]

    run(scene())


@pytest.mark.parametrize(
    ("note", "kept"),
    [
        ("what answered is a/b\udcff", "what answered is a/b"),
        ("two\r\n lines \x1b[31mred\x00", "two lines [31mred"),
        ("größer 🚗", "größer 🚗"),
        ("x" * 70_000, "x" * MOST_NOTE),
    ],
    ids=["half a character", "controls", "other alphabets", "too long"],
)
def test_words_from_outside_are_cleaned_and_cut_before_they_are_a_note(note: str, kept: str) -> None:
    async def scene() -> None:
        changes = list[Lamp]()
        board = LampBoard(SimClock(start=0), changes.append)
        board.light("stream", "fail", note)
        assert board.all() == tuple(changes) == (Lamp("stream", "fail", 0, kept),)
        assert orjson.loads(orjson.dumps(board.all()[0]))["note"] == kept

    run(scene())


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_hears_each_message(tmp_path: Path, *, abstract: bool) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = f"{tmp_path}/notify"
        manager.bind("\0" + path if abstract else path)
        manager.settimeout(5)
        notifier = Notifier("@" + path if abstract else path)
        notifier.ready()
        notifier.watchdog()
        notifier.status("12 frames wait\nfor the hub")
        notifier.stopping()
        heard = [manager.recv(4096) for _ in range(4)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"STATUS=12 frames wait for the hub", b"STOPPING=1"]


@pytest.mark.parametrize("address", [None, "", "/none/notify", "@nobody-listens-here", "/" + "x" * 300])
def test_without_a_service_manager_nothing_happens(address: str | None) -> None:
    Notifier(address).ready()
