"""Names to addresses, without asking any nameserver but this machine's own file."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from edge_agent.kit.offload import Threads
from edge_agent.link.resolver import Resolver
from edge_agent.link.session import Options
from edge_agent.model.http import Answer, Unreachable
from edge_agent.model.ports import Offload, P, T, Worker
from tests.link.served import GET, gone, serving, session
from tests.sim.loop import run
from tests.sim.offload import InlineOffload


class NoSuchName:
    """An offload whose one worker finds no name; `model.ports.Worker` too."""

    stuck = False

    def worker(self, _name: str) -> Worker:
        return self

    def release(self, _worker: Worker) -> None:
        """There is no thread."""

    async def run(self, function: Callable[P, T], *_args: P.args, **_kwargs: P.kwargs) -> T:
        raise socket.gaierror(socket.EAI_NONAME, f"{function.__name__} found nothing")


def test_the_name_of_this_machine_leads_to_it() -> None:
    async def scene() -> None:
        async with (
            serving(lambda _request: gone()) as port,
            session(port, url="http://localhost:{port}") as link,
        ):
            assert isinstance(await link.exchange(GET), Answer)

    asyncio.run(scene())


def test_addresses_come_as_numbers_with_the_port_that_was_asked_for() -> None:
    async def scene() -> None:
        offload = Threads()
        resolver = Resolver(offload, 5.0)
        found = await resolver.resolve("localhost", 81)
        assert [(one["hostname"], one["host"], one["port"]) for one in found] == [("localhost", "127.0.0.1", 81)]
        await resolver.close()

    asyncio.run(scene())


def test_a_name_that_is_not_known_is_told() -> None:
    async def scene() -> None:
        offload: Offload = NoSuchName()
        async with session(1, url="https://hub.example", offload=offload) as link:
            assert await link.exchange(GET) == Unreachable("the name hub.example does not resolve")

    asyncio.run(scene())


def test_a_lookup_that_hangs_is_given_up_and_no_other_stands_in_line_behind_it() -> None:
    async def scene() -> None:
        offload = InlineOffload()
        offload.hang("resolver")
        resolver = Resolver(offload, 10.0)
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(OSError, match="the name localhost was not found within 10 s"):
            await resolver.resolve("localhost")
        assert loop.time() - began == 10.0
        with pytest.raises(OSError, match="has not come back"):
            await resolver.resolve("localhost")
        assert loop.time() - began == 10.0
        offload.free("resolver")
        await asyncio.sleep(1)
        assert await resolver.resolve("localhost")
        await resolver.close()
        assert not offload.workers

    run(scene())


def test_a_session_says_that_its_hubs_name_was_not_found_in_time() -> None:
    async def scene() -> None:
        offload = InlineOffload()
        offload.hang("resolver")
        async with session(1, Options(connect_timeout=0.05), url="http://localhost:{port}", offload=offload) as link:
            for _ in range(2):
                answer = await link.exchange(GET)
                assert isinstance(answer, Unreachable)
                assert "localhost" in answer.reason
            await asyncio.sleep(0.1)
        assert not offload.workers
        offload.free("resolver")
        await asyncio.sleep(0)

    asyncio.run(scene())


def test_a_lookup_that_hangs_does_not_hold_the_exit_of_the_process() -> None:
    program = """
import asyncio, socket, threading
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.offload import Threads
from edge_agent.link.keyfile import GivenKey
from edge_agent.link.origin import Origin
from edge_agent.link.session import Options, Session
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.http import Request
socket.getaddrinfo = lambda *_args, **_more: threading.Event().wait()
async def scene():
    clock = SystemClock()
    origin = Origin.parse("https://hub.example")
    link = Session(Options(connect_timeout=0.05), origin, GivenKey("k"), clock, Timekeeper(clock), Threads())
    print(type(await link.exchange(Request("GET", "/"))).__name__)
    await link.close()
asyncio.run(scene())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == (b"Unreachable\n", b"")
