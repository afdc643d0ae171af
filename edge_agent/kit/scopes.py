"""Lifetimes as blocks: parts that run for as long as the block does.

    async with running(listener, reporter):
        ...

The parts start in the order given. When the block ends they are stopped in reverse, each awaited before the next is
cancelled. A cancellation from outside, or of a part that breaks, reaches the block and the parts after that one all at
once; those before it are stopped in reverse. The error leaves the block as it was raised: a group of errors is seen
only where two broke at once.
"""

import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NoReturn, Protocol

import anyio

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


class Part(Protocol):
    """A living part: its one method ends by cancellation or by breaking. It may have a `name` for its task."""

    def run(self) -> Coroutine[Any, Any, NoReturn]:
        """Live."""


def name_of(part: Part) -> str:
    """What the task of a part is called: the name that it gives, or that of its class."""
    given: str | None = getattr(part, "name", None)
    return given or type(part).__name__.lower()


@asynccontextmanager
async def running(*parts: Part) -> AsyncIterator[None]:
    """Run these parts for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        for part in parts:
            await stack.enter_async_context(_running(part))
        yield


@asynccontextmanager
async def _running(part: Part) -> AsyncIterator[None]:
    broken: BaseException | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(part.run, name=name_of(part))
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
