"""Deferred parts: what can wait lets the sampler begin first.

The first sample is due within half a second of the start, and the parts that speak HTTP spend a good part of that on
loading their library. So they begin once the first tick was taken, or after `_PATIENCE`, when no collector answers.
What every device of a fleet does once at its start waits a little longer when the power just came, by a drawn time.
"""

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
