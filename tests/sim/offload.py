"""Workers without threads: calls run on the loop, one at a time a worker, at once or after drawn delays.

As with real threads a call runs on when its caller gave up, and a worker can hang: `hang(name)` holds the calls of
every worker of that name until `free(name)`. A scene frees what it hung before it ends.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

from edge_agent.model.ports import Chance, Worker

P = ParamSpec("P")
T = TypeVar("T")


class InlineOffload:
    """`model.ports.Offload`. With `chance`, each call takes up to `most` virtual seconds."""

    def __init__(self, chance: Chance | None = None, most: float = 0.01) -> None:
        self._chance = chance
        self._most = most
        self._hung: dict[str, asyncio.Event] = {}
        self.workers: list[Worker] = []
        """The workers that were not released yet."""

    def worker(self, name: str) -> Worker:
        worker = _InlineWorker(partial(self._wait, name))
        self.workers.append(worker)
        return worker

    def release(self, worker: Worker) -> None:
        self.workers.remove(worker)

    def hang(self, name: str) -> None:
        """Calls of the workers of this name do not return from now on."""
        self._hung.setdefault(name, asyncio.Event())

    def free(self, name: str) -> None:
        """They return after all, in order."""
        self._hung.pop(name).set()

    async def _wait(self, name: str) -> None:
        if self._chance is not None:
            await asyncio.sleep(self._chance.random() * self._most)
        while name in self._hung:
            await self._hung[name].wait()


class _InlineWorker:
    """`model.ports.Worker`: each call is a task that waits for the one before it."""

    def __init__(self, wait: Callable[[], Any]) -> None:
        self._wait = wait
        self._last: asyncio.Task[Any] | None = None
        self._given_up = 0

    @property
    def stuck(self) -> bool:
        return self._given_up > 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = asyncio.ensure_future(self._call(self._last, partial(function, *args, **kwargs)))
        self._last = call
        answer = asyncio.shield(call)
        try:
            return await answer
        except asyncio.CancelledError:
            if not call.done():
                self._given_up += 1
                call.add_done_callback(self._returned)
            elif not answer.cancelled():
                answer.exception()
            raise

    async def _call(self, before: "asyncio.Task[Any] | None", function: Callable[[], T]) -> T:
        if before is not None and not before.done():
            await asyncio.wait([before])
        await self._wait()
        return function()

    def _returned(self, call: "asyncio.Task[Any]") -> None:
        self._given_up -= 1
        if not call.cancelled():
            call.exception()  # nobody waits for it any more
