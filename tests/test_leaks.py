"""The watch over tests sees what it must."""

import asyncio
import socket
import threading
from collections.abc import Callable

import pytest

from tests import leaks
from tests.leaks import watched


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> None:
    """These tests are the watch: the one around each test stands aside."""


def test_a_clean_block_passes() -> None:
    with watched():
        asyncio.run(asyncio.sleep(0))


def test_a_task_that_outlives_its_scene_is_seen() -> None:
    async def scene() -> None:
        scene.kept = asyncio.ensure_future(asyncio.Event().wait())  # type: ignore[attr-defined]

    with pytest.raises(AssertionError, match="tasks left behind: Task-"), watched():
        asyncio.run(scene())


def test_an_error_that_nobody_fetched_is_seen() -> None:
    async def scene() -> None:
        asyncio.get_running_loop().create_future().set_exception(OSError("lost"))

    with pytest.raises(AssertionError, match="never retrieved"), watched():
        asyncio.run(scene())


def test_a_thread_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "PATIENCE", 0.01)
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, name="stray", daemon=True)
    with pytest.raises(AssertionError, match="thread: stray"), watched():
        thread.start()
    gate.set()
    thread.join()


@pytest.mark.parametrize("make", [socket.socket, lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)])
def test_an_open_socket_is_seen(make: Callable[[], socket.socket]) -> None:
    left = []
    with pytest.raises(AssertionError, match=r"open socket: socket:\[[0-9]+\]"), watched():
        left.append(make())
    left[0].close()
