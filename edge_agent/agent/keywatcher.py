"""The key watcher: a rotated key is tried at once, without a restart."""

from collections.abc import Callable
from typing import NoReturn

from edge_agent.link.keyfile import Key
from edge_agent.model.ports import Clock

_EVERY = 5.0
"""Seconds between looks; each costs one stat."""


class KeyWatcher:
    """Tells whoever was turned away that the key file changed."""

    def __init__(self, key: Key, clock: Clock, changed: Callable[[], None]) -> None:
        self._key, self._clock, self._changed = key, clock, changed

    async def run(self) -> NoReturn:
        """Look every few seconds."""
        while True:
            await self._clock.sleep(_EVERY)
            if self._key.changed():
                self._changed()
