"""A link that follows a script, a dialect of words, and a lamp board that remembers.

A connection of the script is what the hub would do: an answer after some seconds, then chunks with pauses before
them, then the end; or it never answers. When the script is over, every further connection stands and says nothing but
that it does.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import anyio
import orjson

from edge_agent.model.frame import Frame, Identity
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.lamp import Lamp
from edge_agent.model.offers import Dispatch, LiveView
from edge_agent.model.ports import Stream
from edge_agent.model.verdict import Verdict
from edge_agent.model.word import Bye, Hello, Keepalive, Reset, Signed, Word
from tests.sim.clock import SimClock

EVENTS: Mapping[str, str] = {"content-type": "text/event-stream"}
FOREVER = 10_000_000.0


@dataclass
class Connection:
    """What comes: `chunks` are (seconds before it, bytes), then the end after `stays` seconds."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: EVENTS)
    chunks: Sequence[tuple[float, bytes]] = ()
    stays: float = 0.0
    answers_after: float = 0.0
    unreachable: str = ""
    beats: bool = False


class _ScriptedStream:
    def __init__(self, connection: Connection) -> None:
        self.answer = Answer(connection.status, connection.headers, b"", 0, 0)
        self._chunks = list(connection.chunks)
        self._stays = connection.stays
        self._beats = connection.beats

    async def read(self) -> bytes:
        if self._beats:
            await anyio.sleep(15)
            return b":\n\n"
        if not self._chunks:
            await anyio.sleep(self._stays)
            return b""
        pause, chunk = self._chunks.pop(0)
        await anyio.sleep(pause)
        return chunk


class ScriptedLink:
    """`model.ports.Link`; `asked` are the axis time and the request of each connection, `open` how many stand."""

    def __init__(self, clock: SimClock, script: Sequence[Connection]) -> None:
        self._clock = clock
        self._script = list(script)
        self.asked: list[tuple[int, Request]] = []
        self.open = 0

    async def exchange(self, request: Request) -> Answer | Unreachable:
        raise AssertionError(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream | Unreachable]:
        self.asked.append((self._clock.now(), request))
        connection = self._script.pop(0) if self._script else Connection(beats=True)
        await anyio.sleep(connection.answers_after)
        if connection.unreachable:
            yield Unreachable(connection.unreachable)
            return
        self.open += 1
        assert self.open == 1, "one connection only"
        try:
            yield _ScriptedStream(connection)
        finally:
            self.open -= 1

    def waits(self) -> list[float]:
        """Seconds between the connections."""
        times = [at for at, _request in self.asked]
        return [(after - before) / 1000 for before, after in pairwise(times)]

    def ids(self) -> list[str]:
        """What each connection asked to be replayed from."""
        return [request.headers["last-event-id"] for _at, request in self.asked]


class PlainDialect:
    """`model.offers.Dialect` of which only the stream says something: the event's name is the word."""

    def stream(self, last_event_id: str) -> Request:
        return Request("GET", "/stream", {"last-event-id": last_event_id})

    def word(self, event: str, data: str) -> Word | None:
        if event == "hello":
            return Hello(data)
        if event == "instruction":
            return Signed("instruction", data.encode())
        if event == "bye":
            return Bye(**orjson.loads(data))
        if event == "reset":
            return Reset()
        return Keepalive(twin=data == "twin") if event == "keepalive" else None

    def push(self, frames: Sequence[Frame], dispatch: Dispatch) -> Request:
        raise AssertionError(frames, dispatch)

    def verdict(self, frames: Sequence[Frame], answer: Answer) -> Verdict:
        raise AssertionError(frames, answer)

    def config(self) -> Request | None:
        return None

    def live(self, view: LiveView) -> Request | None:
        raise AssertionError(view)

    def grant(self, key: str) -> Request | None:
        raise AssertionError(key)

    def registration(self, resource: Mapping[str, str]) -> Request | None:
        raise AssertionError(resource)

    def report(self, identity: Identity, report: Mapping[str, Any]) -> Request | None:
        raise AssertionError(identity, report)

    def logs(self, records: Sequence[Mapping[str, Any]]) -> Request | None:
        raise AssertionError(records)


class Board:
    """`model.lamp.Lamps` that keeps every light in order."""

    def __init__(self) -> None:
        self.lights: list[tuple[str, str, str]] = []

    def light(self, part: str, state: str, note: str = "") -> None:
        self.lights.append((part, state, note))

    def remove(self, part: str) -> None:
        raise AssertionError(part)

    def all(self) -> tuple[Lamp, ...]:
        return ()

    def states(self) -> list[str]:
        """The states in order."""
        return [state for _part, state, _note in self.lights]
