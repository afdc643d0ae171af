"""Exchanges: what a handler of the hub is asked, and what it may answer.

A handler is `async (Ask) -> Reply | Problem`. It knows neither aiohttp nor sockets: the rim bounds and reads the
body, the router authenticates the caller and matches the path, and a simulation calls the router directly.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.model.http import Request
from edge_agent.wire.problem import Problem

Role = Literal["anyone", "device", "viewer", "admin"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a device by its key, a viewer or admin by a token. `name` is the device id or the user."""

    role: Role
    name: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, its caller, what the path and the query said, and when it came (hub's Unix ms)."""

    request: Request
    caller: Caller
    params: Mapping[str, str]
    query: Mapping[str, str]
    received_at: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; with `events` the body is a stream of bytes that ends when the iterator does."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    events: AsyncIterator[bytes] | None = None


Handler = Callable[[Ask], Awaitable[Reply | Problem]]
