"""A line of questions that a thread asks one after another, while the asker may take those that are left out of it.

Two queues are between the two, each step of which is one that no thread interrupts. A question is taken by the thread
only, and it ends at the first None: the asker puts one in front, and what is behind that is the asker's.
"""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Raised:
    """What a question raised: as a context it keeps that for the one who takes the answer."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return True


class Line(Generic[K, T]):
    """Questions by their keys, and the answers so far."""

    def __init__(self, questions: Iterable[tuple[K, Callable[[], T]]], runner: "Runner[K, T]") -> None:
        self.runner = runner
        self._left: deque[tuple[K, Callable[[], T]] | None] = deque(questions)
        self._left.append(None)
        self._told: deque[tuple[K, T | Raised]] = deque()
        self._ended = threading.Lock()
        self._ended.acquire()

    def work(self) -> None:
        """Ask what is left, in the thread."""
        asked = self._left.popleft()
        while asked is not None:
            raised = Raised()
            with raised:
                while asked is not None:
                    self._told.append((asked[0], asked[1]()))
                    asked = self._left.popleft()
            if asked is not None:
                self._told.append((asked[0], raised))
                asked = self._left.popleft()
        self._ended.release()

    def wait(self, patience: float) -> bool:
        """Whether it ended; it is waited for while answers come, and twice at least: all may have stood still."""
        count = -1
        while not self._ended.acquire(timeout=patience):
            if len(self._told) == count:
                return False
            count = len(self._told)
        return True

    def rest(self) -> list[tuple[K, Callable[[], T]]]:
        """Take the questions that the thread has not taken: it ends after the one in its hand."""
        self._left.appendleft(None)
        return [asked for asked in self._left.copy() if asked is not None]

    def answers(self) -> Iterator[tuple[K, T | Raised]]:
        """Take the answers so far."""
        while self._told:
            yield self._told.popleft()


class Runner(threading.Thread, Generic[K, T]):
    """A thread that works at lines until there is none."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.lines: SimpleQueue[Line[K, T] | None] = SimpleQueue()

    def run(self) -> None:
        """Work."""
        while (line := self.lines.get()) is not None:
            line.work()
            del line
