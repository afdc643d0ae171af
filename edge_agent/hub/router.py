"""The router: one table of routes, and `answer`, which never raises whatever was asked.

The rim and simulations call the same `answer`. In order: path (404), method (405), caller (401, 403), handler. A device
reaches only paths of its own id. What a handler finds wrong with the request it says by a `Problem` or by raising
Malformed; a store that cannot serve is 503 with Retry-After; anything else that a handler raises is a bug: it is
logged, answered 500 `internal`, and costs that one request only. Every reply carries `Edge-Hub-Time`, stamped when
the answer is ready. Secrets and queries are never logged.

A path without `{name}` stands before one with. Repeated query members are joined by commas. Does not handle: bounds of
bodies and headers (the rim's), methods other than those in the table (HEAD is answered as GET, and the rim leaves the
body out).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, unquote

import structlog
from pydantic import BaseModel

from edge_agent.hub.exchange import Ask, Caller, Handler, Reply, Role
from edge_agent.hub.store import StoreBroken, StoreFull, refusal
from edge_agent.hub.wall import Wall
from edge_agent.model.failure import Malformed
from edge_agent.model.http import Request
from edge_agent.wire.headers import HubTime, format_hub_time
from edge_agent.wire.problem import CONTENT_TYPE, Problem

ANYONE: frozenset[Role] = frozenset({"anyone"})
DEVICE: frozenset[Role] = frozenset({"device"})
VIEWER: frozenset[Role] = frozenset({"viewer", "admin"})
ADMIN: frozenset[Role] = frozenset({"admin"})
DEVICE_OR_ADMIN: frozenset[Role] = frozenset({"device", "admin"})
DEVICE_OR_VIEWER: frozenset[Role] = frozenset({"device", "viewer", "admin"})

_MOST_QUERY_MEMBERS = 32
_STATUS = {"too_large": 413, "unsupported_media_type": 415, "identity_conflict": 409, "timeout": 408}
_TITLES = {
    400: "The request is malformed",
    401: "Who asks is not known",
    403: "Not allowed",
    404: "There is no such thing here",
    405: "This path does not take that method",
    408: "The request came too slowly",
    409: "The request contradicts what is stored",
    413: "The request is too large",
    415: "The request is of a type that is not taken here",
    429: "Too many attempts",
    500: "The hub failed",
    503: "The hub cannot do this now",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. `pattern` has `{name}` for one segment; all after the handler describes it for OpenAPI.

    `accepts` are the types of a body without a model, `media` is the type of the reply's body.
    """

    method: str
    pattern: str
    roles: frozenset[Role]
    handler: Handler
    summary: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    accepts: tuple[str, ...] = ()
    status: int = 200
    media: str = "application/json"


class Identifier(Protocol):
    """Knows devices by their keys, or people by their tokens."""

    async def identify(self, secret: str) -> Caller | None:
        """Whose secret this is; None when it is nobody's."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one request came to, for those who count: its route, None when none matched, and the reply's status."""

    route: Route | None
    status: int


def problem(status: int, code: str, detail: str, field: str | None = None) -> Problem:
    """A problem under the standing title of its status."""
    return Problem(status, code, _TITLES[status], detail, field)


def refused(found: Problem, headers: Mapping[str, str] | None = None) -> Reply:
    """A problem as a reply."""
    return Reply(found.status, found.body(), CONTENT_TYPE, {"cache-control": "no-store", **(headers or {})})


class Router:
    """Answers requests by its table.

    `devices` and `people` know the callers; `heard` is told the id of each device that spoke, `see` of each request.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        devices: Identifier,
        people: Identifier,
        wall: Wall,
        heard: Callable[[str], None],
        see: Callable[[Sight], None],
    ) -> None:
        self.routes = tuple(routes)
        self._devices, self._people, self._heard, self._see = devices, people, heard, see
        self._wall = wall
        self._table: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in routes:
            self._table.setdefault(tuple(route.pattern.split("/")), {})[route.method] = route
        self._plain = {
            "/".join(shape): methods
            for shape, methods in self._table.items()
            if not any(segment[:1] == "{" for segment in shape)
        }
        self._log = structlog.get_logger("edge_agent.hub")

    async def answer(self, request: Request, peer: str) -> Reply:
        """The reply to a request from this peer's address. Never raises."""
        path = request.path.partition("?")[0]
        methods, params = self._found(path)
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is not None:
            reply = await self._guarded(request, route, params, peer)
        elif methods:
            allowed = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
            reply = refused(problem(405, "method_not_allowed", f"Use one of: {allowed}."), {"allow": allowed})
        else:
            reply = refused(problem(404, "not_found", "There is no such path."))
        self._see(Sight(route, reply.status))
        return self.stamped(reply)

    def stamped(self, reply: Reply) -> Reply:
        """The reply with the hub's time as it is now."""
        stamp = format_hub_time(HubTime(self._wall.now(), self._wall.error))
        headers = {**reply.headers, "edge-hub-time": stamp}
        return Reply(reply.status, reply.body, reply.content_type, headers, reply.events)

    async def _guarded(self, request: Request, route: Route, params: Mapping[str, str], peer: str) -> Reply:
        try:
            reply = await self._handled(request, route, params, peer)
        except Malformed as error:
            return refused(problem(_STATUS.get(error.code, 400), error.code, str(error), error.field))
        except (StoreFull, StoreBroken) as error:
            return refusal(error)  # what ails the store is logged once, when it begins
        except Exception:  # noqa: BLE001 - fault line: one hub request
            self._log.exception("bug", method=route.method, route=route.pattern)
            return refused(problem(500, "internal", "This is a bug of the hub; its log tells more."))
        return refused(reply) if isinstance(reply, Problem) else reply

    async def _handled(self, request: Request, route: Route, params: Mapping[str, str], peer: str) -> Reply | Problem:
        caller = Caller("anyone", peer)
        if route.roles is not ANYONE:
            known = await self._caller(request)
            if isinstance(known, Problem):
                return refused(known, {"www-authenticate": "Bearer"})
            caller = known
            if caller.role not in route.roles:
                return problem(403, "forbidden", f"This is not for a {caller.role}.")
            if caller.role == "device" and params.get("id", caller.name) != caller.name:
                return problem(403, "forbidden", "A device reaches only its own paths.")
            if caller.role == "device":
                self._heard(caller.name)
        written = request.path.partition("?")[2]
        query = _members(written) if written else {}
        return await route.handler(Ask(request, caller, params, query, self._wall.now()))

    def _found(self, path: str) -> tuple[Mapping[str, Route], Mapping[str, str]]:
        if path in self._plain:
            return self._plain[path], {}
        segments = tuple(unquote(segment) for segment in path.split("/"))
        for shape, methods in self._table.items():
            if len(shape) == len(segments) and all(
                own == given or (own[:1] == "{" and given) for own, given in zip(shape, segments, strict=True)
            ):
                named = zip(shape, segments, strict=True)
                return methods, {own[1:-1]: given for own, given in named if own[:1] == "{"}
        return {}, {}

    async def _caller(self, request: Request) -> Caller | Problem:
        key = request.headers.get("x-api-key")
        if key is not None:
            return await self._devices.identify(key) or problem(401, "unauthorized", "This key is not known.")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return problem(401, "unauthorized", "Send x-api-key (devices) or Authorization: Bearer (people).")
        return await self._people.identify(token.strip()) or problem(
            401, "unauthorized", "This token is not known or has expired."
        )


def _members(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_QUERY_MEMBERS)
    except ValueError as error:
        raise Malformed("bad_query", str(error)) from None
    members: dict[str, str] = {}
    for name, value in pairs:
        members[name] = f"{members[name]},{value}" if name in members else value
    return members
