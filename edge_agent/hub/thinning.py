"""Thinning: many points of one series become at most so many, without hiding a peak.

Points are kept as they are until there are more than `width`; from then on the range is cut into `width` equal slices,
and each keeps the sum, the least, the greatest, the count and the last of its readings. A gauge is told by its mean at
the middle of its slice's readings, a counter by its last value when that was read. The error beside a thinned point is
the worst of its slice, unknown if any is. Points that were thinned before they came, on the device, weigh as many
readings as they count.
"""

from typing import NamedTuple

from edge_agent.hub.timeline import Flag, Stamp
from edge_agent.model.reading import Kind

COLUMNS = ("ts", "ts_err", "flag", "value", "min", "max", "count")


Point = tuple[int, int | None, Flag, float, float, float, int]
"""One row of an answer, as `COLUMNS` names it; times in Unix ms."""


class Raw(NamedTuple):
    """One point as it is stored: a reading, or a mean, a least and a greatest of `readings` at their middle."""

    stamp: Stamp
    value: float
    least: float
    greatest: float
    readings: int


class _Slice:
    """The readings of one slice, as far as they are kept."""

    __slots__ = ("count", "error", "first", "flag", "greatest", "last", "least", "sum", "value")

    def __init__(self, raw: Raw) -> None:
        self.first = self.last = raw.stamp.ts
        self.error, self.flag = raw.stamp.error, raw.stamp.flag
        self.value, self.sum = raw.value, raw.value * raw.readings
        self.least, self.greatest, self.count = raw.least, raw.greatest, raw.readings

    def add(self, raw: Raw) -> None:
        """Take one more point, in any order."""
        stamp, value, least, greatest, count = raw
        if stamp.ts >= self.last:
            self.last, self.value = stamp.ts, value
        self.first = min(self.first, stamp.ts)
        self.error = None if self.error is None or stamp.error is None else max(self.error, stamp.error)
        self.flag = self.flag if self.flag == "approximate" else stamp.flag
        self.sum += value * count
        self.least, self.greatest = min(self.least, least), max(self.greatest, greatest)
        self.count += count

    def point(self, kind: Kind) -> Point:
        """What is told of the slice."""
        counter = kind == "counter"
        ts = self.last if counter else (self.first + self.last) // 2
        value = self.value if counter else self.sum / self.count
        return (ts, self.error, self.flag, value, self.least, self.greatest, self.count)


class Thinned:
    """The points of one series within `start <= ts < stop` (Unix ms), at most `width` of them."""

    def __init__(self, start: int, stop: int, width: int, kind: Kind) -> None:
        self._start, self._length, self._width, self._kind = start, stop - start, width, kind
        self._raw: list[Raw] = []
        self._slices: dict[int, _Slice] = {}

    def __len__(self) -> int:
        return len(self._raw) + len(self._slices)

    def add(self, raw: Raw) -> None:
        """Take one point of the range."""
        if self._slices:
            self._slice(raw)
            return
        self._raw.append(raw)
        if len(self._raw) > self._width:
            for earlier in self._raw:
                self._slice(earlier)
            self._raw.clear()

    def points(self) -> list[Point]:
        """The points, oldest first."""
        if self._slices:
            return [self._slices[index].point(self._kind) for index in sorted(self._slices)]
        return [
            (*stamp, value, least, greatest, readings)
            for stamp, value, least, greatest, readings in sorted(self._raw, key=lambda raw: raw.stamp.ts)
        ]

    def _slice(self, raw: Raw) -> None:
        index = (raw.stamp.ts - self._start) * self._width // self._length
        known = self._slices.get(index)
        if known is None:
            self._slices[index] = _Slice(raw)
        else:
            known.add(raw)
