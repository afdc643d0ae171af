"""Layers: of what tells the same readings, the finer is told: full frames, then short windows, then longer ones.

A stand-in's windows are held until all that is finer has been read, and each is then told with what is left of it: with
`count` less the readings that finer ones tell, and the mean of those, while its least and its greatest stay as bounds.
A window of which nothing is left is left out. So the counts of a gauge add up to what was sampled. A counter's reading
that was kept is a window of one instant: told once, by the finest that has it.

A reading is part of a window when it lies within it, on the same axis, in the same series of the same collector, and
its frame's number is one that the stand-in stands for; of a shorter window, when it lies within the longer one as a
whole and both stand for some of the same numbers. Of two as long, the one that is read first is told.

Does not handle: two stand-ins that share only some of their numbers, where a window has readings of those and of others
as well, for it is not known which are which: the later one tells too few then. A device does not make such, since it
thins whole stand-ins further. Nor windows that do not fit into one another, which are all told. Beyond `_MOST_LAYERS`
lengths of windows, or stand-ins with the same window, what comes is told as it is. The mean of what is left is as exact
as the window's: that has two decimals more than its readings, so sums of fewer than a hundred of them are exact.

Memory: what is held, and a list for each window that is open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf

from edge_agent.hub.thinning import Raw
from edge_agent.model.ranges import difference, holds
from edge_agent.model.reading import Series
from edge_agent.wire.thins import Thins
from edge_agent.wire.track import MEAN_DIGITS

_MOST_LAYERS = 8

Key = tuple[str, Series]
"""A collector and one of its series."""

Place = tuple[int, Key]
"""The row of an axis, and a series on it."""


@dataclass(slots=True, eq=False)
class Source:
    """A stand-in, as what its windows are part of; `serial` is its own."""

    thins: Thins
    serial: int
    _shares: dict[int, bool] = field(default_factory=dict)

    def shares(self, other: "Source") -> bool:
        """Whether both stand for some of the same numbers."""
        known = self._shares.get(other.serial)
        if known is None:
            mine, theirs = self.thins, other.thins
            known = mine.epoch == theirs.epoch and difference(mine.ranges, theirs.ranges) != mine.ranges
            self._shares[other.serial] = known
        return known


@dataclass(slots=True, eq=False)
class _Window:
    """A window that is held; `count` and `sum` are of its readings that finer ones tell."""

    place: Place
    source: Source
    start: int
    length: int
    raw: Raw
    asked: bool
    count: int = 0
    sum: float = 0.0

    def rest(self, left: int) -> Raw:
        """What is told of it when so many readings are left."""
        raw, digits = self.raw, self.place[1][1].digits
        if not self.count:
            return raw
        whole = raw.value * raw.readings
        mean = ((whole if digits is None else round(whole, digits)) - self.sum) / left
        mean = mean if digits is None else round(mean, digits + MEAN_DIGITS)
        # In this order what is no number, where sums of raw floats overflow, becomes a bound.
        return raw._replace(value=min(max(raw.least, mean), raw.greatest), readings=left)


class Layers:
    """The windows of a question that are held. Times are axis ms."""

    def __init__(self) -> None:
        self.longest = 0
        """The longest window that was ever held."""
        self._windows: dict[Place, dict[int, dict[int, list[_Window]]]] = {}
        self._queues: dict[int, list[tuple[int, int, int, _Window]]] = {}
        self._serials = count()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def earliest(self) -> float:
        """The least Unix ms of a point that was asked for and is still held; without any it is infinite."""
        held = (entry[-1] for queue in self._queues.values() for entry in queue)
        return min((window.raw.stamp.ts for window in held if window.asked), default=inf)

    def source(self, thins: Thins) -> Source:
        """A stand-in whose windows are to be held."""
        return Source(thins, next(self._serials))

    def hold(self, place: Place, source: Source, span: tuple[int, int], raw: Raw, *, asked: bool) -> bool:
        """Hold a window, by its start and length, until it is settled; False when there are too many layers.

        One that was not `asked` for only tells what is finer than others.
        """
        start, length = span
        lengths = self._windows.setdefault(place, {})
        if length not in lengths and len(lengths) >= _MOST_LAYERS:
            return False
        same = lengths.setdefault(length, {}).setdefault(start, [])
        if len(same) >= _MOST_LAYERS:
            return False
        window = _Window(place, source, start, length, raw, asked)
        same.append(window)
        self.longest = max(self.longest, length)
        heappush(self._queues.setdefault(place[0], []), (start + length, length, next(self._serials), window))
        return True

    def tell(
        self, place: Place, frame: tuple[int, int], instants: Sequence[int], values: Sequence[float | None]
    ) -> None:
        """Take note of readings of a full frame, of this epoch and number, that are told."""
        lengths = self._windows.get(place)
        if lengths is None:
            return
        epoch, number = frame
        known: dict[Source, bool] = {}
        for at, value in zip(instants, values, strict=True):
            if value is None:
                continue
            for length, windows in lengths.items():
                for window in windows.get(at - at % length, ()):
                    source = window.source
                    if source not in known:
                        known[source] = source.thins.epoch == epoch and holds(source.thins.ranges, number)
                    if known[source]:
                        window.count += 1
                        window.sum += value

    def settle(self, axis: int, ahead: float) -> Iterator[tuple[Key, Raw]]:
        """What is told of the windows that end by `ahead`, where all that is still to be read starts, and lets go."""
        queue = self._queues.get(axis)
        # What ends first can only be part of what ends later, or of what is longer.
        while queue and queue[0][0] <= ahead:
            window = heappop(queue)[-1]
            self._drop(window)
            left = window.raw.readings - window.count
            if left > 0:
                raw = window.rest(left)
                self._tell_window(window, raw)
                if window.asked:
                    yield window.place[1], raw

    def _tell_window(self, told: _Window, raw: Raw) -> None:
        for length, windows in self._windows.get(told.place, {}).items():
            start = told.start - told.start % length
            if told.start + told.length > start + length:
                continue
            for window in windows.get(start, ()):
                if window.source is not told.source and window.source.shares(told.source):
                    window.count += raw.readings
                    window.sum += raw.value * raw.readings

    def _drop(self, window: _Window) -> None:
        lengths = self._windows[window.place]
        windows = lengths[window.length]
        same = windows[window.start]
        same.remove(window)
        if not same:
            del windows[window.start]
        if not windows:
            del lengths[window.length]
        if not lengths:
            del self._windows[window.place]
