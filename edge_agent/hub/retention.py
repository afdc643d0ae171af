"""Retention: payloads older than `raw` are deleted, a few at a time, so that nobody waits for it.

What is left of a frame is its number, its span and a digest: the audit and dedupe go on as before. The room is used
again by what comes next; the file does not shrink.

Age is told by the hub's clock, and what a wrong clock deletes is gone. So nothing is deleted for its age while the
clock is not synchronised, nor in the ten minutes after it was stepped or the hub began, nor while it stands before the
newest arrival. What came while the time was only guessed counts from when it is known.

A hub that is full deletes nothing before its time: it stores no more, says so, and takes what devices kept meanwhile
once there is room. With `drop_oldest` the payloads that came first make room before their time instead, whatever their
age and whatever the clock says. Does not handle: roll-ups.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from edge_agent.hub.store import Store, StoreBroken, StoreFull
from edge_agent.hub.store.frames import adopt, drop, newest, prune
from edge_agent.model.quantity import Seconds

_AT_ONCE, _FEW = 64, 8
_MOST_ADOPTED = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """How long payloads are kept after they arrived, and whether the oldest go sooner when there is no room."""

    raw: Seconds = 30 * 86400.0
    drop_oldest: bool = False


class Pruner:
    """Deletes what is past its time. `now` is the hub's Unix ms, `is_settled` whether that can be built on."""

    def __init__(self, store: Store, now: Callable[[], int], is_settled: Callable[[], bool], options: Options) -> None:
        self._store, self._now, self._is_settled, self._options = store, now, is_settled, options

    async def prune(self) -> None:
        """Delete all that is past its time. A store that cannot be written now is tried again at the next call."""
        with suppress(StoreFull, StoreBroken):  # whoever stores meets the same, and is answered
            if self._is_settled() and self._now() >= await self._store.read(newest):
                await self._expire(self._now())
            while self._options.drop_oldest and self._store.is_tight:
                if not await self._store.write(partial(drop, most=_FEW)):
                    break

    async def _expire(self, now: int) -> None:
        while await self._store.write(partial(adopt, now=now, most=_MOST_ADOPTED)) == _MOST_ADOPTED:
            pass
        before = now - round(self._options.raw * 1000)
        most = deleted = self._most
        while deleted == most:
            most = self._most
            deleted = await self._store.write(partial(prune, arrived_before=before, most=most))

    @property
    def _most(self) -> int:
        """How many are deleted at once: that takes room of its own for a moment, as much as they hold."""
        return _FEW if self._store.is_tight else _AT_ONCE
