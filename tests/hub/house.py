"""A hub in virtual time, without sockets: what a test asks it, and how a test reads its streams."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import orjson

from edge_agent.hub.exchange import Reply
from edge_agent.hub.settings import Settings
from edge_agent.hub.wiring import Hub
from edge_agent.kit.scopes import running
from edge_agent.model.http import Request
from edge_agent.wire.sse import Decoder, Event
from tests.sim.clock import SimClock
from tests.sim.offload import InlineOffload

JSON = "application/json"
OK = b"ok\nclock within 100 ms\n"
"""What `/healthz` and `/readyz` say of a hub that lacks nothing."""


class House:
    """One hub, opened; `key` is of the device `car-1`, `admin` and `viewer` are access tokens."""

    def __init__(self, hub: Hub, clock: SimClock) -> None:
        self.hub, self.clock = hub, clock
        self.key = self.admin = self.viewer = ""

    async def furnish(self) -> None:
        """Add a device and let two people in."""
        self.key = await self.hub.accounts.add_device("car-1")
        self.admin = await self.let_in("ann", "admin")
        self.viewer = await self.let_in("vic", "viewer")

    async def let_in(self, user: str, role: Any) -> str:
        """An access token."""
        token = await self.hub.logins.invite(user, role)
        reply = await self.ask("POST", "/api/v1/auth/login", {"token": token}, peer=user)
        return str(orjson.loads(reply.body)["access_token"])

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        peer: str = "192.0.2.1",
    ) -> Reply:
        """Ask the router; `body` is JSON, or bytes as they are."""
        sent = dict(headers or {})
        if key is not None:
            sent["x-api-key"] = key
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("content-type", JSON)
        written = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.hub.router.answer(Request(method, path, sent, written), peer)

    @asynccontextmanager
    async def stream(self, path: str, **asked: Any) -> AsyncIterator["Reader"]:
        """An open stream, closed with the block."""
        reply = await self.ask("GET", path, **asked)
        assert reply.status == 200
        assert reply.content_type == "text/event-stream"
        assert reply.events is not None
        async with aclosing(cast("Any", reply.events)):
            yield Reader(reply.events)


class Reader:
    """Reads a stream event by event."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks, self._decoder = chunks, Decoder()
        self._events: list[Event] = []

    async def next(self) -> Event:
        """The next event; StopAsyncIteration at the end."""
        while not self._events:
            self._events += self._decoder.feed(await anext(self._chunks))
        return self._events.pop(0)

    async def until(self, name: str) -> Event:
        """The next event of this name; others are dropped."""
        while (event := await self.next()).event != name:
            pass
        return event


@asynccontextmanager
async def opened(settings: Settings | None = None, database: Path | None = None, seed: int = 7) -> AsyncIterator[House]:
    """A hub that is open but whose pulses stand still: furnished."""
    clock = SimClock()
    hub = Hub(settings or Settings(clock_error=0.1), clock, random.Random(seed), InlineOffload(), database)
    await hub.open()
    house = House(hub, clock)
    await house.furnish()
    yield house
    await hub.close()


@asynccontextmanager
async def alive(settings: Settings | None = None) -> AsyncIterator[House]:
    """A hub that lives."""
    async with opened(settings) as house, running(house.hub):
        yield house


def said(reply: Reply) -> Any:
    """The JSON of a reply."""
    return orjson.loads(reply.body)


async def instruct(house: House, kind: str = "echo") -> str:
    """Issue an instruction for `car-1`; its id."""
    reply = await house.ask("POST", "/api/v1/devices/car-1/instructions", {"type": kind}, token=house.admin)
    assert reply.status == 201
    return str(said(reply)["id"])


async def configure(house: House, **values: Any) -> int:
    """Offer the next config to `car-1`; its version."""
    reply = await house.ask("PUT", "/api/v1/devices/car-1/config", {"values": values}, token=house.admin)
    assert reply.status == 200
    return int(said(reply)["version"])


async def push(house: House, *frames: bytes) -> Reply:
    """Store frames of `car-1`."""
    headers = {"content-type": "application/vnd.edge.frames"}
    return await house.ask("POST", "/api/v1/telemetry", b"".join(frames), key=house.key, headers=headers)
