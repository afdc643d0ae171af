"""The network between devices and one hub, in virtual time and without sockets.

A line carries requests to the hub's router and the answers back, each way after a drawn time, and does to them what
its `weather` says (`tests.sim.weather`). Besides, a scene may `cut` it: nobody answers the door, requests are refused
at once, open streams and answers on their way break; that is also how it is while the hub is down (`router` is None).
`sever` is what the end of the hub's process does to what is in flight: handlers stop where they wait, and whatever they
had said but the asker has not heard is lost.

Like the real rim it refuses bodies that are too large, hands no body on that did not come whole, and what a request
began at the hub runs to its end when the asker leaves. `trace` says what was asked and what came of it. Does not
handle: connections that stay (each request has its own), headers that are too long.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple, TypeVar

import anyio

from edge_agent.hub.exchange import Reply
from edge_agent.hub.router import Router, problem, refused
from edge_agent.model.http import Request, Unreachable
from tests.sim.doors import Cache, Stamp, narrow
from tests.sim.weather import FAIR, Weather

T = TypeVar("T")

PEER = "192.0.2.7"
_LEAST_WAY, _MOST_WAY = 0.002, 0.03
_BROKEN = Unreachable("the line to the hub broke")
_KEPT_STATUS = 200


class Passage(NamedTuple):
    """One request: when it left (virtual seconds), what it was, and its status or what kept it from one."""

    at: float
    method: str
    path: str
    digest: str
    fate: str


Hear = Callable[[Passage, Request, Reply | None], None]
"""Told each passage once its fate is known, with the answer that the asker got."""


def deaf(_passage: Passage, _request: Request, _reply: Reply | None) -> None:
    """Whoever wants to hear nothing."""


class Line:
    """See the module. `most` is the largest body that the hub takes, in bytes; `stamp` is the wall clock in ms."""

    def __init__(self, chance: Random, most: int, stamp: Stamp, hear: Hear = deaf) -> None:
        self.router: Router | None = None
        self.trace: list[Passage] = []
        """Every request whose fate is known, in the order in which that came to be known."""
        self._chance, self._most, self._hear = chance, most, hear
        self._tasks: set[asyncio.Task[Any]] = set()
        self._at_hub: set[asyncio.Task[Any]] = set()
        self._pours: dict[Pour, None] = {}
        self._up, self._lives = True, 0
        self._weather, self._changed = FAIR, anyio.Event()
        self._cache = Cache(stamp, chance)
        self._narrow = narrow(chance)

    @property
    def weather(self) -> Weather:
        """What happens to what is carried from now on."""
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        self._changed.set()
        self._changed = anyio.Event()

    def cut(self) -> None:
        """The hub cannot be reached from now on; what is on its way breaks."""
        self._up = False
        self._break_streams()

    def mend(self) -> None:
        """The hub can be reached again."""
        self._up = True

    def sever(self) -> None:
        """The hub's process ended: what it was doing stops, and nothing it said arrives any more."""
        self.router = None
        self._lives += 1
        self._break_streams()
        for task in sorted(self._at_hub, key=hash):
            task.cancel()

    def forget(self) -> None:
        """What the hub said earlier does not hold any more: no cache says it again."""
        self._cache.clear()

    async def close(self) -> None:
        """Wait for what is still on its way, and for what the hub still does."""
        while self._tasks or self._at_hub:
            await asyncio.wait(self._tasks | self._at_hub)

    async def carry(self, request: Request) -> Reply | Unreachable:
        """Ask the hub. What vanishes is waited for in vain: the asker has a limit of its own."""
        note = _Note()
        left = asyncio.get_running_loop().time()
        reply: Reply | Unreachable | None = None
        try:
            reply = await self._carried(request, note)
        finally:
            self._tell(left, request, note.fate, reply if isinstance(reply, Reply) else None)
        return reply

    @asynccontextmanager
    async def poured(self, events: AsyncIterator[bytes]) -> AsyncIterator["Pour"]:
        """A stream's bytes on their way to the reader, who leaves with the block."""
        pour = Pour()
        task = self._begin(self._pour(events, pour), self._at_hub)
        self._pours[pour] = None
        try:
            yield pour
        finally:
            del self._pours[pour]
            task.cancel()

    async def _carried(self, request: Request, note: "_Note") -> Reply | Unreachable:
        weather = self._weather
        await self._way()
        if weather.hole or self._weather.hole or self._strikes(weather.lose_requests):
            note.fate = "request lost"
            await anyio.sleep_forever()
        if self._is_cut():
            note.fate = "refused"
            return Unreachable("no connection to the hub: Connection refused")
        if self._strikes(weather.repeat):
            self._begin(self._again(request), self._tasks)
        if self._strikes(weather.tear_requests):
            whole = self._strikes(0.5)
            note.fate = "reset, all had left" if whole else f"reset after {self._part(request.body)} bytes"
            if whole:
                self._begin(self._unheard(request), self._tasks)
            return _BROKEN
        answering = self._begin(self._answer(request, weather, note), self._tasks)
        await asyncio.wait([answering])
        reply = answering.result()
        if reply is None:
            note.fate = "the hub died"
            return _BROKEN
        note.fate = f"{note.by}{reply.status}"
        return await self._brought(reply, weather, note)

    async def _brought(self, reply: Reply, weather: Weather, note: "_Note") -> Reply | Unreachable:
        """The way back."""
        if weather.hole or self._strikes(weather.lose_answers):
            note.fate += " lost"
            await _drop(reply)
            await anyio.sleep_forever()
        if reply.events is None and self._strikes(weather.tear_answers):
            cut = self._part(reply.body)
            note.fate += f" cut after {cut} of {len(reply.body)} bytes"
            if self._strikes(0.5):
                return _BROKEN
            reply = replace(reply, body=reply.body[:cut])
        await self._way()
        if self._is_cut() or note.life != self._lives:
            note.fate += " broken"
            await _drop(reply)
            return _BROKEN
        return reply

    async def _answer(self, request: Request, weather: Weather, note: "_Note") -> Reply | None:
        """What the hub says, or whoever stands before it; None when the hub died of it or meanwhile."""
        note.life = self._lives
        if weather.door is not None and self._strikes(weather.ajar):
            note.by = f"{weather.door.name}: "
            return await weather.door.answer(request)
        if weather.largest is not None and len(request.body) > weather.largest:
            note.by = "proxy: "
            return self._narrow(weather.largest)
        older = self._cache.find(request) if self._strikes(weather.stale) else None
        if older is not None:
            note.by = "cached: "
            return older
        reply = await self._hub(request)
        if reply is not None and reply.status == _KEPT_STATUS and reply.events is None:
            self._cache.keep(request, reply)
        if reply is not None and weather.gateway is not None and self._strikes(weather.gated):
            await _drop(reply)
            note.by = f"{reply.status} behind a {weather.gateway.name}: "
            return await weather.gateway.answer(request)
        return reply

    async def _hub(self, request: Request) -> Reply | None:
        """What the hub says; None when it died meanwhile, or is not there."""
        if self.router is None:
            return None
        if len(request.body) > self._most:
            return refused(problem(413, "too_large", f"A body may have at most {self._most} bytes."))
        acting = self._begin(self.router.answer(request, PEER), self._at_hub)
        await asyncio.wait([acting])
        return None if acting.cancelled() else acting.result()

    async def _again(self, request: Request) -> None:
        """The same request once more; nobody waits for this answer."""
        left = asyncio.get_running_loop().time()
        await asyncio.sleep(self._chance.random() * self._weather.latest)
        if self._is_cut():
            return
        reply = await self._hub(request)
        await _drop(reply)
        self._tell(left, request, f"again: {'the hub died' if reply is None else reply.status}", None)

    async def _unheard(self, request: Request) -> None:
        """A request whose asker lost the connection; the hub acts all the same."""
        await _drop(await self._hub(request))

    async def _pour(self, events: AsyncIterator[bytes], pour: "Pour") -> None:
        try:
            async for chunk in events:
                await self._way()
                while self._weather.hole:
                    await self._changed.wait()
                if self._strikes(self._weather.tear_answers):
                    pour.put(chunk[: self._part(chunk)])
                    return
                pour.put(chunk)
        finally:
            pour.end()
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    def _break_streams(self) -> None:
        for pour in tuple(self._pours):
            pour.end()

    def _tell(self, left: float, request: Request, fate: str, reply: Reply | None) -> None:
        digest = sha256(repr(sorted(request.headers.items())).encode() + request.body).hexdigest()[:16]
        passage = Passage(round(left, 6), request.method, request.path, digest, fate)
        self.trace.append(passage)
        self._hear(passage, request, reply)

    def _begin(self, work: Coroutine[Any, Any, T], among: "set[asyncio.Task[Any]]") -> "asyncio.Task[T]":
        task = asyncio.ensure_future(work)
        among.add(task)
        task.add_done_callback(among.discard)
        return task

    async def _way(self) -> None:
        weather = self._weather
        late = self._chance.random() * weather.latest if self._strikes(weather.late) else 0.0
        await asyncio.sleep(self._chance.uniform(_LEAST_WAY, _MOST_WAY) + weather.delay + late)

    def _is_cut(self) -> bool:
        return not self._up or self.router is None

    def _part(self, data: bytes) -> int:
        return int(self._chance.random() * len(data))

    def _strikes(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share


@dataclass(slots=True)
class _Note:
    """What became of one request so far, who answers if it is not the hub, and which of the hub's lives it met."""

    fate: str = "gone"
    by: str = ""
    life: int = 0


class Pour:
    """The bytes of one stream between the hub and its reader."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._ended = False

    def put(self, chunk: bytes) -> None:
        """More bytes came; after the end they are lost."""
        if not self._ended:
            self._chunks.put_nowait(chunk)

    def end(self) -> None:
        """Nothing comes any more."""
        self.put(b"")
        self._ended = True

    async def read(self) -> bytes:
        """The next bytes; b"" at the end, each time."""
        if self._ended and self._chunks.empty():
            return b""
        return await self._chunks.get()


async def _drop(reply: Reply | None) -> None:
    """An answer that nobody will read."""
    if reply is not None and isinstance(reply.events, AsyncGenerator):
        await reply.events.aclose()
