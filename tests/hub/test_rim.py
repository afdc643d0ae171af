"""The rim over loopback: bounds, slow callers, streams that end, ports that are taken."""

import asyncio
import logging
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.rim import Rim
from edge_agent.hub.router import ANYONE, Identifier, Route, Router
from edge_agent.hub.settings import Limits, Settings
from edge_agent.hub.wall import Wall
from edge_agent.hub.wiring import Hub, serve
from edge_agent.kit.chance import system_chance
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.offload import Threads
from edge_agent.model.failure import DeviceError
from edge_agent.wire.sse import Decoder


class Nobody:
    """Knows no caller."""

    async def identify(self, secret: str) -> None:
        raise AssertionError(secret)


class Place:
    """What the routes answer, and what became of their streams."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.stop = asyncio.Event()
        self.rim: Rim | None = None

    @property
    def connections(self) -> list[Any]:
        """The callers that the rim serves."""
        assert self.rim is not None
        assert self.rim._server is not None
        return list(self.rim._server.connections)

    async def measure(self, ask: Ask) -> Reply:
        return Reply(200, orjson.dumps([len(ask.request.body), ask.request.path, dict(ask.request.headers)]))

    async def nothing(self, _ask: Ask) -> Reply:
        return Reply(204)

    async def stream(self, _ask: Ask) -> Reply:
        return Reply(200, content_type="text/event-stream", events=self._events("stream", b": x\n\n"))

    async def flood(self, _ask: Ask) -> Reply:
        return Reply(200, content_type="text/event-stream", events=self._events("flood", b":" * 65_536, pause=0.0))

    async def _events(self, name: str, chunk: bytes, pause: float = 0.01) -> AsyncIterator[bytes]:
        try:
            while not self.stop.is_set():
                yield chunk
                await asyncio.sleep(pause)
            yield b"event: bye\ndata: {}\n\n"
        finally:
            self.ended.append(name)


Scene = Callable[[Place, str], Coroutine[Any, Any, None]]


def played(scene: Scene, **limits: Any) -> Sequence[Mapping[str, Any]]:
    """Play a scene against a rim with these limits; what was logged."""

    async def main() -> None:
        place, nobody = Place(), Nobody()
        known: Identifier = nobody
        routes = (
            Route("POST", "/measure", ANYONE, place.measure, ""),
            Route("GET", "/measure", ANYONE, place.measure, ""),
            Route("GET", "/nothing", ANYONE, place.nothing, ""),
            Route("GET", "/stream", ANYONE, place.stream, ""),
            Route("GET", "/flood", ANYONE, place.flood, ""),
        )
        clock = SystemClock()
        router = Router(routes, known, known, Wall(clock, 100), lambda _device: None, lambda _sight: None)
        async with Rim(Settings(port=0, limits=Limits(**limits)), router, clock) as rim:
            place.rim = rim
            await scene(place, rim.address)
            place.stop.set()

    with capture_logs() as logged:
        asyncio.run(main())
    return logged


async def until(holds: Callable[[], object]) -> None:
    """Let the loop turn until it holds, at most five seconds."""

    async def turned() -> None:
        while not holds():  # noqa: ASYNC110 - what is waited for is on the other side of a socket
            await asyncio.sleep(0)

    await asyncio.wait_for(turned(), 5)


@asynccontextmanager
async def wire(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def head_of(reader: asyncio.StreamReader) -> int:
    """The status of a bare reply; 0 when the connection was closed."""
    line = await asyncio.wait_for(reader.readline(), 5)
    return int(line.split()[1]) if line else 0


def test_a_request_goes_in_as_it_came_and_a_reply_out() -> None:
    async def scene(_place: Place, address: str) -> None:
        async with ClientSession() as session:
            headers = {"Content-Encoding": "gzip", "X-Own": "1"}
            async with session.post(f"{address}/measure?a=%20", data=b"not gzip", headers=headers) as reply:
                size, path, given = orjson.loads(await reply.read())
                assert (size, path, given["x-own"], given["content-encoding"]) == (8, "/measure?a=%20", "1", "gzip")
                assert reply.headers["Edge-Hub-Time"].endswith(";err=100")
                assert reply.headers["X-Content-Type-Options"] == "nosniff"
            async with session.get(f"{address}/nothing") as reply:
                assert (reply.status, await reply.read()) == (204, b"")
            async with session.head(f"{address}/measure") as reply:
                assert (reply.status, await reply.read()) == (200, b"")
            async with session.get(f"{address}/nowhere?token=hidden") as reply:
                assert reply.status == 404

    logged = played(scene)
    assert [line["status"] for line in logged] == [200, 204, 200, 404]
    assert "hidden" not in str(logged)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_has_a_bound(*, chunked: bool) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield bytes(64)

    async def scene(_place: Place, address: str) -> None:
        async with ClientSession() as session:
            whole = bytes(1024)
            async with session.post(f"{address}/measure", data=whole) as reply:
                assert reply.status == 200
            async with session.post(f"{address}/measure", data=parts() if chunked else bytes(1025)) as reply:
                assert reply.status == 413
                assert orjson.loads(await reply.read())["code"] == "too_large"

    played(scene, body=1024)


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def scene(_place: Place, address: str) -> None:
        async with wire(address) as (reader, writer):
            writer.write(b"POST /measure HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345")
            assert await head_of(reader) == 408
            assert b"Edge-Hub-Time" not in await asyncio.wait_for(reader.read(), 5)

    played(scene, body_timeout=0.1)


@pytest.mark.parametrize("first", [b"", b"POST /measure HT", b"GET /measure HTTP/1.1\r\nhost: x\r\n"])
def test_a_header_that_does_not_come_is_not_waited_for(first: bytes) -> None:
    async def scene(_place: Place, address: str) -> None:
        async with wire(address) as (reader, writer):
            writer.write(first)
            assert await asyncio.wait_for(reader.read(), 5) == b""

    played(scene, header_timeout=0.1)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_header_that_is_too_much_or_nonsense_is_refused(head: bytes) -> None:
    async def scene(_place: Place, address: str) -> None:
        async with wire(address) as (reader, writer):
            writer.write(head)
            assert await head_of(reader) in {0, 400}

    played(scene, header_timeout=0.2)


@pytest.mark.parametrize(
    "request_line",
    ["DELETE /measure", "TRACE /measure", "PUT /nowhere", "BREW /measure", "G@T /", "GET \xff", "tls\r\n"],
)
def test_a_method_that_is_not_taken_here_gets_a_problem(request_line: str) -> None:
    async def scene(_place: Place, address: str) -> None:
        async with wire(address) as (reader, writer):
            writer.write(f"{request_line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode("latin-1"))
            head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
            assert b"content-type: application/problem+json" in head
            assert b"edge-hub-time: " in head
            assert orjson.loads(body)["status"] == int(head.split()[1]) in {400, 404, 405}

    played(scene)


def test_what_is_not_http_is_neither_quoted_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    secret = secrets.token_hex(16)

    async def scene(_place: Place, address: str) -> None:
        async with wire(address) as (reader, writer):
            writer.write(f"GET / HTTP/1.1\r\nhost: x\r\nx-api-key\x01: {secret}\r\n\r\n".encode())
            reply = await asyncio.wait_for(reader.read(), 5)
            assert reply.split()[1] == b"400"
            assert secret.encode() not in reply

    with caplog.at_level(logging.INFO):
        logged = played(scene)
    assert secret not in str(logged) + caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "begun",
    [
        b"POST /measure HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc",
        b"POST /measure HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_a_caller_that_leaves_in_the_middle_leaves_no_trace(
    begun: bytes, caplog: pytest.LogCaptureFixture, *, reset: bool
) -> None:
    async def scene(place: Place, address: str) -> None:
        async with wire(address) as (reader, writer):
            writer.write(begun)
            if begun.startswith(b"GET"):
                await asyncio.wait_for(reader.readexactly(1), 5)
            else:  # until the hub waits for the body
                await until(lambda: any(caller._current_request is not None for caller in place.connections))
            if reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        await until(lambda: not place.connections)

    with caplog.at_level(logging.INFO):
        logged = played(scene)
    assert not caplog.records
    assert not [line for line in logged if line["log_level"] != "debug"]


def test_one_connection_too_many_is_told_to_come_back() -> None:
    async def scene(_place: Place, address: str) -> None:
        async with ClientSession() as session, session.get(f"{address}/stream") as standing:
            assert standing.status == 200
            async with session.get(f"{address}/nothing") as reply:
                assert reply.status == 503
                assert int(reply.headers["Retry-After"]) > 0
                assert orjson.loads(await reply.read())["code"] == "unavailable"

    played(scene, connections=1)


def test_a_stream_ends_when_its_reader_leaves() -> None:
    async def scene(place: Place, address: str) -> None:
        async with ClientSession() as session:
            async with session.get(f"{address}/stream") as reply:
                assert reply.headers["Content-Type"] == "text/event-stream"
                assert await reply.content.readexactly(3) == b": x"
            await until(lambda: place.ended)
            assert place.ended == ["stream"]

    played(scene)


def test_a_stream_that_ends_ends_its_reply() -> None:
    async def scene(place: Place, address: str) -> None:
        async with ClientSession() as session, session.get(f"{address}/stream") as reply:
            place.stop.set()
            assert (await reply.read()).endswith(b"event: bye\ndata: {}\n\n")

    played(scene)


def test_a_reader_that_does_not_read_is_cut() -> None:
    async def scene(place: Place, address: str) -> None:
        async with wire(address) as (_reader, writer):
            writer.write(b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n")
            await until(lambda: place.ended)
            assert place.ended == ["flood"]

    played(scene, write_timeout=0.1)


def test_a_head_of_a_stream_is_not_the_stream() -> None:
    async def scene(_place: Place, address: str) -> None:
        async with ClientSession() as session, session.head(f"{address}/stream") as reply:
            assert (reply.status, await reply.read()) == (200, b"")

    played(scene)


def test_a_taken_port_is_named_with_its_flag() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        async def main() -> None:
            async with Rim(Settings(port=port), None, SystemClock()):  # type: ignore[arg-type]
                raise AssertionError

        with pytest.raises(DeviceError, match=str(port)) as raised:
            asyncio.run(main())
        assert "--port" in raised.value.hint


def test_a_hub_serves_stores_and_says_goodbye(tmp_path: Path) -> None:
    async def main() -> None:
        opened: asyncio.Future[tuple[Hub, str]] = asyncio.get_running_loop().create_future()

        async def announce(hub: Hub, address: str) -> None:
            opened.set_result((hub, address))

        settings = Settings(folder=tmp_path / "hub", port=0, clock_error=0.1)
        serving = asyncio.ensure_future(serve(settings, SystemClock(), system_chance(), Threads(), announce))
        hub, address = await opened
        key = await hub.accounts.add_device("car-1")
        async with ClientSession(headers={"x-api-key": key}) as session:
            async with session.get(f"{address}/healthz") as reply:
                assert (await reply.read()).startswith(b"ok\nclock within ")
            async with session.get(f"{address}/api/v1/devices/car-1/stream") as stream:
                decoder, names = Decoder(), []
                names += [event.event for event in decoder.feed(await stream.content.readany())]
                serving.cancel()
                names += [event.event for event in decoder.feed(await stream.content.read())]
                assert names == ["hello", "bye"]
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert (tmp_path / "hub").stat().st_mode & 0o777 == 0o700
        assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "hub").iterdir())

    with capture_logs():
        asyncio.run(main())
