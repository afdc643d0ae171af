"""Foreign errors that a real server cannot be made to raise on demand: each becomes one reason for people."""

import asyncio
import ssl

import aiohttp
import pytest
from aioresponses import aioresponses
from yarl import URL

from edge_agent.kit.offload import Threads
from edge_agent.link.keyfile import GivenKey
from edge_agent.link.origin import Origin
from edge_agent.link.session import Options, Session
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.http import Answer, Request, Unreachable
from tests.sim.clock import SimClock

PLACE = "http://127.0.0.1:9/api/v1/telemetry"


def exchanged(foreign: BaseException) -> Answer | Unreachable:
    """What an exchange comes to when the library raises this."""

    async def scene() -> Answer | Unreachable:
        clock = SimClock(asyncio.get_running_loop())
        key, origin = GivenKey("a-key-of-some-length"), Origin.parse("http://127.0.0.1:9")
        session = Session(Options(), origin, key, clock, Timekeeper(clock), Threads())
        with aioresponses() as faults:
            faults.post(URL(PLACE), exception=foreign)
            try:
                return await session.exchange(Request("POST", "/api/v1/telemetry", {}, b"frames"))
            finally:
                await session.close()

    return asyncio.run(scene())


@pytest.mark.parametrize(
    "foreign",
    [
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError("cut short"),
        aiohttp.ClientOSError(104, "Connection reset by peer"),
        aiohttp.ServerTimeoutError("too slow"),
        aiohttp.InvalidURL("http://127.0.0.1:9"),
        aiohttp.TooManyRedirects(None, ()),  # type: ignore[arg-type]  # nothing of it is read
        TimeoutError(),
        ssl.SSLError(1, "bad record"),
        ConnectionResetError(104, "Connection reset by peer"),
    ],
    ids=lambda foreign: type(foreign).__name__,
)
def test_a_foreign_error_is_a_reason_without_the_key(foreign: BaseException) -> None:
    found = exchanged(foreign)
    assert isinstance(found, Unreachable)
    assert found.reason
    assert "a-key-of-some-length" not in found.reason
