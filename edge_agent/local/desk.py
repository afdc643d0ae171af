"""The desk: answers what programs on this device ask. Requests and replies are values; sockets are `server`'s.

    GET  /healthz      200 or 503, JSON: does the loop turn, are ticks taken and sealed
    GET  /readyz       200 or 503, JSON: is the hub reached
    GET  /status       JSON, as the agent gives it
    GET  /metrics      Prometheus text
    POST /v1/events    202 {"durable": bool}, after the append; `durable` is false while only memory holds it
    POST /v1/readings  202 {"at": ms on the device's axis}

Rules, before anything else: `Origin` is refused, since only browsers send it and no page has business here; `Host` must
be a loopback name, so that no foreign name resolved to this machine gets in; posts are `application/json` and not
compressed. What is refused is a problem document with a stable code; no input is answered by 500.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from edge_agent.local.exposition import render
from edge_agent.local.health import Health
from edge_agent.local.intake import Intake
from edge_agent.model.http import Request
from edge_agent.model.lamp import Lamps
from edge_agent.model.ports import Clock
from edge_agent.model.reading import Tick
from edge_agent.wire import problem
from edge_agent.wire.problem import Problem

_JSON = "application/json"
_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_METHODS = {
    "/healthz": "GET",
    "/readyz": "GET",
    "/status": "GET",
    "/metrics": "GET",
    "/v1/events": "POST",
    "/v1/readings": "POST",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered; header names in lower case."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the desk gets what it shows, and where it puts what it is given."""

    latest: Callable[[], Sequence[Tick]]
    status: Callable[[], Mapping[str, Any]]
    health: Callable[[], Health]
    ready: Callable[[], Health]
    record_event: Callable[[str, Mapping[str, Any]], Awaitable[bool]]
    take: Callable[[Tick], bool]


class Desk:
    """Answers one request at a time; holds no socket."""

    def __init__(self, intake: Intake, clock: Clock, lamps: Lamps, sources: Sources) -> None:
        self._intake = intake
        self._clock = clock
        self._lamps = lamps
        self._sources = sources

    async def answer(self, request: Request) -> Reply:
        """The reply to one request; `request.path` may carry a query, which nothing here reads."""
        path = request.path.partition("?")[0]
        wrong = _out_of_order(request, path)
        if wrong is not None:
            return refuse(wrong)
        if path == "/healthz":
            return _health(self._sources.health())
        if path == "/readyz":
            return _health(self._sources.ready())
        if path == "/status":
            return Reply(200, _JSON, orjson.dumps(self._sources.status(), option=orjson.OPT_SORT_KEYS))
        if path == "/metrics":
            return Reply(200, *render(self._sources.latest(), self._lamps.all(), self._clock.now()))
        return await (self._event(request.body) if path == "/v1/events" else self._readings(request.body))

    async def _event(self, body: bytes) -> Reply:
        event = self._intake.event(body)
        if isinstance(event, Problem):
            return refuse(event)
        durable = await self._sources.record_event(event.type, event.data)
        return Reply(202, _JSON, orjson.dumps({"durable": durable}))

    async def _readings(self, body: bytes) -> Reply:
        tick = self._intake.tick(body)
        if isinstance(tick, Problem):
            return refuse(tick)
        if not self._sources.take(tick):
            return refuse(Problem(503, "unavailable", "Not just now", "a new config begins, or the agent stops; again"))
        return Reply(202, _JSON, orjson.dumps({"at": tick.at}))


def refuse(wrong: Problem) -> Reply:
    """The reply that states a problem."""
    headers = {"retry-after": "1"} if wrong.code in {"rate_limited", "unavailable"} else {}
    return Reply(wrong.status, problem.CONTENT_TYPE, wrong.body(), headers)


def _health(health: Health) -> Reply:
    body = orjson.dumps({"ok": health.ok, "notes": dict(health.notes)}, option=orjson.OPT_SORT_KEYS)
    return Reply(200 if health.ok else 503, _JSON, body)


def _out_of_order(request: Request, path: str) -> Problem | None:
    headers = request.headers
    if "origin" in headers:
        return Problem(403, "forbidden", "No pages", "requests of web pages are not answered", "origin")
    host, colon, port = headers.get("host", "").lower().rpartition(":")
    if (host if colon and port.isdigit() else headers.get("host", "").lower()) not in _NAMES:
        return Problem(403, "forbidden", "Not this host", "ask for localhost or 127.0.0.1", "host")
    method = _METHODS.get(path)
    if method is None:
        return Problem(404, "not_found", "Nothing here", f"there are {', '.join(_METHODS)}")
    if request.method != method and (method, request.method) != ("GET", "HEAD"):
        return Problem(405, "method_not_allowed", "Another method", f"{path} takes {method}")
    if method == "GET":
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON or headers.get("content-encoding", "identity").lower() != "identity":
        return Problem(415, "unsupported_media_type", "Not JSON", f"send {_JSON}, not compressed", "content-type")
    return None
