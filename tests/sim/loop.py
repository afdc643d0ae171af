"""A loop in virtual time: nothing waits, so an hour of timers takes as long as its callbacks.

`run(main())` is `asyncio.run` for scenes. Time starts at 0 and stands still while callbacks run; when nothing is
ready it jumps to the next timer. The same scene gives the same steps in each run and process: tasks, futures and
cancel scopes are hashed by their order of birth, so sets of them (in `asyncio.wait`, in anyio) are walked in one order,
for which anyio's scope is exchanged for ours while a scene runs. Timers that
fall due at the same microsecond run in the order in which they were set; with a seed, in an order drawn from it, so
that a scene can be run over many seeds.

A scene that can never go on (nothing ready, no timer) raises `Deadlock`, which names each task and where it waits. A
scene that ends while a task of its own still lives raises `LeftBehind`.

Not handled, on purpose: sockets, signals, child processes, and threads (their results never wake this loop).
"""

import asyncio
import heapq
import itertools
import math
import random
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from anyio._backends import _asyncio as backend
from typing_extensions import TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


INSTANT = 1e-6
"""Seconds within which timers fall due together."""


class Deadlock(AssertionError):  # noqa: N818 - the name of what happened
    """Every task waits for another, or for a thread or socket that this loop does not know."""


class LeftBehind(AssertionError):  # noqa: N818 - the name of what happened
    """The scene ended, a task that it had started did not."""


class _Born:
    """A hash by order of birth, in place of the address."""

    born: int

    def __hash__(self) -> int:
        return self.born


class _Task(_Born, asyncio.Task[Any]):
    def __init__(self, born: int, coroutine: Any, **options: Any) -> None:
        self.born = born
        super().__init__(coroutine, **options)


class _Future(_Born, asyncio.Future[Any]):
    def __init__(self, born: int, loop: asyncio.AbstractEventLoop) -> None:
        self.born = born
        super().__init__(loop=loop)


class _Timer(asyncio.TimerHandle):
    """A timer with a place among those of the same instant."""

    _scheduled: bool

    def __init__(self, when: float, place: float, *given: Any) -> None:
        super().__init__(when, *given)
        # Sums of float seconds that are meant to be the same instant differ by a hair.
        self.turn = (round(when, 6), place)

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, _Timer)
        return self.turn < other.turn


@contextmanager
def _scopes_by_birth() -> Iterator[None]:
    births = itertools.count(1)

    class Scope(_Born, backend.CancelScope):
        def __init__(self, *given: Any, **named: Any) -> None:
            self.born = next(births)
            super().__init__(*given, **named)

    before = backend.CancelScope
    backend.CancelScope = Scope  # type: ignore[misc]
    try:
        yield
    finally:
        backend.CancelScope = before  # type: ignore[misc]


class VirtualLoop(BaseEventLoop):
    """The loop itself; `run` below makes one for a scene and takes it down."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self._now = 0.0
        self._chance = None if seed is None else random.Random(seed)
        self._births = itertools.count(1)
        self._clock_resolution = INSTANT
        # What the loop of the standard library looks for under these names.
        self._scheduled: list[_Timer] = []
        self._selector = self
        self.set_task_factory(self._task)

    def _task(self, _loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        return _Task(next(self._births), coroutine, loop=self, **options)

    def create_future(self) -> asyncio.Future[Any]:
        """A future whose hash is its order of birth."""
        return _Future(next(self._births), self)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: Unpack[Ts], context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Schedule; with a seed, its place among the timers of the same instant is drawn."""
        place = next(self._births) if self._chance is None else self._chance.random()
        timer = _Timer(when, place, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    def select(self, timeout: float | None) -> list[Any]:
        """What the loop calls to wait: jump to the next timer."""
        if timeout is None or (timeout > 0 and self._scheduled[0].when() == math.inf):
            raise Deadlock(f"nothing is ready and no timer is set; waiting:\n{_waits(asyncio.all_tasks(self))}")
        if timeout > 0:
            self._now = max(self._now, self._scheduled[0].when())
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There is none: no socket is watched."""

    def _write_to_self(self) -> None:
        """There is nobody to wake: this loop never sleeps."""


def _waits(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """One line a task: its name, and where it stands."""
    lines = []
    for task in tasks:
        frames = task.get_stack(limit=1)
        where = f"{frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else "not started"
        lines.append(f"  {task.get_name()} at {where}")
    return "\n".join(sorted(lines))


def run(main: Coroutine[Any, Any, T], seed: int | None = None) -> T:
    """Run a scene to its end on a loop of its own, in virtual time."""
    loop = VirtualLoop(seed)
    with _scopes_by_birth():
        try:
            outcome = loop.run_until_complete(main)
            if left := asyncio.all_tasks(loop):
                raise LeftBehind(f"the scene ended before its tasks:\n{_waits(left)}")
            return outcome
        finally:
            _take_down(loop)


def _take_down(loop: VirtualLoop) -> None:
    try:
        if left := asyncio.all_tasks(loop):
            for task in sorted(left, key=hash):
                task.cancel()
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
