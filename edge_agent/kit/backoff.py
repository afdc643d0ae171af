"""How long to wait before the next attempt: an exponential ceiling, and a draw below it (full jitter).

The `backoff` package supplies the ceilings: first, 2 x first, 4 x first, up to the most. A lower bound that the other
side asked for (`Retry-After`) is honoured up to an hour, and the draw comes on top of it: devices that were all told
the same time must not come back together. Where that bound is half a minute or more, whoever asks for it knows what it
asks: the draw is below as much again (up to the most), however many attempts there were.

The package is loaded by the first wait: a start that goes well has none.
"""

from collections.abc import Iterator

from edge_agent.model.ports import Chance

LONGEST_AFTER = 3600.0
"""Seconds: no lower bound from outside holds longer."""

_MEANT = 30.0
"""Seconds from which on a bound from outside takes the place of the ceiling."""


class Backoff:
    """The waits of one row of attempts, in seconds."""

    def __init__(self, chance: Chance, first: float = 1.0, most: float = 300.0) -> None:
        self._chance = chance
        self._first = first
        self._most = most
        self._ceilings: Iterator[float] | None = None

    def next(self, after: float | None = None) -> float:
        """Seconds to wait now; at least `after`, as far as that is at most an hour."""
        least = min(max(after or 0.0, 0.0), LONGEST_AFTER)
        if self._ceilings is None:
            self._ceilings = self._from_first()
        ceiling = next(self._ceilings)
        return least + self._chance.random() * (min(least, self._most) if least >= _MEANT else ceiling)

    def reset(self) -> None:
        """It worked: the next wait is a first one again."""
        self._ceilings = None

    def _from_first(self) -> Iterator[float]:
        from backoff import expo  # noqa: PLC0415 - see the module's docstring

        ceilings = expo(factor=self._first, max_value=self._most)
        next(ceilings)  # the package's generators begin with an empty step
        return ceilings
