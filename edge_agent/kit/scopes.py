"""Lifetimes as blocks: parts that run for as long as the block does.

    async with running(listener, reporter):
        ...

The parts start in the order given and are stopped in reverse, each awaited before the next is cancelled. When a part
breaks, the block and all other parts are cancelled, and the error leaves the block as it was raised: a group of errors
is seen only where two broke at once.
"""

import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NoReturn, Protocol

import anyio

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


class Part(Protocol):
    """A living part: its one method ends by cancellation or by breaking."""

    def run(self) -> Coroutine[Any, Any, NoReturn]:
        """Live."""


@asynccontextmanager
async def running(*parts: Part) -> AsyncIterator[None]:
    """Run these parts for as long as the block lasts; their tasks are named after their classes."""
    async with AsyncExitStack() as stack:
        for part in parts:
            await stack.enter_async_context(_running(part))
        yield


@asynccontextmanager
async def _running(part: Part) -> AsyncIterator[None]:
    broken: BaseException | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(part.run, name=type(part).__name__.lower())
            yield
            group.cancel_scope.cancel()
    except BaseExceptionGroup as errors:
        broken = _alone(errors)
    if broken is not None:
        # Raised outside of the handler, so that the error keeps its own cause and context.
        raise broken


def _alone(error: BaseException) -> BaseException:
    """The single error in a group, or the group when there are more."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
