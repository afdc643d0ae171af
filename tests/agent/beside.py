"""Programs beside the agent, under a clock that stands until it is moved."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edge_agent.agent.children import Children
from edge_agent.model.ports import Said

HERE = [sys.executable, "-I", "-S", "-c"]
PATIENCE = 20.0
LOOK = 0.02


class Beside:
    """Children, a clock that stands until it is moved, and waiting for their threads."""

    def __init__(self) -> None:
        self.at = 1_000_000
        self.looks = threading.Semaphore(0)
        self.children = Children(self.now, LOOK)

    def now(self) -> int:
        """The clock; a program's thread looks at it at each of its looks."""
        if threading.current_thread().name.startswith("command."):
            self.looks.release()
        return self.at

    def offer(self, words: str, name: str = "child") -> None:
        self.children.offer(name, [*HERE, words], 1.0)

    def last(self, name: str = "child") -> Said | int:
        """What it said last, or the errno."""
        try:
            return self.children.last(name)
        except OSError as error:
            return error.errno or 0

    def hear(self) -> None:
        """Wait until it has said what is fresh."""
        for _ in range(1000):
            said = self.last()
            if isinstance(said, Said) and said.fresh:
                return
            self.look()
        raise AssertionError("nothing fresh was heard")

    def look(self, times: int = 1) -> None:
        """Wait until a program was looked at so many times from now on."""
        while self.looks.acquire(blocking=False):
            pass
        for _ in range(times):
            assert self.looks.acquire(timeout=PATIENCE)

    def leave(self) -> None:
        """Wait until every program has ended and was taken leave of."""
        for thread in threading.enumerate():
            if thread.name.startswith("command."):
                thread.join(PATIENCE)
                assert not thread.is_alive()

    def living(self) -> int:
        """How many programs run."""
        return sum(thread.name.startswith("command.") for thread in threading.enumerate())


@contextmanager
def nothing_left() -> Iterator[Beside]:
    """Such children, and none of them left behind."""
    beside = Beside()
    yield beside
    beside.children.end()
    beside.leave()
