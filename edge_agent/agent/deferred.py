"""Deferred parts: what can wait lets the sampler begin first.

The first sample and the first push are due within half a second of the start. All else begins once the first tick was
taken, or after `_PATIENCE`, when no collector answers.
What every device of a fleet does once at its start waits a little longer when the power just came, by a drawn time.
A part whose room is only needed then is `Unmade` until it begins.
"""

from collections.abc import Callable
from typing import NoReturn

import anyio

from edge_agent.kit.scopes import Part, name_of

_PATIENCE = 2.0


class Deferred:
    """A part that begins when an event is set, and so many seconds later."""

    def __init__(self, part: Part, begun: anyio.Event, later: float = 0.0) -> None:
        self._part, self._begun, self._later = part, begun, later
        self.name = name_of(part)

    async def run(self) -> NoReturn:
        """Wait, then live as the part does."""
        with anyio.move_on_after(_PATIENCE):
            await self._begun.wait()
        await anyio.sleep(self._later)
        await self._part.run()
        raise AssertionError("a part ended by itself")


class Unmade:
    """A part that is made, and its code loaded, when it begins."""

    def __init__(self, name: str, make: Callable[[], Part]) -> None:
        self._make = make
        self.name = name

    async def run(self) -> NoReturn:
        """Make the part, and live as it does."""
        await self._make().run()
        raise AssertionError("a part ended by itself")
