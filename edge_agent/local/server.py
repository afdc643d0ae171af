"""The local server: what this device answers to programs beside the agent, on loopback and on a Unix socket.

127.0.0.1 only, never another address; the Unix socket has mode 0660, so that its group is who may hand over numbers
from a container. Both speak the same (`desk`). A body is read up to its cap within ten seconds. A port that is taken
or a socket that cannot be made is a DeviceError at the start, which names the setting: a health endpoint that
silently belongs to another program would be worse.

What is not HTTP, names no one host or breaks off is `bad_http`, and neither it nor its sender's leaving is logged.
A socket file that stands there is replaced: whoever holds it is no longer this agent, whose port was free.
"""

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import anyio

from edge_agent.local.desk import Desk, Sources, refuse
from edge_agent.local.health import Health
from edge_agent.local.intake import Caps, Intake
from edge_agent.local.options import Options
from edge_agent.model.failure import DeviceError
from edge_agent.model.http import Request
from edge_agent.model.lamp import Lamps
from edge_agent.model.ports import Clock
from edge_agent.model.reading import Tick
from edge_agent.wire.problem import Problem

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Health", "LocalServer", "Options"]

_ADDRESS = "127.0.0.1"
_BODY_WITHIN = 10.0
_SHUTDOWN = 1.0
_BACKLOG = 64


class LocalServer:
    """Serves until cancelled; what it shows and where it puts what it is given comes as callables."""

    def __init__(
        self,
        options: Options,
        clock: Clock,
        lamps: Lamps,
        latest: Callable[[], Sequence[Tick]],
        status: Callable[[], Mapping[str, Any]],
        health: Callable[[], Health],
        ready: Callable[[], Health],
        record_event: Callable[[str, Mapping[str, Any]], Awaitable[bool]],
        take: Callable[[Tick], bool],
    ) -> None:
        self._options = options
        caps = Caps(options.events_per_second, options.readings_per_second, options.max_series)
        sources = Sources(latest, status, health, ready, record_event, take)
        self._desk = Desk(Intake(caps, clock), clock, lamps, sources)
        self._lamps = lamps
        self._port = 0
        self._stands = anyio.Event()

    async def standing(self) -> int:
        """Wait until it listens; the port."""
        await self._stands.wait()
        return self._port

    async def run(self) -> NoReturn:
        """Listen until cancelled; DeviceError when a port or socket cannot be had."""
        from aiohttp import web  # noqa: PLC0415 - its import costs more than all of this room

        from edge_agent.local.connection import Server  # noqa: PLC0415 - it imports aiohttp

        sockets = [_loopback(self._options.port)]
        path = self._options.socket
        try:
            self._port = sockets[0].getsockname()[1]
            if path is not None:
                sockets.append(_unix(path))
            runner = web.ServerRunner(
                Server(self._serve, self._confess), handle_signals=False, shutdown_timeout=_SHUTDOWN
            )
            await runner.setup()
            try:
                for listening in sockets:
                    await web.SockSite(runner, listening, backlog=_BACKLOG).start()
                self._lamps.light("local", "ok", f"listens on {_ADDRESS}:{self._port}")
                self._stands.set()
                while True:
                    await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await runner.cleanup()
        finally:
            for listening in sockets:
                listening.close()
            if path is not None and len(sockets) > 1:
                with suppress(OSError):
                    path.unlink()

    async def _serve(self, request: "web.BaseRequest") -> "web.StreamResponse":
        from aiohttp import web  # noqa: PLC0415 - it is there by now

        from edge_agent.local.connection import UNREADABLE, unreadable  # noqa: PLC0415 - likewise

        if len(request.headers.getall("host", ())) != 1:
            return unreadable()
        try:
            body = await self._body(request)
        except UNREADABLE:
            return unreadable()
        if isinstance(body, Problem):
            reply = refuse(body)
        else:
            headers = {name.lower(): value for name, value in request.headers.items()}
            reply = await self._desk.answer(Request(request.method, request.path, headers, body))
        response = web.Response(
            status=reply.status, body=reply.body, headers={"content-type": reply.content_type, **reply.headers}
        )
        if isinstance(body, Problem):
            response.force_close()
        return response

    async def _body(self, request: "web.BaseRequest") -> bytes | Problem:
        """All of the body, or why it is not waited for."""
        body = bytearray()
        with anyio.move_on_after(_BODY_WITHIN) as patience:
            if request.headers.get("expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > self._options.max_body:
                    most = f"a body has at most {self._options.max_body} bytes"
                    return Problem(413, "too_large", "Too large", most)
        if patience.cancelled_caught:
            return Problem(408, "timeout", "Too slow", f"a body comes within {_BODY_WITHIN:g} s")
        return bytes(body)

    def _confess(self, fault: str) -> None:
        self._lamps.light("local", "warn", f"a fault in answering: {fault}")


def _loopback(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_ADDRESS, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise DeviceError(
            f"port {port} on {_ADDRESS} cannot be had: {error}",
            hint="choose another by --local-port or [local] port; `ss -ltnp` shows who has it",
        ) from error
    return listening


def _unix(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()
        listening.bind(str(path))
        # Nobody can connect before it listens, so there is no moment at which its mode is another.
        path.chmod(0o660)
    except OSError as error:
        listening.close()
        raise DeviceError(
            f"the socket {path} cannot be made: {error}",
            hint="make its folder writable for the agent, or name another by [local] socket",
        ) from error
    return listening
