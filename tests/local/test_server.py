"""The local server on real sockets: loopback and a Unix socket."""

import asyncio
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import TypeAdapter, ValidationError

from edge_agent.kit.clock import SystemClock
from edge_agent.kit.scopes import running
from edge_agent.local.server import LocalServer, Options
from edge_agent.model.failure import DeviceError
from tests.local.desk import Surroundings


def server_of(around: Surroundings, options: Options) -> LocalServer:
    return LocalServer(
        options,
        SystemClock(),
        around,
        around.latest,
        around.status,
        around.health,
        around.ready,
        around.record_event,
        around.take,
    )


def serving(
    visit: Callable[[aiohttp.ClientSession, str], Awaitable[Any]],
    around: Surroundings | None = None,
    options: Options | None = None,
) -> Surroundings:
    """Visit a server that stands, by its address."""
    surroundings = around or Surroundings()

    async def main() -> None:
        server = server_of(surroundings, options or Options(port=0))
        async with running(server):
            port = await server.standing()
            async with aiohttp.ClientSession() as session:
                await visit(session, f"http://127.0.0.1:{port}")

    asyncio.run(main())
    return surroundings


def test_pages_of_health_status_and_metrics() -> None:
    async def visit(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True, "notes": {}})
        async with session.get(f"{url}/readyz") as answer:
            assert (answer.status, await answer.json()) == (
                503,
                {"ok": False, "notes": {"hub": "no answer since 10:00"}},
            )
        async with session.get(f"{url}/status?pretty") as answer:
            assert await answer.json() == {"version": "0", "depth": {"telemetry": 3}}
        async with session.get(f"{url}/metrics") as answer:
            assert answer.status == 200
            assert answer.content_type == "text/plain"
            assert 'edge_agent_lamp{part="hub"} 2.0' in await answer.text()
        async with session.head(f"{url}/healthz") as answer:
            assert answer.status == 200

    around = serving(visit)
    assert around.lit["local"][0] == "ok"


def test_events_and_readings_are_taken() -> None:
    async def visit(session: aiohttp.ClientSession, url: str) -> None:
        async with session.post(f"{url}/v1/events", json={"type": "run.started", "data": {"run": 7}}) as answer:
            assert (answer.status, await answer.json()) == (202, {"durable": True})
        reading = {"name": "vehicle.speed", "value": 12.5, "unit": "m/s", "attributes": {"wheel": "rear"}}
        async with session.post(f"{url}/v1/readings", json={"readings": [reading]}) as answer:
            assert answer.status == 202

    around = serving(visit)
    assert around.events == [("run.started", {"run": 7})]
    assert [reading.value for tick in around.ticks for reading in tick.readings] == [12.5]


def test_readings_are_turned_away_while_no_batch_can_be_open() -> None:
    async def visit(session: aiohttp.ClientSession, url: str) -> None:
        body = {"readings": [{"name": "vehicle.speed", "value": 12.5}]}
        async with session.post(f"{url}/v1/readings", json=body) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert (await answer.json(content_type=None))["code"] == "unavailable"

    around = Surroundings()
    around.between = True
    serving(visit, around)
    assert around.ticks == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "code"),
    [
        ("GET", "/", {}, b"", 404, "not_found"),
        ("GET", "/%2e%2e/etc/passwd", {}, b"", 404, "not_found"),
        ("POST", "/healthz", {}, b"", 405, "method_not_allowed"),
        ("GET", "/v1/events", {}, b"", 405, "method_not_allowed"),
        ("DELETE", "/status", {}, b"", 405, "method_not_allowed"),
        ("GET", "/status", {"origin": "http://localhost"}, b"", 403, "forbidden"),
        ("GET", "/status", {"origin": "null"}, b"", 403, "forbidden"),
        ("GET", "/status", {"host": "evil.example"}, b"", 403, "forbidden"),
        ("GET", "/status", {"host": "127.0.0.1.evil.example:9555"}, b"", 403, "forbidden"),
        ("GET", "/status", {"host": "localhost:x"}, b"", 403, "forbidden"),
        ("GET", "/status", {"host": ""}, b"", 403, "forbidden"),
        ("POST", "/v1/events", {"content-type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
        ("POST", "/v1/events", {}, b"{}", 415, "unsupported_media_type"),
        (
            "POST",
            "/v1/events",
            {"content-type": "application/json", "content-encoding": "gzip"},
            b"\x1f\x8b",
            415,
            "unsupported_media_type",
        ),
        ("POST", "/v1/events", {"content-type": "application/json"}, b"{", 400, "bad_json"),
        ("POST", "/v1/events", {"content-type": "application/json"}, b"\xff" * 9, 400, "bad_json"),
        ("POST", "/v1/events", {"content-type": "application/json"}, b"[" * 60_000, 400, "bad_json"),
        ("POST", "/v1/readings", {"content-type": "application/json"}, b"[]", 400, "bad_field"),
        ("POST", "/v1/readings", {"content-type": "application/json"}, b"x" * 70_000, 413, "too_large"),
    ],
)
def test_bad_input_is_a_problem_with_a_code(
    method: str, path: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    async def visit(session: aiohttp.ClientSession, url: str) -> None:
        skip = {"content-type"} if not body or "content-type" not in headers else set()
        async with session.request(method, url + path, headers=headers, data=body, skip_auto_headers=skip) as answer:
            assert answer.status == status
            assert answer.content_type == "application/problem+json"
            assert (await answer.json(content_type=None))["code"] == code

    around = serving(visit)
    assert not around.events
    assert not around.ticks


def test_the_names_of_this_machine_are_answered() -> None:
    async def visit(session: aiohttp.ClientSession, url: str) -> None:
        for host in ("localhost", "LOCALHOST:9555", "127.0.0.1:1", "[::1]", "[::1]:9555"):
            async with session.get(f"{url}/healthz", headers={"host": host}) as answer:
                assert answer.status == 200

    serving(visit)


def test_a_body_that_names_its_size_waits_for_leave_and_gets_it() -> None:
    async def visit(session: aiohttp.ClientSession, url: str) -> None:
        event = {"type": "run.started", "data": {}}
        async with session.post(f"{url}/v1/events", json=event, expect100=True) as answer:
            assert answer.status == 202

    serving(visit)


def test_a_taken_port_is_named_with_its_setting() -> None:
    async def main(port: int) -> None:
        await server_of(Surroundings(), Options(port=port)).run()

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(DeviceError, match=f"port {port} on 127.0.0.1") as raised:
            asyncio.run(main(port))
    assert "--local-port" in raised.value.hint
    assert "[local] port" in raised.value.hint


def test_the_unix_socket_speaks_the_same_has_its_mode_and_goes_with_the_agent(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    surroundings = Surroundings()

    async def main() -> None:
        server = server_of(surroundings, Options(port=0, socket=path))
        async with running(server):
            await server.standing()
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
                session.post("http://localhost/v1/events", json={"type": "run.ended", "data": {}}) as answer,
            ):
                assert answer.status == 202

    asyncio.run(main())
    assert not path.exists()
    assert surroundings.events == [("run.ended", {})]


@pytest.mark.parametrize("name", ["no/such/folder/agent.sock", "x" * 120])
def test_a_socket_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path, name: str) -> None:
    async def main() -> None:
        await server_of(Surroundings(), Options(port=0, socket=tmp_path / name)).run()

    with pytest.raises(DeviceError, match="cannot be made") as raised:
        asyncio.run(main())
    assert "[local] socket" in raised.value.hint


@pytest.mark.parametrize(
    "given",
    [
        {"port": 65_536},
        {"events_per_second": "nan"},
        {"readings_per_second": "inf"},
        {"max_series": -1},
        {"max_body": -1},
    ],
)
def test_bounds_are_finite_and_sane(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Options).validate_python(given)
