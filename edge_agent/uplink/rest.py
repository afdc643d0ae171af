"""The rest between two attempts, and what may end it before its time.

    nudge    something new should go at once: ends it, if it is breakable
    heard    the hub speaks again: leaves a tenth of what is left, if it is breakable; a whole fleet may hear its hub
             in the same moment, and what is left was drawn by each device for itself
    renew    there is another key: ends whatever is waited for

Nudges and what is heard count together, once a minute at most, so that they do not undo the backoff.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import anyio

from edge_agent.model.ports import Clock

_BETWEEN_MS = 60_000
_HEARD = 10


@dataclass(slots=True)
class Pause:
    """A wait until an axis time (ms) and why; `breakable` ones end by a nudge too, and any once `sooner` returns."""

    until: int
    why: str
    breakable: bool = False
    sooner: Callable[[], Awaitable[None]] | None = None


class Rest:
    """Takes one pause at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._over = False
        self._scope = anyio.CancelScope()
        self._broken_at: int | None = None
        self.pause: Pause | None = None
        """What is waited for now."""

    async def take(self, pause: Pause, began: Callable[[], None]) -> None:
        """Wait; `began` is called once `pause` shows it."""
        self.pause = pause
        began()
        try:
            while not self._over and self._clock.now() < pause.until:
                with anyio.CancelScope() as self._scope:
                    if pause.sooner is None:
                        await self._clock.sleep_until(pause.until)
                    else:
                        await first(partial(self._clock.sleep_until, pause.until), pause.sooner)
                        self._over = True
        finally:
            # Only now: a key that changed during the request must end the wait that follows from the old one.
            self.pause, self._over = None, False

    def nudge(self) -> None:
        """End it, as far as the module says."""
        if self._breaks():
            self.renew()

    def heard(self) -> None:
        """Shorten it, as far as the module says."""
        pause = self.pause
        if pause is not None and self._breaks():
            now = self._clock.now()
            pause.until = now + max(0, pause.until - now) // _HEARD
            self._scope.cancel()

    def renew(self) -> None:
        """End it, or the next one."""
        self._over = True
        self._scope.cancel()

    def _breaks(self) -> bool:
        now = self._clock.now()
        rested = self._broken_at is None or now - self._broken_at >= _BETWEEN_MS
        if self.pause is None or not self.pause.breakable or not rested:
            return False
        self._broken_at = now
        return True


async def first(*waits: Callable[[], Awaitable[None]]) -> None:
    """Wait for whichever ends first; the others are cancelled."""
    async with anyio.create_task_group() as group:

        async def wait_for(wait: Callable[[], Awaitable[None]]) -> None:
            await wait()
            group.cancel_scope.cancel()

        for wait in waits:
            group.start_soon(wait_for, wait)
