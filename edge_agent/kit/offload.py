"""Threads for what blocks: one daemon thread a worker, started at its first call.

`asyncio.to_thread` would hold the process's exit for as long as a sensor hangs; a daemon thread does not. A call costs
a queue, two wake-ups and no lock of ours. What the call raises is raised where it is awaited.

Invariants: calls of a worker run one at a time, in order, each to its end, also when its caller has given up. All
counting happens on the loop. A loop that closed while a call was out is no error: nobody waits for its result any more.

Not handled: a call that never returns keeps its thread until the process ends.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from edge_agent.model.ports import Worker

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """`model.ports.Offload` with real threads."""

    def worker(self, name: str) -> Worker:
        """A new worker; its thread starts with its first call."""
        return _Thread(name)

    def release(self, worker: Worker) -> None:
        """Let the thread end after the calls that were already asked for."""
        if not isinstance(worker, _Thread):
            raise TypeError("this worker comes from elsewhere")
        worker.end()


class _Call:
    """One call on its way: made on the loop, run in the thread, settled on the loop.

    As a context it takes what the call raises, whatever it is, to the one who awaits it.
    """

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.function = function
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, StopIteration):
            # A future cannot carry it: it would end the coroutine that awaits.
            self.error = RuntimeError("the call raised StopIteration")
            self.error.__cause__ = error
        else:
            self.error = error
        return True


class _Thread:
    """`model.ports.Worker` over one thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._started = False
        self._released = False
        self._given_up = 0

    @property
    def stuck(self) -> bool:
        """A call that its caller gave up on has not returned yet."""
        return self._given_up > 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in the thread and wait."""
        if self._released:
            raise RuntimeError(f"the worker {self._name} was released")
        if not self._started:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._started = True  # not before: where no thread can be had now, the next call asks for one again
        call = _Call(partial(function, *args, **kwargs), asyncio.get_running_loop())
        self._calls.put(call)
        try:
            result: T = await call.future
        except asyncio.CancelledError:
            if call.future.cancelled():
                self._given_up += 1
            else:
                call.future.exception()  # it came back in the same turn, and is dropped
            raise
        return result

    def end(self) -> None:
        """No more calls; the thread ends after those that wait."""
        if not self._released:
            self._released = True
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            with call:
                call.result = call.function()
            with suppress(RuntimeError):  # the loop is closed
                call.loop.call_soon_threadsafe(self._settle, call)
            del call

    def _settle(self, call: _Call) -> None:
        if call.future.cancelled():
            self._given_up -= 1
        elif call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result(call.result)
