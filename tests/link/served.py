"""Servers on free ports of loopback, and sessions to them."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from edge_agent.kit.offload import Threads
from edge_agent.link.keyfile import GivenKey, Key
from edge_agent.link.origin import Origin
from edge_agent.link.session import Options, Session
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.http import Request
from edge_agent.model.ports import Offload
from tests.sim.clock import SimClock

GET = Request("GET", "/x")
Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """An HTTP server on a free port of loopback."""
    runner = web.ServerRunner(web.Server(serve, handler_cancellation=True), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def listening(connected: Connected) -> AsyncIterator[int]:
    """A bare TCP server on a free port of loopback."""
    over: list[asyncio.Event] = []

    async def followed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = asyncio.Event()
        over.append(end)
        await connected(reader, writer)
        end.set()

    server = await asyncio.start_server(followed, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for event in over:
            await event.wait()


@asynccontextmanager
async def session(
    port: int,
    options: Options | None = None,
    key: Key | None = None,
    url: str = "http://127.0.0.1:{port}/base",
    keeper: Timekeeper | None = None,
    offload: Offload | None = None,
) -> AsyncIterator[Session]:
    """A session to that port."""
    clock = SimClock()
    origin = Origin.parse(url.format(port=port))
    made = Session(
        options or Options(),
        origin,
        key or GivenKey(secrets.token_hex(8)),
        clock,
        keeper or Timekeeper(clock),
        offload or Threads(),
    )
    try:
        yield made
    finally:
        await made.close()


async def gone(headers: Mapping[str, str] | None = None, status: int = 200) -> web.Response:
    """An empty answer."""
    return web.Response(status=status, headers=headers)
