"""Sessions against a real server on loopback."""

import asyncio
import secrets
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from edge_agent.link.keyfile import GivenKey, KeyFile
from edge_agent.link.session import MOST_ANSWER_BYTES, Options
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.http import Answer, Request, Unreachable
from tests.link.served import GET, Connected, gone, listening, serving, session
from tests.sim.clock import SimClock


def test_a_request_arrives_as_it_is_with_the_key_and_nothing_more() -> None:
    async def scene() -> None:
        seen: list[tuple[str, str, dict[str, str], bytes]] = []

        async def serve(request: web.BaseRequest) -> web.Response:
            headers = {name.lower(): value for name, value in request.headers.items()}
            seen.append((request.method, request.raw_path, headers, await request.read()))
            return web.Response(status=207, body=b"back", headers={"X-More": "Yes"}, content_type="text/plain")

        async with serving(serve) as port, session(port, key=GivenKey("k3y")) as link:
            request = Request("POST", "/a%2Fb?c=%20d", {"content-type": "x/y", "edge-sent-at": "5"}, b"\x00body")
            answer = await link.exchange(request)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.body, answer.headers["x-more"]) == (207, b"back", "Yes")
        ((method, path, headers, body),) = seen
        assert (method, path, body) == ("POST", "/base/a%2Fb?c=%20d", b"\x00body")
        assert headers.pop("user-agent").startswith("edge-agent/")
        assert headers == {
            "host": f"127.0.0.1:{port}",
            "accept": "*/*",
            "accept-encoding": "identity",
            "content-type": "x/y",
            "content-length": "5",
            "edge-sent-at": "5",
            "x-api-key": "k3y",
        }

    asyncio.run(scene())


def test_a_redirect_is_an_answer_and_the_key_stays_here() -> None:
    async def scene() -> None:
        elsewhere: list[str] = []

        async def other(request: web.BaseRequest) -> web.Response:
            elsewhere.append(request.path)
            return await gone()

        async with serving(other) as foreign:
            for status in (301, 302, 303, 307, 308):

                async def serve(_request: web.BaseRequest, status: int = status) -> web.Response:
                    return await gone({"Location": f"http://127.0.0.1:{foreign}/"}, status)

                async with serving(serve) as port, session(port) as link:
                    answer = await link.exchange(GET)
                    assert isinstance(answer, Answer)
                    assert answer.status == status
                    async with link.stream(GET) as stream:
                        assert not isinstance(stream, Unreachable)
                        assert stream.answer.status == status
        assert elsewhere == []

    asyncio.run(scene())


SECRET = secrets.token_hex(20)


@pytest.mark.parametrize("status", [200, 401, 502])
def test_a_key_that_is_echoed_comes_back_masked(status: int) -> None:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        echo = request.headers["x-api-key"]
        answer = web.StreamResponse(status=status, headers={"x-echo": f"key={echo}"})
        await answer.prepare(request)
        await answer.write(f"who is {echo[:9]}".encode())
        await asyncio.sleep(0)
        await answer.write(f"{echo[9:]}? again: {echo}.".encode())
        return answer

    async def scene() -> None:
        async with serving(serve) as port, session(port, key=GivenKey(SECRET)) as link:
            answer = await link.exchange(GET)
            assert isinstance(answer, Answer)
            assert (answer.headers["x-echo"], answer.body) == ("key=***", b"who is ***? again: ***.")
            async with link.stream(GET) as stream:
                assert not isinstance(stream, Unreachable)
                assert SECRET not in str(stream.answer)
                assert stream.answer.body == (b"" if status == 200 else answer.body)

    asyncio.run(scene())


def test_a_key_too_short_to_be_a_secret_does_not_spoil_answers() -> None:
    async def serve(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=b'{"results":[]}')

    async def scene() -> None:
        async with serving(serve) as port, session(port, key=GivenKey("result")) as link:
            answer = await link.exchange(GET)
            assert isinstance(answer, Answer)
            assert answer.body == b'{"results":[]}'

    asyncio.run(scene())


def test_a_damaged_date_is_an_answer_like_any_other() -> None:
    async def serve(_request: web.BaseRequest) -> web.Response:
        return await gone({"Date": f"Mon, {'9' * 20} Jan 2020 00:00:00 GMT"})

    async def scene() -> None:
        async with serving(serve) as port, session(port) as link:
            assert isinstance(await link.exchange(GET), Answer)
            async with link.stream(GET) as stream:
                assert not isinstance(stream, Unreachable)

    asyncio.run(scene())


def test_cookies_are_not_kept() -> None:
    async def scene() -> None:
        seen: list[str | None] = []

        async def serve(request: web.BaseRequest) -> web.Response:
            seen.append(request.headers.get("cookie"))
            return await gone({"Set-Cookie": "a=b"})

        async with serving(serve) as port, session(port) as link:
            await link.exchange(GET)
            await link.exchange(GET)
        assert seen == [None, None]

    asyncio.run(scene())


def test_a_long_answer_is_cut() -> None:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        endless = web.StreamResponse()
        await endless.prepare(request)
        for _ in range(64):
            await endless.write(b"x" * 4096)
        return endless

    async def scene() -> None:
        async with serving(serve) as port, session(port) as link:
            answer = await link.exchange(GET)
        assert isinstance(answer, Answer)
        assert answer.body == b"x" * MOST_ANSWER_BYTES

    asyncio.run(scene())


def test_a_compressed_answer_is_left_as_it_is() -> None:
    async def serve(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=b"\x1f\x8bbomb", headers={"Content-Encoding": "gzip"})

    async def scene() -> None:
        async with serving(serve) as port, session(port) as link:
            answer = await link.exchange(GET)
        assert isinstance(answer, Answer)
        assert answer.body == b"\x1f\x8bbomb"

    asyncio.run(scene())


def test_true_time_is_learnt_from_every_answer_without_the_time_to_connect() -> None:
    async def serve(_request: web.BaseRequest) -> web.Response:
        return await gone({"Edge-Hub-Time": "1800000000000;err=3"})

    async def scene() -> None:
        keeper = Timekeeper(SimClock())
        async with serving(serve) as port, session(port, keeper=keeper) as link:
            answer = await link.exchange(GET)
            assert isinstance(answer, Answer)
            known = keeper.known()
            assert known is not None
            assert known.error is not None
            taken = answer.received_at - answer.sent_at
            assert taken + 6 <= 2 * known.error <= taken + 9, "both sides round up, and the axis drifts meanwhile"
            async with link.stream(GET):
                assert keeper.anchor() is not None

    asyncio.run(scene())


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def _slammed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


def _saying(words: bytes) -> Connected:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(words)
        await writer.drain()
        writer.close()

    return connected


@pytest.mark.parametrize(
    ("connected", "reason"),
    [
        (_silent, "no answer from 127.0.0.1:{port} in time"),
        (_slammed, "the line to 127.0.0.1:{port} broke"),
        (_saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), "the line to 127.0.0.1:{port} broke"),
        (_saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "127.0.0.1:{port} answered something that is not HTTP"),
        (
            _saying(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000 + b"\r\n\r\n"),
            "127.0.0.1:{port} answered something that is not HTTP",
        ),
    ],
    ids=["silence", "a slammed door", "a body cut short", "another protocol", "an endless header"],
)
def test_what_breaks_has_a_reason_for_people(connected: Connected, reason: str) -> None:
    async def scene() -> None:
        secret = secrets.token_hex(20)
        quick = Options(first_byte_timeout=0.05, connect_timeout=0.05)
        async with listening(connected) as port, session(port, quick, GivenKey(secret)) as link:
            answer = await link.exchange(GET)
            assert answer == Unreachable(reason.format(port=port))
            assert isinstance(answer, Unreachable)
            assert answer.sent, "it may have reached somebody"
            assert secret not in repr(link)

    asyncio.run(scene())


def test_a_closed_door_is_told() -> None:
    async def scene() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            async with session(port) as link:
                answer = await link.exchange(GET)
                assert answer == Unreachable(f"no connection to 127.0.0.1:{port}: Connection refused")
                assert isinstance(answer, Unreachable)
                assert not answer.sent

    asyncio.run(scene())


def test_a_name_that_does_not_resolve_is_told() -> None:
    async def scene() -> None:
        nowhere: Any = None
        unknown = aiohttp.ClientConnectorError(nowhere, socket.gaierror(socket.EAI_NONAME, "unknown"))
        async with session(1, url="https://hub.example") as link:
            # Made by hand: a test that asks a resolver would leave this machine.
            assert link._reason(unknown) == "the name hub.example does not resolve"

    asyncio.run(scene())


def test_a_key_that_cannot_be_used_sends_nothing_and_says_the_fix(tmp_path: Path) -> None:
    async def scene() -> None:
        seen: list[str] = []

        async def serve(request: web.BaseRequest) -> web.Response:
            seen.append(request.headers["x-api-key"])
            return await gone()

        path = tmp_path / "key"
        path.write_text("first")
        path.chmod(0o644)
        async with serving(serve) as port, session(port, key=KeyFile(path)) as link:
            failed = await link.exchange(GET)
            assert isinstance(failed, Unreachable)
            assert f"chmod 600 {path}" in failed.reason
            async with link.stream(GET) as stream:
                assert stream == failed
            path.chmod(0o600)
            assert isinstance(await link.exchange(GET), Answer)
            path.write_text("second")
            assert isinstance(await link.exchange(GET), Answer)
        assert seen == ["first", "second"]

    asyncio.run(scene())


def test_a_stream_gives_bytes_as_they_come_and_ends_when_it_stays_idle() -> None:
    async def scene() -> None:
        more = asyncio.Event()

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            events = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await events.prepare(request)
            await events.write(b"one\n")
            await more.wait()
            await events.write(b"two\n")
            await asyncio.Event().wait()
            return events

        quick = Options(idle_timeout=0.05)
        async with serving(serve) as port, session(port, quick) as link, link.stream(GET) as stream:
            assert not isinstance(stream, Unreachable)
            assert (stream.answer.status, stream.answer.body) == (200, b"")
            assert await stream.read() == b"one\n"
            more.set()
            assert await stream.read() == b"two\n"
            assert await stream.read() == b"", "idle for longer than allowed"

    asyncio.run(scene())


@pytest.mark.parametrize("cut", [True, False])
def test_a_stream_that_ends_reads_empty(*, cut: bool) -> None:
    words = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n" + (b"" if cut else b"0\r\n\r\n")

    async def scene() -> None:
        async with listening(_saying(words)) as port, session(port) as link, link.stream(GET) as stream:
            assert not isinstance(stream, Unreachable)
            assert await stream.read() == b"one"
            assert await stream.read() == b""

    asyncio.run(scene())


def test_a_stream_that_is_refused_carries_the_whole_answer() -> None:
    async def serve(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=401, text="no")

    async def scene() -> None:
        async with serving(serve) as port, session(port) as link, link.stream(GET) as stream:
            assert not isinstance(stream, Unreachable)
            assert (stream.answer.status, stream.answer.body) == (401, b"no")

    asyncio.run(scene())


def test_a_stream_to_nowhere_and_a_stream_without_a_head_are_unreachable() -> None:
    async def scene() -> None:
        quick = Options(first_byte_timeout=0.05, connect_timeout=0.05)
        async with listening(_silent) as port, session(port, quick) as link, link.stream(GET) as stream:
            assert stream == Unreachable(f"no answer from 127.0.0.1:{port} in time")
        async with session(port, quick) as link, link.stream(GET) as stream:
            assert isinstance(stream, Unreachable)

    asyncio.run(scene())


def test_an_error_of_the_reader_is_not_taken_for_the_streams() -> None:
    async def serve(_request: web.BaseRequest) -> web.Response:
        return await gone()

    async def scene() -> None:
        async with serving(serve) as port, session(port) as link:
            with pytest.raises(OSError, match="mine"):
                async with link.stream(GET):
                    raise OSError("mine")

    asyncio.run(scene())


def test_a_closed_session_opens_again_when_it_is_asked() -> None:
    async def serve(_request: web.BaseRequest) -> web.Response:
        return await gone()

    async def scene() -> None:
        async with serving(serve) as port, session(port) as link:
            await link.close()
            assert isinstance(await link.exchange(GET), Answer)
            await link.close()
            assert isinstance(await link.exchange(GET), Answer)

    asyncio.run(scene())
