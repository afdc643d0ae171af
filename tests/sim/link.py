"""The way from an agent to a hub in virtual time, without sockets: `Line` is the network, `SimLink` the agent's end.

A line carries requests to a hub's router and the answers back, each way after a drawn time, and a scene can break it:

    down             nobody answers the door: requests are refused at once, open streams and answers on their way break
    lose_requests    the share of requests that vanish before the hub saw them
    lose_answers     the share of answers that vanish after the hub acted
    delay            seconds by which each way is longer

Like the real rim it refuses bodies that are too large, and what a request began at the hub runs to its end when the
asker leaves. Like the real session a `SimLink` adds the key, bounds answers, stamps them on the device's axis, shows
them to the timekeeper, and gives up on an answer or an idle stream after the same limits. `trace` says what was asked
and what came of it. Does not handle: connections that stay (each request has its own), headers that are too long.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple

import anyio

from edge_agent.hub.exchange import Reply
from edge_agent.hub.router import Router, problem, refused
from edge_agent.link.keyfile import Key
from edge_agent.link.session import MOST_ANSWER_BYTES, Options
from edge_agent.model.failure import DeviceError
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.ports import Clock, Stream, TrueTime

_LEAST_WAY, _MOST_WAY = 0.002, 0.03


class Passage(NamedTuple):
    """One request: when it left (virtual seconds), what it was, and its status or what kept it from one."""

    at: float
    method: str
    path: str
    digest: str
    fate: str


class Line:
    """The network before one hub; `most` is the largest body that it takes, in bytes."""

    def __init__(self, router: Router, chance: Random, most: int) -> None:
        self._router, self._chance, self._most = router, chance, most
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pours: set[Pour] = set()
        self._up = True
        self.lose_requests = self.lose_answers = self.delay = 0.0
        self.trace: list[Passage] = []
        """Every request whose fate is known, in the order in which that came to be known."""

    def cut(self) -> None:
        """The hub cannot be reached from now on; what is on its way breaks."""
        self._up = False
        for pour in tuple(self._pours):
            pour.end()

    def mend(self) -> None:
        """The hub can be reached again."""
        self._up = True

    async def close(self) -> None:
        """Wait for what the hub still does."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def carry(self, request: Request) -> Reply | Unreachable:
        """Ask the hub. What vanishes is waited for in vain: the asker has a limit of its own."""
        left = asyncio.get_running_loop().time()
        fate = "gone"
        try:
            await self._way()
            if self._is_cut():
                fate = "refused"
                return Unreachable("no connection to the hub: Connection refused")
            if self._strikes(self.lose_requests):
                fate = "request lost"
                await anyio.sleep_forever()
            reply: Reply = await asyncio.shield(self._begin(self._answered(request)))
            fate = str(reply.status)
            if self._strikes(self.lose_answers):
                fate += " lost"
                await _drop(reply)
                await anyio.sleep_forever()
            await self._way()
            if self._is_cut():
                fate += " broken"
                await _drop(reply)
                return Unreachable("the line to the hub broke")
            return reply
        finally:
            digest = sha256(repr(sorted(request.headers.items())).encode() + request.body).hexdigest()[:16]
            self.trace.append(Passage(round(left, 6), request.method, request.path, digest, fate))

    @asynccontextmanager
    async def poured(self, events: AsyncIterator[bytes]) -> AsyncIterator["Pour"]:
        """A stream's bytes on their way to the reader, who leaves with the block."""
        pour = Pour()
        task = self._begin(self._pour(events, pour))
        self._pours.add(pour)
        try:
            yield pour
        finally:
            self._pours.discard(pour)
            task.cancel()

    async def _pour(self, events: AsyncIterator[bytes], pour: "Pour") -> None:
        try:
            async for chunk in events:
                await self._way()
                pour.put(chunk)
        finally:
            pour.end()
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    async def _answered(self, request: Request) -> Reply:
        if len(request.body) > self._most:
            return refused(problem(413, "too_large", f"A body may have at most {self._most} bytes."))
        return await self._router.answer(request, "192.0.2.7")

    def _begin(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _way(self) -> None:
        await asyncio.sleep(self._chance.uniform(_LEAST_WAY, _MOST_WAY) + self.delay)

    def _is_cut(self) -> bool:
        return not self._up

    def _strikes(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share


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


class SimLink:
    """The port `Link` of one device over a line."""

    def __init__(self, line: Line, options: Options, key: Key, clock: Clock, time: TrueTime) -> None:
        self._line, self._options, self._key, self._clock, self._time = line, options, key, clock, time

    async def exchange(self, request: Request) -> Answer | Unreachable:
        """Ask, and read the answer whole."""
        asked = await self._ask(request, self._options.first_byte_timeout)
        if isinstance(asked, Unreachable):
            return asked
        reply, head = asked
        return replace(head, body=reply.body[:MOST_ANSWER_BYTES])

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream | Unreachable]:
        """Ask, and keep the body coming."""
        asked = await self._ask(request, self._options.connect_timeout + self._options.first_byte_timeout)
        if isinstance(asked, Unreachable):
            yield asked
            return
        reply, head = asked
        if reply.events is None:
            pour = Pour()
            pour.end()
            yield _SimStream(replace(head, body=reply.body[:MOST_ANSWER_BYTES]), pour, self._options.idle_timeout)
            return
        async with self._line.poured(reply.events) as pour:
            yield _SimStream(head, pour, self._options.idle_timeout)

    async def _ask(self, request: Request, within: float) -> tuple[Reply, Answer] | Unreachable:
        try:
            headers = {"accept-encoding": "identity", **request.headers, "x-api-key": self._key.read()}
        except DeviceError as error:
            return Unreachable(f"{error} ({error.hint})")
        sent_at = self._clock.now()
        reply: Reply | Unreachable = Unreachable("no answer from the hub in time")
        with anyio.move_on_after(within):
            reply = await self._line.carry(replace(request, headers=headers))
        if isinstance(reply, Unreachable):
            return reply
        named = {**reply.headers, "content-type": reply.content_type}
        head = Answer(reply.status, named, b"", sent_at, self._clock.now())
        self._time.observe(head)
        return reply, head


class _SimStream:
    """The port `Stream`."""

    def __init__(self, answer: Answer, pour: Pour, idle_timeout: float) -> None:
        self._answer, self._pour, self._idle_timeout = answer, pour, idle_timeout

    @property
    def answer(self) -> Answer:
        return self._answer

    async def read(self) -> bytes:
        with anyio.move_on_after(self._idle_timeout):
            return await self._pour.read()
        return b""


async def _drop(reply: Reply) -> None:
    """An answer that nobody will read."""
    if isinstance(reply.events, AsyncGenerator):
        await reply.events.aclose()
