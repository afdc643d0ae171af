"""The agent's end of a line: `SimLink` is its port `Link`.

Like the real session it adds the key, bounds answers, stamps them on the device's axis, shows them to the timekeeper,
and gives up on an answer or an idle stream after the same limits. `sever` is the end of the device's process: nothing
that its parts still ask on their way out reaches the line.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio

from edge_agent.hub.exchange import Reply
from edge_agent.link.keyfile import Key
from edge_agent.link.session import MOST_ANSWER_BYTES, Options
from edge_agent.model.failure import DeviceError
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.ports import Clock, Stream, TrueTime
from tests.sim.line import Line, Pour


class SimLink:
    """The port `Link` of one device over a line."""

    def __init__(self, line: Line, options: Options, key: Key, clock: Clock, time: TrueTime) -> None:
        self._line, self._options, self._key, self._clock, self._time = line, options, key, clock, time
        self._severed = False

    def sever(self) -> None:
        """The process ended."""
        self._severed = True

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
        if self._severed:
            return Unreachable("this process has ended")
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
