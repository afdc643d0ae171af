"""What is left of a series once it is thinned: of a gauge its windows, of a counter the readings that tell the rest.

    GaugeWindows     for each window how many readings there were, their mean, the least and the greatest
    CounterKept      the first reading of all, the last of each window, and both sides of each fall, at their instants

Both take rows as batches have them, of full tracks or thinned ones. Sums are kept exactly, in hundredths of the last
digit, so that windows made of windows are those made of readings, but for the rounding of the means in between. A raw
gauge (`digits` None) keeps a running mean, since a sum may be more than a float holds. What lies beyond 2**53 once
scaled counts as absent, `too_large`. A window without a value keeps the last reason that was given for it.

Windows have positions, and instants ordinals, in the order in which a collector's came. Does not handle: whether a fall
is a reset or a mistake; what lies between numbers that were never added.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, compress
from operator import sub
from typing import Any, NamedTuple

from edge_agent.model.reading import Series
from edge_agent.wire.track import EXACT, MEAN_DIGITS

_UNIT = 10**MEAN_DIGITS
_TOO_LARGE = "too_large"
_RAW_BITS = 56
"""What a raw float is counted as, in bits that change."""


class Run(NamedTuple):
    """Ticks from `start` up to `stop` in one window: the `number`-th of the axis, at a position of the collector's."""

    position: int
    number: int
    start: int
    stop: int


class GaugeWindows:
    """The windows of one gauge; `bits` is how much they change, for the size that they will have."""

    __slots__ = ("_counts", "_greatest", "_least", "_reasons", "_totals", "bits", "series")

    def __init__(self, series: Series) -> None:
        self.series = series
        self.bits = 0
        kind = "d" if series.digits is None else "q"
        self._counts: list[int] = []
        self._totals: list[float] = []
        self._least: array[Any] = array(kind)
        self._greatest: array[Any] = array(kind)
        self._reasons: dict[int, str] = {}

    def take(self, row: Sequence[Any], runs: Iterable[Run]) -> None:
        """Take a row of readings, as a full track has it."""
        raw = self.series.digits is None
        values = row if raw else _summed(row)
        for position, _, start, stop in runs:
            part = values[start:stop]
            if None in part:
                part = [value for value in part if value is not None]
                if not part:
                    continue
            low, high = min(part), max(part)
            if not raw and (low < -EXACT or high > EXACT):
                part = [value for value in part if -EXACT <= value <= EXACT]
                if not part:
                    self.explain(position, _TOO_LARGE)
                    continue
                low, high = min(part), max(part)
            count = len(part)
            total = sum(value / count for value in part) if raw else sum(part) * _UNIT
            self._merge(position, count, total, low, high)

    def take_windows(self, rows: Sequence[Sequence[Any]], counts: Sequence[int | None], runs: Iterable[Run]) -> None:
        """Take windows: rows of their means, least and greatest, and their counts, as a thinned track has them."""
        raw = self.series.digits is None
        means, least, greatest = rows if raw else map(_summed, rows)
        for position, _, start, stop in runs:
            for at in range(start, stop):
                count = counts[at]
                if count is not None:
                    self._merge(position, count, means[at] if raw else means[at] * count, least[at], greatest[at])

    def explain(self, position: int, reason: str) -> None:
        """Note why a reading of a window is absent."""
        self._reasons[position] = reason

    def written(self, order: Sequence[int]) -> list[list[Any]]:
        """The cells, least, greatest and counts of a track whose windows are those at these positions."""
        self._pad(len(order))
        counts = [self._counts[position] for position in order]
        totals, least, greatest = (
            [row[position] for position, count in zip(order, counts, strict=True) if count]
            for row in (self._totals, self._least, self._greatest)
        )
        had = [count for count in counts if count]
        if self.series.digits is None:
            means = [min(max(mean, low), high) for mean, low, high in zip(totals, least, greatest, strict=True)]
            rows: list[list[Any]] = [means, least, greatest, had]
        else:
            means = [(2 * total + count) // (2 * count) for total, count in zip(totals, had, strict=True)]
            rows = [*map(_deltas, (means, least, greatest)), had]
        return rows if len(had) == len(counts) else [_spread(row, counts) for row in rows]

    def gaps(self, order: Sequence[int]) -> Iterable[tuple[int, str]]:
        """The windows without a value that have a reason, by their place in the order."""
        if self._reasons:
            for place, position in enumerate(order):
                if position in self._reasons and not self._counts[position]:
                    yield place, self._reasons[position]

    def _merge(self, position: int, count: int, total: float, low: float, high: float) -> None:
        """Add readings to a window: `total` is their sum in hundredths, or the mean of raw ones."""
        counts, raw = self._counts, self.series.digits is None
        if position >= len(counts):
            self._pad(position)
            self.bits += 3 * _RAW_BITS if raw else self._moved(int(low), int(high))
            counts.append(count)
            self._totals.append(total)
            self._least.append(low)
            self._greatest.append(high)
            return
        had = counts[position]
        counts[position] = whole = had + count
        if not had:
            self._totals[position], self._least[position], self._greatest[position] = total, low, high
            return
        known = self._totals[position]
        self._totals[position] = known * (had / whole) + total * (count / whole) if raw else known + total
        self._least[position] = min(self._least[position], low)
        self._greatest[position] = max(self._greatest[position], high)

    def _moved(self, low: int, high: int) -> int:
        """How many bits change from the last window to one that starts with these; means have further digits."""
        if not self._counts:
            return 0
        lower, higher = (low - self._least[-1]).bit_length(), (high - self._greatest[-1]).bit_length()
        if not lower and not higher and low == high:
            return 0
        return int(lower + higher + max(lower, higher) + _UNIT.bit_length())

    def _pad(self, windows: int) -> None:
        missing = windows - len(self._counts)
        if missing > 0:
            for row in (self._counts, self._totals, self._least, self._greatest):
                row.extend([0] * missing)


class _Last(NamedTuple):
    """The reading that came last: the number of its window, the ordinal of its instant, its scaled value."""

    number: int
    ordinal: int
    value: float


class CounterKept:
    """What is kept of one counter; `bits` as with gauges. What is kept for good is noted in `rows` too, by ordinal."""

    __slots__ = ("_absent", "_last", "_ordinals", "_rows", "_values", "bits", "series")

    def __init__(self, series: Series, rows: set[int]) -> None:
        self.series = series
        self._rows = rows
        self.bits = 0
        self._ordinals = array("q")
        self._values: array[Any] = array("d" if series.digits is None else "q")
        self._last: _Last | None = None
        self._absent: dict[int, tuple[int, str]] = {}

    def take(self, row: Sequence[Any], runs: Iterable[Run], base: int) -> None:
        """Take a row of readings, the first at the ordinal `base`."""
        raw = self.series.digits is None
        values = row if raw else _summed(row)
        if raw or None in row or min(row[1:], default=0) < 0 or not self._climbs(values[0], values[-1]):
            for _, number, start, stop in runs:
                self._take_each(values, number, range(start, stop), base)
            return
        last = self._last
        if last is None:
            self._keep(base, values[0])
        for _, number, _, stop in runs:
            if last is not None and last.number != number:
                self._keep(last.ordinal, last.value)
            last = _Last(number, base + stop - 1, values[stop - 1])
        self._last = last

    def explain(self, number: int, ordinal: int, reason: str) -> None:
        """Note why the last reading of a window is absent."""
        self._absent[number] = (ordinal, reason)

    def kept(self) -> dict[int, float]:
        """The readings that are kept, scaled, by their ordinals."""
        readings = dict(zip(self._ordinals, self._values, strict=True))
        if self._last is not None:
            readings[self._last.ordinal] = self._last.value
        return readings

    def absent(self, window_of: Sequence[int]) -> dict[int, str]:
        """Why the windows that have no reading have none, by ordinals; `window_of` has the windows of all ordinals."""
        if not self._absent:
            return {}
        there = {window_of[ordinal] for ordinal in self.kept()}
        return {ordinal: reason for number, (ordinal, reason) in self._absent.items() if number not in there}

    def cells(self, rows: Sequence[int]) -> list[Any]:
        """The cells of a track whose instants have these ordinals."""
        kept = self.kept()
        there = [kept[ordinal] for ordinal in rows if ordinal in kept]
        return _spread(there if self.series.digits is None else _deltas(there), [ordinal in kept for ordinal in rows])

    def _climbs(self, first: int, last: int) -> bool:
        """Whether a row that never falls goes on where the one before it ended, within what the format holds."""
        return first >= -EXACT and last <= EXACT and (self._last is None or self._last.value <= first)

    def _take_each(self, values: Sequence[Any], number: int, places: Iterable[int], base: int) -> None:
        exact = self.series.digits is not None
        for place in places:
            value, last = values[place], self._last
            if value is None:
                continue
            if exact and not -EXACT <= value <= EXACT:
                self.explain(number, base + place, _TOO_LARGE)
                continue
            falls = last is not None and value < last.value
            if last is not None and (falls or last.number != number):
                self._keep(last.ordinal, last.value)
            self._last = _Last(number, base + place, value)
            if last is None or falls:
                self._keep(base + place, value)

    def _keep(self, ordinal: int, value: float) -> None:
        if self._ordinals and self._ordinals[-1] == ordinal:
            return
        if self.series.digits is None:
            self.bits += _RAW_BITS
        elif self._values:
            self.bits += (int(value) - self._values[-1]).bit_length()
        self._rows.add(ordinal)
        self._ordinals.append(ordinal)
        self._values.append(value)


def _summed(row: Sequence[Any]) -> list[Any]:
    """The scaled values of a row of differences."""
    if None not in row:
        return list(accumulate(row))
    there = [cell is not None for cell in row]
    return _spread(list(accumulate(compress(row, there))), there)


def _deltas(values: Sequence[Any]) -> list[Any]:
    """A row of differences; the first from 0."""
    return [*values[:1], *map(sub, values[1:], values)]


def _spread(values: Iterable[Any], there: Iterable[object]) -> list[Any]:
    """Values in their places, None in the others."""
    rest = iter(values)
    return [next(rest) if here else None for here in there]
