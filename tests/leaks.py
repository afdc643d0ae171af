"""What a test may not leave behind: threads, sockets, tasks of a real loop, and complaints of asyncio.

`watched()` is the block around each test (see `conftest`). Threads get a moment to end, since a released worker ends by
itself. Tasks are seen by `WatchedLoop`, which looks once the main coroutine is over and before `asyncio.run` cancels
the rest. Complaints ("Task was destroyed", "exception was never retrieved") come when the garbage is collected: the
young generations after each test, all of it at the end of the session, so a late one may fail a later test.
"""

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PATIENCE = 2.0
"""Seconds for threads to end after a test."""


class WatchedLoop(asyncio.SelectorEventLoop):
    """A loop that complains when its main coroutine leaves tasks behind."""

    def __init__(self) -> None:
        super().__init__()
        self._ran = False

    def run_until_complete(self, future: Any) -> Any:
        """Run; the first time look around, after a few turns in which closing transports may end."""
        first, self._ran = not self._ran, True
        outcome = super().run_until_complete(future)
        if first:
            super().run_until_complete(_turns())
            if left := sorted(task.get_name() for task in asyncio.all_tasks(self)):
                logging.getLogger("asyncio").error("tasks left behind: %s", ", ".join(left))
        return outcome


class WatchedPolicy(asyncio.DefaultEventLoopPolicy):
    """Gives each `asyncio.run` a watched loop."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return WatchedLoop()


class _Complaints(logging.Handler):
    """The errors that asyncio logs because it has nobody to raise them to."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@contextmanager
def watched(generation: int = 1) -> Iterator[None]:
    """Fail when the block leaves something behind; `generation` is how deep the garbage is collected."""
    threads, sockets = set(threading.enumerate()), _sockets()
    complaints = _Complaints()
    logger = logging.getLogger("asyncio")
    logger.addHandler(complaints)
    try:
        yield
        gc.collect(generation)
    finally:
        logger.removeHandler(complaints)
    left = [f"asyncio: {message}" for message in complaints.heard]
    left += [f"thread: {thread.name}" for thread in _still(set(threading.enumerate()) - threads)]
    left += [f"open socket: {name}" for name in sorted(_sockets() - sockets)]
    assert not left, "left behind:\n" + "\n".join(left)


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def _still(threads: set[threading.Thread]) -> list[threading.Thread]:
    """Those that do not end within the patience, all together."""
    until = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return [thread for thread in threads if thread.is_alive()]


def _sockets() -> set[str]:
    """The sockets that this process has open, by inode."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - twice a test: strings are cheaper than paths
        with suppress(OSError):  # the listing's own descriptor is closed by now
            target = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - likewise
            if target.startswith("socket:"):
                found.add(target)
    return found
