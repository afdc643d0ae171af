"""What holds for every test: nothing is left behind.

Async tests are plain functions around a coroutine, with no plugin. In virtual time, without sockets and threads:

    def test_a_fact() -> None:
        async def scene() -> None: ...
        run(scene())                     # tests.sim.loop.run

On a real loop, where sockets or threads are the thing under test: `asyncio.run(scene())`. Either way a task that
outlives the scene fails the test, as do a thread, an open socket, and whatever asyncio could only log.
"""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from tests.leaks import WatchedPolicy, watched


@pytest.fixture(scope="session", autouse=True)
def _loops_are_watched() -> Iterator[None]:
    asyncio.set_event_loop_policy(WatchedPolicy())
    yield
    asyncio.set_event_loop_policy(None)
    with watched(generation=2):
        pass


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    with watched():
        yield


@pytest.fixture(scope="session", autouse=True)
def _imports_are_old() -> None:
    """What was imported so far is not garbage: leave it out of each collection."""
    gc.collect()
    gc.freeze()
