"""Connections of the local server: aiohttp's, but that nothing of a request is ever echoed or logged.

What is not HTTP may hold a key, in a header that is too long or in a body that breaks off. aiohttp quotes it in its own
log and in its own error pages; here it gets `bad_http`, the connection is closed, and no line is written. A caller that
leaves in the middle is no news either. A fault of our own is a problem `internal` and is told to whoever made the
server, by the kind of exception and the line of code, without the exception's words: they may quote the request too.

aiohttp is imported here at once, so this module is imported only when a server starts.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

from edge_agent.wire import problem
from edge_agent.wire.problem import BAD_HTTP, Problem

UNREADABLE = (HttpProcessingError, RequestPayloadError, OSError)
"""What reading a request raises when it is no HTTP, or when its sender left."""

_MOST_HEADERS = 64
_MOST_HEADER_BYTES = 8190
_IDLE_SECONDS = 75.0


class Connection(RequestHandler):
    """One caller's connection."""

    def __init__(self, server: web.Server, fault: Callable[[str], None]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp tests it for truth
            keepalive_timeout=_IDLE_SECONDS,
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
            max_headers=_MOST_HEADERS,
            auto_decompress=False,
        )
        self._fault = fault

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the request
    ) -> web.StreamResponse:
        """The reply to what could not be read, or whose answer failed. aiohttp gives 500 for the latter."""
        if request.writer.output_size > 0:
            raise ConnectionError("a reply has begun already")
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return unreadable()
        self._tell(exc)
        return _refusal(Problem(500, "internal", "A fault of the agent", "it is told to whoever runs it"))

    def log_exception(self, *_words: Any, exc_info: BaseException | None = None, **_more: Any) -> None:
        """What aiohttp would log: told without its words, and only when it is a fault of our own."""
        if not isinstance(exc_info, UNREADABLE):
            self._tell(exc_info)

    def _tell(self, fault: BaseException | None) -> None:
        frames = traceback.extract_tb(fault.__traceback__) if fault is not None else []
        at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        self._fault(f"{type(fault).__name__}{at}")


class Server(web.Server):
    """Gives each caller a connection; `fault` hears of faults of our own."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], fault: Callable[[str], None]
    ) -> None:
        super().__init__(handler)
        self._fault = fault

    def __call__(self) -> RequestHandler:
        """A connection for the next caller."""
        return Connection(self, self._fault)


def unreadable() -> web.Response:
    """The reply to a request that is no HTTP."""
    return _refusal(BAD_HTTP)


def _refusal(wrong: Problem) -> web.Response:
    response = web.Response(status=wrong.status, body=wrong.body(), headers={"content-type": problem.CONTENT_TYPE})
    response.force_close()
    return response
