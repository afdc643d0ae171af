"""The rim: aiohttp carries requests to the router and replies back; nothing here knows what they mean.

Every resource is bounded: connections (503 with Retry-After beyond), the time for the first header, header sizes, the
body's size and time, and the time that one write may wait for a slow reader, whose connection is then cut. Bodies
are handed on as they came, still compressed. A stream's iterator is closed when its reader leaves, and its reply ends
when the iterator does. The log has method, path, status and times at level debug: no query, no header. What is not HTTP
is refused and neither quoted nor logged, since it may hold a key; a caller that leaves is no news. Does not handle:
HTTP/2, compression of replies, virtual hosts.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

from edge_agent.hub.exchange import Reply
from edge_agent.hub.router import Router, problem, refused
from edge_agent.hub.settings import Settings
from edge_agent.model.failure import ConfigError, DeviceError, HubError
from edge_agent.model.http import Request
from edge_agent.model.ports import Clock
from edge_agent.wire.problem import BAD_HTTP

_MOST_HEADER_LINE = 8190
_MOST_HEADERS = 64
_IDLE_SECONDS = 75.0
_SHUTDOWN_SECONDS = 5.0
_BUSY_RETRY = "5"
_SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class _BodyTooLarge(Exception):  # noqa: N818 - a name for the body
    """More bytes came than a body may have."""


class _Connection(RequestHandler):
    """A connection that refuses what it cannot read as all else is refused: a problem, and no word in the log."""

    def __init__(self, server: web.Server, refuse: Callable[[], web.Response]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp tests it for truth
            keepalive_timeout=_IDLE_SECONDS,
            max_line_size=_MOST_HEADER_LINE,
            max_field_size=_MOST_HEADER_LINE,
            max_headers=_MOST_HEADERS,
            lingering_time=0.0,
            auto_decompress=False,
        )
        self._refuse = refuse

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The reply to a request that was no HTTP, or whose caller left in the middle; aiohttp's for a bug of ours."""
        if not isinstance(exc, HttpProcessingError | RequestPayloadError | OSError):
            return super().handle_error(request, status, exc, message)
        if request.writer.output_size > 0:
            raise ConnectionError("a reply has begun already")
        refusal = self._refuse()
        refusal.force_close()
        return refusal


class Rim:
    """Serves a router on the settings' address while its block is open."""

    def __init__(self, settings: Settings, router: Router, clock: Clock) -> None:
        self._settings, self._limits = settings, settings.limits
        self._router, self._clock = router, clock
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._silent: dict[RequestHandler, asyncio.TimerHandle] = {}
        self._log = structlog.get_logger("edge_agent.hub.access")
        self.address = ""

    async def __aenter__(self) -> "Rim":  # noqa: PYI034 - typing has no Self on 3.10
        loop = asyncio.get_running_loop()
        self._log = self._log.bind()  # once, and not in each call
        self._server = web.Server(self._serve)
        settings = self._settings
        try:
            self._listener = await loop.create_server(
                self._greet, settings.host, settings.port, ssl=_tls(settings), backlog=1024
            )
        except OSError as error:
            raise DeviceError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}",
                hint="choose another with --port, or stop what listens there",
            ) from None
        port = self._listener.sockets[0].getsockname()[1]
        self.address = settings.address_at(port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        assert self._server is not None
        self._listener.close()
        for timer in self._silent.values():
            timer.cancel()
        self._server.pre_shutdown()
        await self._server.shutdown(_SHUTDOWN_SECONDS)
        await self._listener.wait_closed()

    def _greet(self) -> RequestHandler:
        assert self._server is not None
        connection = _Connection(self._server, self._unread)
        # aiohttp bounds the time between requests, but not the time until the first one.
        self._silent[connection] = asyncio.get_running_loop().call_later(
            self._limits.header_timeout, self._part, connection
        )
        return connection

    def _part(self, connection: RequestHandler) -> None:
        del self._silent[connection]
        connection.force_close()
        if connection.transport is not None:
            connection.transport.abort()

    def _unread(self) -> web.Response:
        reply = self._router.stamped(refused(BAD_HTTP))
        return web.Response(status=reply.status, body=reply.body, headers=_headers(reply))

    async def _serve(self, incoming: web.BaseRequest) -> web.StreamResponse:
        assert self._server is not None
        started = self._clock.now()
        timer = self._silent.pop(incoming.protocol, None)
        if timer is not None:
            timer.cancel()
        if len(self._server.connections) > self._limits.connections:
            busy = problem(503, "unavailable", "The hub has as many connections as it may.")
            reply = self._router.stamped(refused(busy, {"retry-after": _BUSY_RETRY, "connection": "close"}))
        else:
            reply = await self._answer(incoming)
        response = await self._send(incoming, reply)
        self._log.debug(
            "request",
            method=incoming.method,
            path=incoming.path,
            status=reply.status,
            ms=self._clock.now() - started,
            peer=incoming.remote,
        )
        return response

    async def _answer(self, incoming: web.BaseRequest) -> Reply:
        try:
            body = self._whole(incoming)
            if body is None:
                body = await asyncio.wait_for(self._body(incoming), self._limits.body_timeout)
        except _BodyTooLarge:
            large = problem(413, "too_large", f"A body may have at most {self._limits.body} bytes.")
            large = replace(large, extra={"limit": self._limits.body})
            return self._router.stamped(refused(large, {"connection": "close"}))
        except asyncio.TimeoutError:
            slow = problem(408, "timeout", f"A body may take at most {self._limits.body_timeout:g} s.")
            return self._router.stamped(refused(slow, {"connection": "close"}))
        headers = {name.lower(): value for name, value in incoming.headers.items()}
        request = Request(incoming.method, incoming.raw_path, headers, body)
        return await self._router.answer(request, incoming.remote or "")

    def _whole(self, incoming: web.BaseRequest) -> bytes | None:
        """The body when it is here already, as most are: a task and a timer cost more than reading it."""
        if not incoming.content.is_eof():
            return None
        body = incoming.content.read_nowait()
        if len(body) > self._limits.body:
            raise _BodyTooLarge
        return body

    async def _body(self, incoming: web.BaseRequest) -> bytes:
        if (incoming.content_length or 0) > self._limits.body:
            raise _BodyTooLarge
        parts = []
        size = 0
        async for part in incoming.content.iter_any():
            size += len(part)
            if size > self._limits.body:
                raise _BodyTooLarge
            parts.append(part)
        return b"".join(parts)

    async def _send(self, incoming: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        headers = _headers(reply)
        if reply.events is None:
            return web.Response(status=reply.status, body=reply.body, headers=headers)
        response = web.StreamResponse(status=reply.status, headers={**headers, "x-accel-buffering": "no"})
        try:
            await response.prepare(incoming)
            if incoming.method != "HEAD":
                await self._pour(incoming, response, reply.events)
        finally:
            if isinstance(reply.events, AsyncGenerator):
                await reply.events.aclose()
        return response

    async def _pour(
        self, incoming: web.BaseRequest, response: web.StreamResponse, events: AsyncIterator[bytes]
    ) -> None:
        try:
            async for chunk in events:
                await asyncio.wait_for(response.write(chunk), self._limits.write_timeout)
        except (asyncio.TimeoutError, ConnectionError):
            # The reader left, or reads too slowly to be waited for.
            self._cut(incoming)
        except HubError as error:
            self._log.warning("stream", path=incoming.path, failure=str(error), hint=error.hint)
            self._cut(incoming)

    def _cut(self, incoming: web.BaseRequest) -> None:
        if incoming.transport is not None:
            incoming.transport.abort()


def _headers(reply: Reply) -> dict[str, str]:
    headers = {**_SECURITY, **reply.headers, "content-type": reply.content_type}
    if reply.status == HTTPStatus.NO_CONTENT:
        del headers["content-type"]
    return headers


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:
        raise ConfigError(
            f"{settings.tls_certificate}: {error}", hint="tls_certificate and tls_key must be PEM files of one pair"
        ) from None
    return context
