"""Sessions: requests as values out, answers as values back, over aiohttp.

Invariants:

- The key goes to the configured origin only: paths are appended to it, redirects are answers and never followed,
  there are no cookies, and proxies of the environment are not looked at.
- Answers are bounded: bodies are cut at 64 KiB, header lines at 8 KiB. Nothing is decompressed: `identity` is asked
  for, and a body that comes compressed all the same is left as it is, so that nobody mistakes it for an answer.
- A hub or proxy that echoes the key does not bring it into a lamp or a log: in the headers and in the whole body of an
  answer it is masked (a stream's answer of 200 has no whole body; keys shorter than 8 characters hide nothing, and
  masking them would spoil answers).
- Foreign errors are mapped to `Unreachable` with a reason for people, printable and bounded. A key file or certificate
  that cannot be read is one too: it is read again at the next request, so that putting it right needs no restart.
- Names are looked up in a thread that does not hold the process's exit.
- `sent_at` is taken once the connection stands, so that the time for connecting does not blur true time. Every answer
  is shown to the timekeeper. What failed before a connection stood (to the proxy, where there is one) says so: nothing
  was sent.

aiohttp is imported at the first request, where nobody did before: a command that makes none is quick. Not handled:
HTTP/2, retries (their
owners know what may be repeated), SOCKS proxies.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from edge_agent.kit.lamps import MOST_NOTE, printable
from edge_agent.link.keyfile import Key
from edge_agent.link.origin import Origin
from edge_agent.model.failure import DeviceError
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.ports import Clock, Offload, Stream, TrueTime
from edge_agent.model.quantity import Interval

if TYPE_CHECKING:
    import aiohttp

    from edge_agent.link.resolver import Resolver

MOST_ANSWER_BYTES = 64 * 1024
"""Where the body of an answer is cut."""

_AUTH_HEADER = "x-api-key"
_MOST_LINE_BYTES = 8190
_MASK = "***"
_LEAST_SECRET = 8
_KEPT_ALIVE = 55.0
"""Seconds for which an idle connection is kept: just below the minute at which many proxies drop theirs."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the hub is reached."""

    proxy: str | None = field(default=None, repr=False)
    """An http proxy as `http://[user:password@]host:port`."""
    ca_file: Path | None = None
    """The only authorities to trust, as PEM; the system's when absent."""
    client_cert: Path | None = None
    """This device's certificate as PEM, with its key unless `client_key` names it."""
    client_key: Path | None = None
    connect_timeout: Interval = 10.0
    """For the name, the connection and TLS together."""
    first_byte_timeout: Interval = 20.0
    """From the end of the request to the head of the answer."""
    exchange_timeout: Interval = 60.0
    """For one whole exchange."""
    idle_timeout: Interval = 45.0
    """For a stream without a byte: three keepalives of the native hub."""


@dataclass(slots=True)
class _Departure:
    """When a request left: just before its connection was taken, at first; moved on once it `stood`."""

    sent_at: int
    stood: bool = False


class Session:
    """The way to one origin. Implements the port `Link`; `close` ends its connections, a later request opens anew."""

    def __init__(
        self, options: Options, origin: Origin, key: Key, clock: Clock, time: TrueTime, offload: Offload
    ) -> None:
        self._options = options
        self._origin = origin
        self._key = key
        self._clock = clock
        self._time = time
        self._offload = offload
        self._client: aiohttp.ClientSession | None = None
        self._resolver: Resolver | None = None

    async def exchange(self, request: Request) -> Answer | Unreachable:
        """Ask, and read the answer whole."""
        import aiohttp  # noqa: PLC0415 - see the module's docstring

        options, departure = self._options, _Departure(self._clock.now())
        limits = aiohttp.ClientTimeout(
            total=options.exchange_timeout, connect=options.connect_timeout, sock_read=options.first_byte_timeout
        )
        try:
            key = self._key.read()
            response, head = await self._ask(request, key, limits, departure)
            try:
                return replace(head, body=await _body(response, key))
            finally:
                response.close()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError, DeviceError) as error:
            return Unreachable(self._reason(error), sent=departure.stood)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream | Unreachable]:
        """Ask, and keep the body coming."""
        import aiohttp  # noqa: PLC0415 - see the module's docstring

        options, departure = self._options, _Departure(self._clock.now())
        limits = aiohttp.ClientTimeout(total=None, connect=options.connect_timeout)
        response: aiohttp.ClientResponse | None = None
        opened: Stream | Unreachable
        try:
            try:
                with anyio.fail_after(options.connect_timeout + options.first_byte_timeout):
                    key = self._key.read()
                    response, head = await self._ask(request, key, limits, departure)
                    if response.status != 200:  # noqa: PLR2004 - the only status that streams
                        head = replace(head, body=await _body(response, key))
                opened = _Streaming(head, response, options.idle_timeout)
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError, DeviceError) as error:
                opened = Unreachable(self._reason(error), sent=departure.stood)
            yield opened
        finally:
            if response is not None:
                response.close()

    async def close(self) -> None:
        """End every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()

    async def _ask(
        self, request: Request, key: str, limits: "aiohttp.ClientTimeout", departure: _Departure
    ) -> "tuple[aiohttp.ClientResponse, Answer]":
        from yarl import URL  # noqa: PLC0415 - see the module's docstring

        headers = {"accept-encoding": "identity", **request.headers, _AUTH_HEADER: key}
        response = await self._opened().request(
            request.method,
            URL(self._origin.url(request.path), encoded=True),
            data=request.body or None,
            headers=headers,
            allow_redirects=False,
            proxy=self._options.proxy,
            timeout=limits,
            trace_request_ctx=departure,
        )
        received_at = self._clock.now()
        named = {name.lower(): _masked(value, key) for name, value in response.headers.items()}
        head = Answer(response.status, named, b"", departure.sent_at, received_at)
        self._time.observe(head)
        return response, head

    def _opened(self) -> "aiohttp.ClientSession":
        if self._client is None:
            import aiohttp  # noqa: PLC0415 - see the module's docstring

            from edge_agent.link.resolver import Resolver  # noqa: PLC0415 - it needs aiohttp

            async def stands(_client: Any, context: Any, _params: Any) -> None:
                context.trace_request_ctx.sent_at = self._clock.now()
                context.trace_request_ctx.stood = True

            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(stands)
            trace.on_connection_reuseconn.append(stands)
            tls = _tls(self._options) if self._origin.scheme == "https" else True
            self._resolver = Resolver(self._offload, self._options.connect_timeout)
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls, resolver=self._resolver, keepalive_timeout=_KEPT_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": f"edge-agent/{version('edge-agent')}"},
                trust_env=False,
                auto_decompress=False,
                max_line_size=_MOST_LINE_BYTES,
                max_field_size=_MOST_LINE_BYTES,
                trace_configs=[trace],
            )
        return self._client

    def _reason(self, error: Exception) -> str:
        """What went wrong, for people. Never the `repr` of a foreign error: that may hold the request's headers."""
        return printable(self._told(error), MOST_NOTE)

    def _told(self, error: Exception) -> str:
        import aiohttp  # noqa: PLC0415 - see the module's docstring

        place = self._origin.netloc
        match error:
            case DeviceError():
                return f"{error} ({error.hint})"
            case aiohttp.ClientConnectorError():
                return self._unconnected(error)
            case aiohttp.ConnectionTimeoutError():
                return f"no connection to {place} within {self._options.connect_timeout:g} s"
            case asyncio.TimeoutError() | TimeoutError():
                return f"no answer from {place} in time"
            case aiohttp.ClientHttpProxyError():
                return f"the proxy refused the way to {place}: {error.status} {error.message}"
            case aiohttp.ClientResponseError():
                return f"{place} answered something that is not HTTP"
            case _:
                return f"the line to {place} broke"

    def _unconnected(self, error: "aiohttp.ClientConnectorError") -> str:
        import aiohttp  # noqa: PLC0415 - see the module's docstring

        place, cause = self._origin.netloc, error.os_error
        why = os.strerror(cause.errno) if cause.errno else str(cause)
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return f"no connection to the proxy: {why}"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {place} is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS with {place}: {cause.reason}"
        if isinstance(cause, socket.gaierror):
            return f"the name {self._origin.host} does not resolve"
        return f"no connection to {place}: {why}"


class _Streaming:
    """A body that is still coming. Implements the port `Stream`."""

    def __init__(self, answer: Answer, response: "aiohttp.ClientResponse", idle_timeout: float) -> None:
        self._answer = answer
        self._response = response
        self._idle_timeout = idle_timeout

    @property
    def answer(self) -> Answer:
        return self._answer

    async def read(self) -> bytes:
        import aiohttp  # noqa: PLC0415 - see the module's docstring

        with anyio.move_on_after(self._idle_timeout):
            try:
                return await self._response.content.readany()
            except (aiohttp.ClientError, OSError):
                return b""
        return b""


async def _body(response: "aiohttp.ClientResponse", key: str) -> bytes:
    chunks, room = list[bytes](), MOST_ANSWER_BYTES
    async for chunk in response.content.iter_any():
        chunks.append(chunk[:room])
        room -= len(chunks[-1])
        if room == 0:
            break
    return _masked(b"".join(chunks).decode("latin-1"), key).encode("latin-1")


def _masked(text: str, key: str) -> str:
    return text.replace(key, _MASK) if len(key) >= _LEAST_SECRET else text


def _tls(options: Options) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
        if options.client_cert is not None:
            context.load_cert_chain(options.client_cert, options.client_key)
    except OSError as error:
        raise DeviceError(
            f"the certificates of the link cannot be used: {error}",
            hint="check ca_file, client_cert and client_key: each must be PEM that the agent may read",
        ) from error
    return context
