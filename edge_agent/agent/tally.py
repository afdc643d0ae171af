"""The tally: what was sampled since this process began, and the latest tick of each collector.

Cheap enough to be told every tick. Numbers of the past are the hub's.
"""

from collections.abc import Container, Sequence

from edge_agent.model.ports import Clock
from edge_agent.model.reading import Missed, Tick


class Tally:
    """Counts ticks and readings; `latest` is what the local endpoint and the live view show."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest: dict[str, Tick] = {}
        self.readings = 0
        """Readings with a value."""
        self.absent = 0
        """Readings without one."""
        self.missed = 0
        """Beats at which nothing was sampled."""
        self.first: int | None = None
        """Axis ms of the first tick."""
        self.last: int | None = None
        """Axis ms at which the sampler's last tick was taken."""

    def take(self, tick: Tick) -> None:
        """Count a tick of the sampler."""
        self.take_given(tick)
        self.last = self._clock.now()
        if self.first is None:
            self.first = self.last

    def take_given(self, tick: Tick) -> None:
        """Count a tick that a program on this device handed over, which is no sign of the sampler's life."""
        absent = sum(reading.value is None for reading in tick.readings)
        self.absent += absent
        self.readings += len(tick.readings) - absent
        self._latest[tick.collector] = tick

    def forget(self, collectors: Container[str]) -> None:
        """Show no more of these collectors, which were turned off."""
        self._latest = {name: tick for name, tick in self._latest.items() if name not in collectors}

    def miss(self, missed: Missed) -> None:
        """Count beats that were missed."""
        self.missed += missed.beats

    def latest(self) -> Sequence[Tick]:
        """The latest tick of each collector, by name."""
        return [tick for _, tick in sorted(self._latest.items())]

    @property
    def series(self) -> int:
        """Readings that the latest ticks offer, absent ones too."""
        return sum(len(tick.readings) for tick in self._latest.values())
