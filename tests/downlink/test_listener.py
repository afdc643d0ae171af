"""The listener against a scripted hub, in virtual time."""

import random
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from edge_agent.downlink.listener import Listener, Options
from edge_agent.kit.scopes import running
from edge_agent.model.word import Bye, Hello, Reset, Signed, Word
from tests.downlink.scripted import FOREVER, Board, Connection, PlainDialect, ScriptedLink
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.sim.loop import run
from tests.sim.offload import InlineOffload

PATH = Path("/state/last-event-id")


class Scene:
    """A listener with its script; the words it heard and its lamps."""

    def __init__(
        self, script: Sequence[Connection], disk: MemoryDisk | None = None, options: Options | None = None
    ) -> None:
        self.clock = SimClock()
        self.link = ScriptedLink(self.clock, script)
        self.disk = disk or MemoryDisk()
        self.board = Board()
        self.words: list[Word] = []
        self.slow = 0.0
        self.offload = InlineOffload()
        self.listener = Listener(
            options or Options(),
            PlainDialect(),
            self.link,
            self.clock,
            random.Random(7),
            self.board,
            self.disk,
            self.offload,
            PATH,
            self.hear,
        )

    async def hear(self, word: Word) -> None:
        await anyio.sleep(self.slow)
        self.words.append(word)

    async def play(self, seconds: float) -> "Scene":
        async with running(self.listener):
            await anyio.sleep(seconds)
        assert self.link.open == 0
        assert not self.offload.workers
        return self


def played(script: Sequence[Connection], seconds: float = 3000, disk: MemoryDisk | None = None) -> Scene:
    async def main() -> Scene:
        return await Scene(script, disk).play(seconds)

    return run(main())


def standing(*chunks: bytes, pause: float = 0.0, stays: float = 0.0) -> Connection:
    return Connection(chunks=[(pause, chunk) for chunk in chunks], stays=stays)


def test_words_are_handed_on_in_order_over_any_chunking() -> None:
    body = b'event: hello\r\nid: a-1\r\ndata: e1\r\n\r\n: ping\r\n\r\nevent: instruction\ndata: {"x":\ndata: 1}\n\n'
    expected = [Hello("e1"), Signed("instruction", b'{"x":\n1}')]
    for cut in range(len(body)):
        scene = played([standing(body[:cut], body[cut:], stays=FOREVER)] if cut else [standing(body, stays=FOREVER)], 1)
        assert scene.words == expected


def test_events_that_say_nothing_to_the_agent_are_passed_over() -> None:
    assert played([standing(b"event: stf_gen\ndata: not json\ndata: at all\n\n")], 1).words == []


@pytest.mark.parametrize(
    ("connection", "least", "most", "state"),
    [
        (Connection(status=204), 3600, 3600, "fail"),
        (Connection(status=401), 225, 375, "fail"),
        (Connection(status=403), 225, 375, "fail"),
        (Connection(status=302), 225, 375, "fail"),
        (Connection(status=404), 225, 375, "fail"),
        (Connection(status=410), 225, 375, "fail"),
        (Connection(headers={"content-type": "text/html; charset=utf-8"}), 225, 375, "fail"),
        (Connection(headers={}), 225, 375, "fail"),
        (Connection(headers={"content-type": "text/event-stream;bogus"}), 1, 2, "warn"),
        (Connection(headers={"content-type": "Text/Event-Stream ;"}), 1, 2, "warn"),
        (Connection(status=500), 1, 2, "warn"),
        (Connection(status=429, headers={"retry-after": "70"}), 70, 140, "warn"),
        (Connection(status=503, headers={"retry-after": "999999"}), 3600, 3900, "warn"),
        (Connection(status=503, headers={"retry-after": "soon"}), 1, 2, "warn"),
        (Connection(status=503, headers={"retry-after": f"Mon, {'9' * 20} Jan 2020 00:00:00 GMT"}), 1, 2, "warn"),
        (Connection(unreachable="connection refused"), 1, 2, "warn"),
        (standing(b"retry: 3000\n\n"), 3, 4, "warn"),
        (standing(b"retry: 1\n\n"), 1, 2, "warn"),
        (standing(b"retry: 86400000\n\n"), 60, 120, "warn"),
        (standing(b'event: bye\ndata: {"after": 120, "why": "restart"}\n\n', stays=FOREVER), 120, 240, "warn"),
        (standing(b"data: " + b"x" * 300_000), 1, 2, "warn"),
    ],
)
def test_each_end_is_waited_for_in_its_own_way(connection: Connection, least: float, most: float, state: str) -> None:
    scene = played([connection], 4000)
    assert least <= scene.link.waits()[0] <= most
    assert [light for light in scene.board.states() if light != "ok"] == [state]
    assert scene.board.states()[-1] == "ok"


def test_a_refused_key_is_tried_again_at_once_when_it_changes() -> None:
    async def main() -> None:
        scene = Scene([Connection(status=401)])
        async with running(scene.listener):
            await anyio.sleep(10)
            assert len(scene.link.asked) == 1
            scene.listener.key_changed()
            await anyio.sleep(1)
            assert scene.link.waits() == [10]

    run(main())


def test_it_waits_for_the_head_the_first_byte_and_the_next_byte_apart() -> None:
    script = [
        Connection(answers_after=FOREVER),
        Connection(stays=FOREVER),
        Connection(chunks=[(0, b":\n\n"), (44, b":"), (44, b"\n\n"), (44, b"data")], stays=FOREVER),
    ]
    head, first, idle = played(script).link.waits()
    assert 20 <= head <= 22
    assert 30 <= first <= 33
    assert 3 * 44 + 45 <= idle <= 3 * 44 + 45 + 2


def test_a_limit_of_zero_is_none() -> None:
    async def main() -> None:
        options = Options(connect=0, first_byte=0, idle=0)
        scene = await Scene([Connection(answers_after=500, stays=FOREVER)], options=options).play(100_000)
        assert len(scene.link.asked) == 1

    run(main())


def test_a_word_that_takes_long_is_not_silence() -> None:
    async def main() -> None:
        scene = Scene([standing(b"event: hello\ndata: a\n\nevent: hello\ndata: b\n\n", b":\n", pause=1, stays=FOREVER)])
        scene.slow = 300
        await scene.play(630)
        assert scene.words == [Hello("a"), Hello("b")]
        assert len(scene.link.asked) == 1

    run(main())


def test_a_hub_that_accepts_and_drops_is_met_with_growing_waits() -> None:
    waits = played([standing(b":\n\n", stays=50)] * 40, 20_000).link.waits()
    assert max(waits) > 50 + 100
    assert sum(waits[:5]) < sum(waits[15:20])


def test_a_minute_of_standing_starts_the_backoff_over() -> None:
    waits = played(
        [Connection(unreachable="no route")] * 12 + [standing(*[b":\n\n"] * 7, pause=10)] * 8, 9000
    ).link.waits()
    assert max(waits[:12]) > 60
    assert all(70 <= wait <= 70 + 3 for wait in waits[12:20])


def test_it_never_gives_up() -> None:
    scene = played([Connection(status=500)] * 200 + [standing(b"event: hello\ndata: x\n\n", stays=FOREVER)], 90_000)
    assert scene.words == [Hello("x")]
    assert max(scene.link.waits()) <= 301


def test_the_id_of_the_last_word_is_asked_for_and_kept_over_words_without_one() -> None:
    script = [
        standing(b"id: abc\nevent: hello\ndata: x\n\n: c\n\n"),
        standing(b"event: hello\ndata: y\n\n"),
        standing(b"id: def\nevent: hello\ndata: cut"),
        standing(b"id: ghi\n\n"),
        standing(b"id\nevent: hello\ndata: z\n\n"),
    ]
    assert played(script, 100).link.ids() == ["", "abc", "abc", "abc", "ghi", ""]


def test_an_id_is_not_asked_for_after_a_reset_that_does_not_bring_another() -> None:
    script = [
        standing(b"id: old-7\nevent: hello\ndata: x\n\n"),
        standing(b"event: reset\ndata: {}\n\nevent: keepalive\ndata: {}\n\n", b"event: keepalive\ndata: {}\n\n"),
        standing(b"event: reset\ndata: {}\nid: new-1\n\nevent: keepalive\ndata: {}\n\n"),
    ]
    scene = played(script, 100)
    assert scene.link.ids() == ["", "old-7", "", "new-1"]
    assert scene.words.count(Reset()) == 2


def test_a_hub_that_chokes_on_the_id_is_asked_without() -> None:
    script = [standing(b"id: \xc3\xa9\ndata: x\n\n"), Connection(status=431)]
    assert played(script).link.ids() == ["", "é", ""]


def test_an_id_too_long_for_a_header_is_not_kept() -> None:
    assert played([standing(b"id: " + b"x" * 2000 + b"\ndata: x\n\n")], 100).link.ids() == ["", ""]


def test_the_last_id_survives_a_restart() -> None:
    disk = MemoryDisk()
    played([standing(b"id: e-1\ndata: x\n\nid: e-2\ndata: y\n\n", stays=FOREVER)], 10, disk)
    disk.crash()
    assert played([], 1, disk).link.ids() == ["e-2"]


def test_the_last_id_is_written_once_a_minute_at_most() -> None:
    disk = MemoryDisk()
    played([standing(*[b"id: %d\ndata: x\n\n" % n for n in range(600)], pause=1, stays=FOREVER)], 601, disk)
    assert disk.calls["replace"] <= 12


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"00000000 e-1\n", b"nonsense", b"\xff" * 5000, b"352441c2 abc"])
def test_a_damaged_bookmark_is_none(content: bytes) -> None:
    disk = MemoryDisk()
    disk.plant(PATH, content)
    assert played([], 1, disk).link.ids() == [""]


def test_a_stop_while_the_last_id_is_being_read_lets_its_thread_go() -> None:
    async def main() -> None:
        scene = Scene([])
        scene.offload.hang("bookmark")
        await scene.play(1)
        scene.offload.free("bookmark")

    run(main())


def test_a_bookmark_that_cannot_be_written_stops_nothing() -> None:
    disk = MemoryDisk()
    disk.fail("replace", 28, times=None)
    disk.fail("read", 5, times=None)
    script = [standing(b"id: e-1\nevent: hello\ndata: x\n\n")]
    assert played(script, 100, disk).link.ids() == ["", "e-1"]


def test_goodbye_ends_the_connection_before_what_follows_it() -> None:
    body = b'event: bye\ndata: {"after": 1, "why": "twin"}\n\nevent: hello\ndata: x\n\n'
    scene = played([standing(body, stays=FOREVER)], 1)
    assert scene.words == [Bye(1, "twin")]
    assert scene.board.lights[-1] == ("stream", "warn", "twin: another machine speaks under this device's id")


def test_a_hub_that_hears_a_twin_is_told_by_the_lamp_until_it_does_not() -> None:
    body = b"".join(b"event: keepalive\ndata: %s\n\n" % said for said in (b"x", b"twin", b"twin", b"x", b"x"))
    scene = played([standing(body, stays=FOREVER)], 1)
    note = "twin: another machine speaks under this device's id"
    assert scene.board.lights == [("stream", "ok", ""), ("stream", "warn", note), ("stream", "ok", "")]
