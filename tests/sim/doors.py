"""Who may answer in the hub's place: portals, proxies, gateways, overloaded and other hubs. Each is a `Door`.

Their answers are what such things say on real networks: pages of HTML with 200, redirects, statuses with and without a
body, `Retry-After` as seconds and as a date. None of them is ever an acknowledgement. `Cache` is the one that repeats
what the hub said earlier, which is true however old it is, as long as the hub keeps what it took.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from random import Random

import orjson

from edge_agent.hub.exchange import Reply
from edge_agent.hub.router import Router, refused
from edge_agent.model.http import Request
from edge_agent.wire.problem import Problem
from tests.sim.weather import Door

HTML = "text/html; charset=utf-8"
JSON = "application/json"
_PAGE = b"<!doctype html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>"
_MOST_CACHED = 8

Stamp = Callable[[], int]
"""The wall clock of whoever answers, Unix ms."""


def _page(status: int, title: str, headers: Mapping[str, str]) -> Reply:
    return Reply(status, _PAGE % (title.encode(), title.encode()), HTML, headers)


def _dated(stamp: Stamp) -> dict[str, str]:
    return {"date": formatdate(stamp() / 1000, usegmt=True)}


def portal(stamp: Stamp) -> Door:
    """A captive portal: its page, with 200, to everything."""

    async def answer(_request: Request) -> Reply:
        return _page(200, "Welcome to the guest network", _dated(stamp))

    return Door("captive portal", answer)


def redirect(stamp: Stamp, chance: Random) -> Door:
    """A redirect to a page of somebody else's."""
    status = chance.choice((301, 302, 303, 307, 308))

    async def answer(request: Request) -> Reply:
        return Reply(status, b"", HTML, {**_dated(stamp), "location": f"http://portal.example{request.path}"})

    return Door(f"redirect {status}", answer)


def busy(stamp: Stamp, chance: Random, longest: int) -> Door:
    """A hub, or what stands before it, that has no time: 429 or 5xx, each time with another body and `Retry-After`."""

    async def answer(_request: Request) -> Reply:
        status = chance.choice((408, 425, 429, 500, 502, 503, 503, 504))
        headers = _dated(stamp)
        form = chance.randrange(4)
        if form == 1:
            headers["retry-after"] = str(chance.randint(0, longest))
        elif form == 2:
            headers["retry-after"] = formatdate(stamp() / 1000 + chance.randint(-5, longest), usegmt=True)
        elif form == 3:
            headers["retry-after"] = chance.choice(("soon", "-1", "1e3", "99999999999", ""))
        if chance.random() < 0.5:
            return _page(status, "Service unavailable", headers)
        return refused(Problem(status, "unavailable", "The hub cannot do this now"), headers)

    return Door("busy", answer)


def gateway(stamp: Stamp, chance: Random) -> Door:
    """A gateway that gave up on the hub behind it."""

    async def answer(_request: Request) -> Reply:
        return _page(chance.choice((500, 502, 504)), "Bad gateway", _dated(stamp))

    return Door("gateway", answer)


def stranger(name: str, router: Router) -> Door:
    """Another hub."""

    async def answer(request: Request) -> Reply:
        return await router.answer(request, "192.0.2.9")

    return Door(name, answer)


def unknown_caller(chance: Random) -> Door:
    """Something that wants another key, or none of ours."""
    status = chance.choice((401, 403))

    async def answer(_request: Request) -> Reply:
        return refused(Problem(status, "unauthorized", "Who asks is not known"))

    return Door(f"unknown caller {status}", answer)


def misfit(chance: Random) -> Door:
    """A server that speaks HTTP and JSON but not this API, or another version of it."""
    known: Sequence[Callable[[], Reply]] = (
        lambda: refused(Problem(404, "not_found", "There is no such thing here")),
        lambda: Reply(404, b'{"detail":"Not Found"}', JSON),
        lambda: Reply(404, b"404 page not found\n", "text/plain"),
        lambda: refused(Problem(400, "bad_header", "The request is malformed", field="edge-spool")),
        lambda: refused(Problem(400, "unsupported_version", "The request is malformed")),
        lambda: Reply(400, b'{"error":"bad request"}', JSON),
        lambda: refused(Problem(405, "method_not_allowed", "This path does not take that method")),
        lambda: refused(Problem(415, "unsupported_media_type", "Not taken here")),
        lambda: Reply(200, b"{}", JSON),
        lambda: Reply(200, b'{"results":[]}', JSON),
        lambda: Reply(200, b'{"results":null,"status":"ok"}', JSON),
        lambda: Reply(200, orjson.dumps({"results": [{"epoch": "00", "seq": 0, "status": "stored"}, 7]}), JSON),
        lambda: Reply(201, b"", JSON),
        lambda: Reply(204, b"", JSON),
        lambda: Reply(418, b"short and stout", "text/plain"),
    )
    drawn = chance.choice(known)

    async def answer(_request: Request) -> Reply:
        return drawn()

    said = drawn()
    return Door(f"misfit {said.status} {said.body[:24].decode()}", answer)


def narrow(chance: Random) -> Callable[[int], Reply]:
    """How a proxy says that a body is larger than so many bytes."""
    form = chance.randrange(3)

    def answer(largest: int) -> Reply:
        if form == 0:
            return _page(413, "Request Entity Too Large", {"connection": "close"})
        told = {"limit": largest} if form == 1 else {}
        return refused(Problem(413, "too_large", "The request is too large", extra=told))

    return answer


class Cache:
    """Answers that the hub gave, to be given again."""

    def __init__(self, stamp: Stamp, chance: Random) -> None:
        self._stamp, self._chance = stamp, chance
        self._kept: dict[tuple[str, str], list[tuple[int, Reply]]] = defaultdict(list)

    def keep(self, request: Request, reply: Reply) -> None:
        """Remember an answer."""
        kept = self._kept[request.method, request.path]
        kept.append((self._stamp(), reply))
        del kept[:-_MOST_CACHED]

    def find(self, request: Request) -> Reply | None:
        """An earlier answer to the like of this request; None when there is none."""
        kept = self._kept[request.method, request.path]
        if not kept:
            return None
        at, reply = self._chance.choice(kept)
        age = max(0, self._stamp() - at) // 1000
        headers = {**reply.headers, "date": formatdate(at / 1000, usegmt=True), "age": str(age)}
        return Reply(reply.status, reply.body, reply.content_type, headers)

    def clear(self) -> None:
        """Remember nothing: what the hub said no longer holds."""
        self._kept.clear()
