"""What is not HTTP: refused in one way, and neither quoted nor logged, however it is broken."""

import asyncio
import logging
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.kit.scopes import running
from edge_agent.local.health import Health
from edge_agent.local.server import Options
from tests.local.desk import Surroundings
from tests.local.test_server import server_of

KEY = secrets.token_hex(16).encode()
HOST = b"host: localhost\r\n"
SECRET = b"x-api-key: " + KEY + b"\r\nauthorization: Bearer " + KEY + b"\r\n"
POST = b"POST /v1/events HTTP/1.1\r\n" + HOST + SECRET + b"content-type: application/json\r\n"

WOUNDS = {
    "no request line": b"\r\n \r\n" + KEY + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + KEY + b"\r\n\r\n",
    "a method with a bracket": b"GE(T /?key=" + KEY + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get /?key=" + KEY + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "another protocol": b"GET /?key=" + KEY + b" HTTQ/1.1\r\n" + HOST + b"\r\n",
    "a version of three digits": b"GET /?key=" + KEY + b" HTTP/1.11\r\n" + HOST + b"\r\n",
    "a path beyond ASCII": b"GET /\xc3\xa9?key=" + KEY + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path that is no text": b"GET /\xff\xfe?key=" + KEY + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path with NUL": b"GET /\0?key=" + KEY + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "an address with a bad port": b"GET http://localhost:x" + KEY + b"/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "an address with half a bracket": b"GET http://[" + KEY + b"/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a long request line": b"GET /?key=" + KEY * 300 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a header with NUL": b"GET / HTTP/1.1\r\n" + HOST + b"x-api-key: " + KEY + b"\0\r\n\r\n",
    "a header of 20 kB": b"GET / HTTP/1.1\r\n" + HOST + b"x-api-key: " + KEY * 640 + b"\r\n\r\n",
    "a header's name of 20 kB": b"GET / HTTP/1.1\r\n" + HOST + KEY * 640 + b": x\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\n" + HOST + KEY + b"\r\n\r\n",
    "a header whose name has a blank": b"GET / HTTP/1.1\r\n" + HOST + b"x-api-key : " + KEY + b"\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\n" + HOST + b"x-api-key: a\r\n " + KEY + b"\r\n\r\n",
    "sixty-five headers": b"GET / HTTP/1.1\r\n"
    + HOST
    + b"".join(b"x%d: " % n + KEY + b"\r\n" for n in range(64))
    + b"\r\n",
    "no host": b"GET /healthz?key=" + KEY + b" HTTP/1.1\r\n" + SECRET + b"\r\n",
    "two hosts": b"GET /healthz?key=" + KEY + b" HTTP/1.1\r\n" + HOST + HOST + SECRET + b"\r\n",
    "a length that is no number": POST + b"content-length: " + KEY + b"\r\n\r\n",
    "a length below zero": POST + b"content-length: -1\r\n\r\n" + KEY,
    "a length beyond all numbers": POST + b"content-length: " + b"9" * 40 + b"\r\n\r\n" + KEY,
    "two lengths": POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\n" + KEY,
    "a length and chunks": POST + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + KEY,
    "an unknown encoding of transfer": POST + b"transfer-encoding: x" + KEY + b"\r\n\r\n",
    "a chunk whose size is no number": POST + b"transfer-encoding: chunked\r\n\r\n" + KEY + b"z\r\n\r\n",
    "a chunk longer than it says": POST + b"transfer-encoding: chunked\r\n\r\n1\r\n" + KEY + b"\r\n0\r\n\r\n",
    "a second chunk that is broken": POST + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\nz" + KEY + b"\r\n\r\n",
}

HALVES = {
    "headers": POST,
    "a body": POST + b"content-length: 10\r\n\r\n{}",
    "a chunk": POST + b"transfer-encoding: chunked\r\n\r\n2\r\n{}",
    "a body that is too large": POST + b"content-length: 70000\r\n\r\n" + b" " * 66_000,
    "leave": POST + b"content-length: 10\r\nexpect: 100-continue\r\n\r\n",
}

Visit = Callable[[int], Awaitable[Any]]


def visited(visit: Visit, around: Surroundings | None = None) -> Any:
    """What a visit to the port of a standing server gives."""

    async def main() -> Any:
        server = server_of(around or Surroundings(), Options(port=0))
        async with running(server):
            return await visit(await server.standing())

    return asyncio.run(main())


async def said(port: int, sent: bytes) -> bytes:
    """All that is answered until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "selector" not in record.getMessage()]


@pytest.mark.parametrize("wound", WOUNDS.values(), ids=WOUNDS)
def test_what_is_no_http_is_a_problem_that_quotes_nothing(wound: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    reply = visited(partial(said, sent=wound))
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"content-type: application/problem+json" in head.lower()
    assert orjson.loads(body)["code"] == "bad_http"
    assert KEY not in reply
    assert logged(caplog) == []
    assert KEY.decode() not in caplog.text


def test_rubbish_behind_a_good_request_is_refused_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)

    async def visit(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.write(WOUNDS["a header with NUL"])
        rest = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return rest

    reply = visited(visit)
    assert b"bad_http" in reply
    assert KEY not in reply
    assert logged(caplog) == []


def test_offers_of_other_protocols_are_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    upgrade = b"connection: close, upgrade\r\nupgrade: websocket\r\n"
    reply = visited(partial(said, sent=b"GET /healthz HTTP/1.1\r\n" + HOST + upgrade + b"\r\n" + KEY * 9))
    assert reply.startswith(b"HTTP/1.1 200 ")
    for line in (b"OPTIONS *", b"CONNECT localhost:1", b"GET http://localhost/" + KEY):
        reply = visited(partial(said, sent=line + b" HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"))
        assert b"application/problem+json" in reply
        assert KEY not in reply
    expected = b"expect: " + KEY + b"\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
    reply = visited(partial(said, sent=POST + expected))
    assert b"bad_field" in reply
    assert KEY not in reply
    assert logged(caplog) == []


@pytest.mark.parametrize("abrupt", [False, True])
@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_a_caller_who_leaves_in_the_middle_is_no_news(
    half: bytes, *, abrupt: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)

    async def leave(port: int) -> bytes:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(half)
        await writer.drain()
        if abrupt:
            own: socket.socket = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        return await said(port, b"GET /healthz HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n")

    around = Surroundings()
    assert visited(leave, around).startswith(b"HTTP/1.1 200 ")
    assert around.events == []
    assert around.lit["local"][0] == "ok"
    assert logged(caplog) == []


def test_a_fault_of_our_own_is_told_by_its_place_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)

    class Faulty(Surroundings):
        def health(self) -> Health:
            raise KeyError(KEY.decode())

    around = Faulty()
    reply = visited(partial(said, sent=b"GET /healthz HTTP/1.1\r\n" + HOST + SECRET + b"\r\n"), around)
    assert reply.startswith(b"HTTP/1.1 500 ")
    assert orjson.loads(reply.partition(b"\r\n\r\n")[2])["code"] == "internal"
    assert KEY not in reply
    state, note = around.lit["local"]
    assert state == "warn"
    assert note.startswith(f"a fault in answering: KeyError at {Path(__file__).name}:")
    assert KEY.decode() not in note
    assert logged(caplog) == []


PIECES = st.sampled_from(
    [
        POST,
        HOST,
        SECRET,
        b"GET / HTTP/1.1\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"content-length: 3\r\n",
        b"0\r\n\r\n",
        b"\0",
        b"\xff",
        b"transfer-encoding: chunked\r\n",
        b"connection: upgrade\r\nupgrade: x\r\n",
        b"expect: 100-continue\r\n",
        b"3\r\nabc\r\n",
        b"CONNECT x HTTP/1.1\r\n",
        b"{}",
        b":",
        b" ",
    ]
) | st.binary(max_size=8)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(PIECES, max_size=9).map(b"".join), min_size=1, max_size=20))
def test_whatever_is_sent_nothing_is_quoted_or_logged(calls: list[bytes]) -> None:
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    async def call(port: int, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        try:
            return await asyncio.wait_for(reader.read(), 0.02)
        except (ConnectionError, asyncio.TimeoutError):
            return b""
        finally:
            writer.close()

    async def visit(port: int) -> list[bytes]:
        return [await call(port, sent) for sent in calls]

    around, ear, root = Surroundings(), Ear(), logging.getLogger()
    root.addHandler(ear)
    try:
        replies = visited(visit, around)
    finally:
        root.removeHandler(ear)
    assert KEY not in b"".join(replies)
    assert heard == []
    assert around.lit["local"][0] == "ok"
