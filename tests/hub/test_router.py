"""The router: who may ask what, and that nothing makes it raise."""

import orjson
import pytest
from structlog.testing import capture_logs

from edge_agent.hub.exchange import Ask, Caller, Reply
from edge_agent.hub.router import ADMIN, ANYONE, DEVICE, VIEWER, Route, Router, Sight, problem
from edge_agent.hub.store import StoreFull
from edge_agent.hub.wall import Wall
from edge_agent.model.failure import Malformed
from edge_agent.model.http import Request
from edge_agent.wire.headers import parse_hub_time
from edge_agent.wire.problem import Problem
from tests.sim.clock import SimClock
from tests.sim.loop import run


class Book:
    """Knows callers by secret."""

    def __init__(self, callers: dict[str, Caller]) -> None:
        self._callers = callers

    async def identify(self, secret: str) -> Caller | None:
        return self._callers.get(secret)


async def echo(ask: Ask) -> Reply:
    """Say what was asked."""
    return Reply(200, orjson.dumps([ask.caller.role, ask.caller.name, dict(ask.params), dict(ask.query)]))


async def refuse(_ask: Ask) -> Problem:
    return problem(404, "not_found", "nothing")


async def stumble(ask: Ask) -> Reply:
    """Raise what the path names."""
    errors: dict[str, Exception] = {
        "malformed": Malformed("bad_batch", "crooked", field="rows[1]"),
        "large": Malformed("too_large", "a lot"),
        "full": StoreFull("full"),
        "bug": ZeroDivisionError("secret words"),
    }
    raise errors[ask.params["how"]]


ROUTES = (
    Route("GET", "/open", ANYONE, echo, "open"),
    Route("GET", "/api/devices/{id}/x", DEVICE, echo, "device"),
    Route("GET", "/api/view/{id}", VIEWER, echo, "viewer"),
    Route("POST", "/api/view/{id}", ADMIN, echo, "admin"),
    Route("GET", "/refuse", ANYONE, refuse, "refused"),
    Route("GET", "/raise/{how}", ANYONE, stumble, "raises"),
)
DEVICES = Book({"k1": Caller("device", "d1")})
PEOPLE = Book({"t1": Caller("viewer", "vic"), "t2": Caller("admin", "ann")})


def answer(method: str, path: str, headers: dict[str, str] | None = None, error: int | None = 100) -> Reply:
    async def scene() -> Reply:
        router = Router(ROUTES, DEVICES, PEOPLE, Wall(SimClock(), error), lambda _device: None, lambda _sight: None)
        return await router.answer(Request(method, path, headers or {}), "192.0.2.9")

    return run(scene())


KEY, VIEWING, ADMINISTERING = (
    {"x-api-key": "k1"},
    {"authorization": "Bearer t1"},
    {"authorization": "bearer t2"},
)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/open", {}, 200),
        ("HEAD", "/open", {}, 200),
        ("GET", "/open?a=1", {"x-api-key": "wrong"}, 200),
        ("GET", "/open/", {}, 404),
        ("GET", "/", {}, 404),
        ("GET", "", {}, 404),
        ("GET", "open", {}, 404),
        ("POST", "/open", {}, 405),
        ("BREW", "/open", {}, 405),
        ("GET", "/api/devices/d1/x", {}, 401),
        ("GET", "/api/devices/d1/x", {"x-api-key": ""}, 401),
        ("GET", "/api/devices/d1/x", {"x-api-key": "k2"}, 401),
        ("GET", "/api/devices/d1/x", {"authorization": "Basic azE="}, 401),
        ("GET", "/api/devices/d1/x", {"authorization": "Bearer k1"}, 401),
        ("GET", "/api/devices/d1/x", KEY, 200),
        ("GET", "/api/devices/%641/x", KEY, 200),
        ("GET", "/api/devices/d2/x", KEY, 403),
        ("GET", "/api/devices//x", KEY, 404),
        ("GET", "/api/devices/d1%2Fx/x", KEY, 403),
        ("GET", "/api/devices/d1/x", ADMINISTERING, 403),
        ("GET", "/api/view/d1", KEY, 403),
        ("GET", "/api/view/d1", VIEWING, 200),
        ("POST", "/api/view/d1", VIEWING, 403),
        ("GET", "/api/view/d1", ADMINISTERING, 200),
        ("POST", "/api/view/d1", ADMINISTERING, 200),
        # A key stands before a token: a device cannot borrow a person's rights by mistake.
        ("GET", "/api/view/d1", {**KEY, **VIEWING}, 403),
        ("GET", "/refuse", {}, 404),
        ("GET", "/open?" + "&".join(f"a{n}=1" for n in range(40)), {}, 400),
        ("GET", "/open?%ff=%ff", {}, 200),
        ("GET", "/raise/malformed", {}, 400),
        ("GET", "/raise/large", {}, 413),
        ("GET", "/raise/full", {}, 503),
        ("GET", "/raise/bug", {}, 500),
        ("GET", "/raise/unknown", {}, 500),
    ],
)
def test_each_request_has_its_status_and_the_hubs_time(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    with capture_logs():
        reply = answer(method, path, headers)
    assert reply.status == status
    assert parse_hub_time(reply.headers["edge-hub-time"]).stamp == 1_800_000_000_000
    if status >= 400:
        assert reply.content_type == "application/problem+json"
        assert orjson.loads(reply.body)["status"] == status


def test_a_path_that_is_named_whole_stands_before_one_with_a_name_in_it() -> None:
    async def whole(_ask: Ask) -> Reply:
        return Reply(200, b"whole")

    async def scene() -> None:
        routes = (Route("GET", "/a/{id}", ANYONE, echo, ""), Route("GET", "/a/b", ANYONE, whole, ""))
        router = Router(routes, DEVICES, PEOPLE, Wall(SimClock(), 100), lambda _device: None, lambda _sight: None)
        assert (await router.answer(Request("GET", "/a/b?c=1"), "")).body == b"whole"
        assert orjson.loads((await router.answer(Request("GET", "/a/c?d=1"), "")).body)[2:] == [{"id": "c"}, {"d": "1"}]

    run(scene())


def test_a_refusal_names_the_code_the_field_and_the_way() -> None:
    found = orjson.loads(answer("GET", "/raise/malformed").body)
    assert (found["code"], found["field"], found["detail"]) == ("bad_batch", "rows[1]", "crooked")
    assert answer("POST", "/open").headers["allow"] == "GET, HEAD"
    assert answer("GET", "/api/view/x").headers["www-authenticate"] == "Bearer"
    with capture_logs():
        assert int(answer("GET", "/raise/full").headers["retry-after"]) > 0


def test_a_bug_is_logged_and_not_told() -> None:
    with capture_logs() as logged:
        reply = answer("GET", "/raise/bug?token=hidden", {"x-api-key": "hidden"})
    assert orjson.loads(reply.body)["code"] == "internal"
    assert b"secret words" not in reply.body
    assert [line["event"] for line in logged] == ["bug"]
    assert "hidden" not in str(logged)


def test_an_unsynchronised_hub_says_so() -> None:
    assert answer("GET", "/open", error=None).headers["edge-hub-time"].endswith(";unsync")


def test_what_the_path_and_the_query_say_is_decoded() -> None:
    reply = answer("GET", "/api/view/a%20b?x=1&y=%2F&x=2", VIEWING)
    assert orjson.loads(reply.body) == ["viewer", "vic", {"id": "a b"}, {"x": "1,2", "y": "/"}]


def test_a_stranger_is_named_by_address() -> None:
    assert orjson.loads(answer("GET", "/open").body)[:2] == ["anyone", "192.0.2.9"]


def test_signs_of_life_and_requests_are_told() -> None:
    heard: list[str] = []
    seen: list[Sight] = []

    async def scene() -> None:
        router = Router(ROUTES, DEVICES, PEOPLE, Wall(SimClock(), 100), heard.append, seen.append)
        await router.answer(Request("GET", "/api/devices/d1/x", KEY), "p")
        await router.answer(Request("GET", "/api/devices/d2/x", KEY), "p")
        await router.answer(Request("GET", "/api/view/d1", VIEWING), "p")
        await router.answer(Request("GET", "/nowhere"), "p")

    run(scene())
    assert heard == ["d1"]
    assert [(sight.route and sight.route.pattern, sight.status) for sight in seen] == [
        ("/api/devices/{id}/x", 200),
        ("/api/devices/{id}/x", 403),
        ("/api/view/{id}", 200),
        (None, 404),
    ]
