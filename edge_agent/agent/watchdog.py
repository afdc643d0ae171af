"""The watchdog: systemd hears of local progress only. An outage of the hub must not restart a fleet."""

from collections.abc import Callable
from typing import NoReturn

from edge_agent.kit.notify import Notifier
from edge_agent.local.health import Health
from edge_agent.model.ports import Clock

_EVERY = 10.0
"""Seconds between signs of life; the unit's WatchdogSec is several times that."""


class Watchdog:
    """Signals life while ticks are taken and sealed."""

    def __init__(self, notifier: Notifier, clock: Clock, health: Callable[[], Health]) -> None:
        self._notifier, self._clock, self._health = notifier, clock, health

    async def run(self) -> NoReturn:
        """Say ready once, then look and signal."""
        self._notifier.ready()
        while True:
            health = self._health()
            self._notifier.status("sampling" if health.ok else "; ".join(health.notes.values()))
            if health.ok:
                self._notifier.watchdog()
            await self._clock.sleep(_EVERY)
