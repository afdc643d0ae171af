"""Retention: payloads older than `raw` are deleted, a few at a time, so that nobody waits for it.

What is left of a frame is its number, its span and a digest: the audit and dedupe go on as before. The room is used
again by what comes next; the file does not shrink.

A hub that is full deletes nothing before its time: it stores no more, says so, and takes what devices kept meanwhile
once there is room. With `drop_oldest` the oldest payloads make room before their time instead, whatever their age.
Does not handle: roll-ups.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from edge_agent.hub.store import Store, StoreBroken, StoreFull
from edge_agent.hub.store.frames import prune
from edge_agent.model.quantity import Seconds

_AT_ONCE, _FEW = 64, 8
_ANY_TIME = 2**62


@dataclass(frozen=True, slots=True)
class Options:
    """How long payloads are kept after they arrived, and whether the oldest go sooner when there is no room."""

    raw: Seconds = 30 * 86400.0
    drop_oldest: bool = False


class Pruner:
    """Deletes what is past its time. `now` is the hub's Unix ms."""

    def __init__(self, store: Store, now: Callable[[], int], options: Options) -> None:
        self._store, self._now, self._options = store, now, options

    async def prune(self) -> None:
        """Delete all that is past its time. A store that cannot be written now is tried again at the next call."""
        before = self._now() - round(self._options.raw * 1000)
        with suppress(StoreFull, StoreBroken):  # whoever stores meets the same, and is answered
            while await self._store.write(partial(prune, arrived_before=before, most=_AT_ONCE)) == _AT_ONCE:
                pass
            while self._options.drop_oldest and self._store.is_tight:
                if not await self._store.write(partial(prune, arrived_before=_ANY_TIME, most=_FEW)):
                    break
