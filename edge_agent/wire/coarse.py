"""Thinning: many batches become one of coarser windows, which stands for their numbers for ever.

What is kept: of gauges the mean, the least, the greatest and the count of each window; of counters real readings at
their real instants, the last of each window, both sides of each fall, and the first of all, which closes the seam to
what was thinned before (`wire.windows`). What is lost is resolution. Batches that are thinned already are taken as
well, and windows of 60 s made of windows of 10 s are those made of the readings, but for the rounding of means.

A stand-in is one axis and one resource, and about 256 KiB at most, so a coarsener may make several, each for numbers of
its own. Its identity is `(stand_in_epoch(epoch, window), first number)`: the same whoever makes it, and never another
frame's. The same batches give the same bytes.

    axis, resource   as they were; where they change a new stand-in starts
    anchor           the narrowest that the batches had, of those the latest
    stat             counts add up, lists of [name, count, cause] by name and cause; of anything else the last is kept
    gaps             where a window has no value, the last reason; a null without a gap says nothing

Memory: what is open is about 60 bytes a window and series, thus some MiB; finished stand-ins are kept packed. A batch
that does not hold raises `Malformed` as `wire.batch` says it, and leaves what was added before as it was. Does not
handle: whether a stand-in is smaller than what it replaces. It is not where ticks are as rare as windows.
"""

import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain, groupby, pairwise
from typing import Any, NamedTuple

from edge_agent.model.anchor import Anchor
from edge_agent.model.failure import Malformed
from edge_agent.model.ranges import Ranges, union
from edge_agent.model.reading import Series
from edge_agent.wire.batch import Head, Survey, packed, read_document, surveyed
from edge_agent.wire.column import grouped
from edge_agent.wire.thins import MOST_RANGES, MOST_WINDOW, Thins
from edge_agent.wire.track import EXACT, MOST_CELLS, MOST_SERIES, Outline, refuse
from edge_agent.wire.windows import CounterKept, GaugeWindows, Run

MOST_BYTES = 256 * 2**10
"""About how large a stand-in may be, packed."""

_CELL_BYTES, _BIT_BYTES, _SERIES_BYTES = 0.3, 0.14, 10
"""What the four cells of a window, changed bits and series take once packed; measured on batches that move."""
_BODY_SHARE = 8
"""A body adds less than this part of itself to a stand-in, packed."""
_MOST_STAT = 1000
"""Members of a merged `stat`, and of each list in it."""


class StandIn(NamedTuple):
    """A thinned batch: the numbers that it stands for, and its payload."""

    ranges: Ranges
    payload: bytes


def stand_in_epoch(epoch: int, window: int) -> int:
    """The epoch in which the stand-ins of an epoch are numbered, for windows of so many ms; 63 bits."""
    named = b"thinned" + epoch.to_bytes(8, "big") + window.to_bytes(8, "big")
    return int.from_bytes(hashlib.sha256(named).digest()[:8], "big") >> 1


class Coarsener:
    """Thins the batches of one epoch into windows of so many ms. Batches come in the order of their numbers."""

    def __init__(self, epoch: int, window: int) -> None:
        if not 0 < window <= MOST_WINDOW:
            raise ValueError(f"a window is 1 to {MOST_WINDOW} ms")
        self._epoch, self._window = epoch, window
        self._done: list[StandIn] = []
        self._part: _Part | None = None

    def add(self, numbers: Iterable[tuple[int, int]], body: bytes) -> None:
        """Add an unpacked batch, full or thinned, that stands for these numbers; Malformed when it does not hold."""
        document = read_document(body)
        found = surveyed(document)
        self._check(found)
        ranges = union(numbers)
        part = self._part
        if part is None or not part.follows(found) or not part.has_room(found, ranges, len(body)):
            self._close()
            part = self._part = _Part(found, self._window)
        part.add(ranges, found, document["tracks"])

    def pack(self) -> list[StandIn]:
        """All stand-ins, in order."""
        self._close()
        return list(self._done)

    def _close(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            self._done.append(StandIn(part.ranges, part.pack(self._epoch)))

    def _check(self, found: Survey) -> None:
        if found.first is not None and found.first - self._window < -EXACT:
            refuse("tracks", "must not start so early that a window would start before all times")
        if found.thins is None:
            return
        if found.thins.epoch != self._epoch:
            raise Malformed("bad_batch", "the batch stands for numbers of another epoch", field="thins.epoch")
        if self._window % found.thins.window:
            raise Malformed("bad_batch", "its windows do not fit into these", field="thins.window")


class _Part:
    """A stand-in as it grows."""

    def __init__(self, head: Head, window: int) -> None:
        self.ranges: Ranges = ()
        self._head, self._window = head, window
        self._anchor: Anchor | None = None
        self._stat: dict[str, Any] = {}
        self._collectors: dict[str, _Collector] = {}
        self._size = 0.0

    def follows(self, found: Survey) -> bool:
        """Whether a batch has the axis and the resource of the others."""
        return (found.axis, found.resource) == (self._head.axis, self._head.resource)

    def has_room(self, found: Survey, ranges: Ranges, size: int) -> bool:
        """Whether a batch of so many bytes can be added without passing what a thinned batch may hold."""
        if self._size + size / _BODY_SHARE > MOST_BYTES or len(self.ranges) + len(ranges) > MOST_RANGES:
            return False
        grown = {name: (collector.series, collector.rows) for name, collector in self._collectors.items()}
        for one in found.tracks:
            collector = self._collectors.get(one.collector)
            series, rows = grown.get(one.collector, (0, 0))
            new = len(one.series) if collector is None else collector.strange(one.series)
            grown[one.collector] = (series + new, rows + one.ticks)
        together = sum(series for series, _ in grown.values())
        return together <= MOST_SERIES and sum(series * rows for series, rows in grown.values()) <= MOST_CELLS

    def add(self, ranges: Ranges, found: Survey, tracks: Sequence[Mapping[str, Any]]) -> None:
        """Add a batch that follows and has room."""
        self.ranges = union(self.ranges, ranges)
        self._anchor = _better(self._anchor, found.anchor)
        _merge_stat(self._stat, found.stat)
        for known, track in zip(found.tracks, tracks, strict=True):
            collector = self._collectors.get(known.collector)
            if collector is None:
                collector = self._collectors[known.collector] = _Collector(known.collector, self._window)
            collector.take(known, track)
        self._size = sum(collector.size for collector in self._collectors.values())

    def pack(self, epoch: int) -> bytes:
        """The payload."""
        head = Head(self._head.axis, self._anchor, self._head.resource)
        tracks = [track for collector in self._collectors.values() for track in collector.tracks()]
        thins = Thins(epoch, self.ranges, self._window).written()
        return packed(head, {"tracks": tracks, "stat": self._stat, "thins": thins})


class _Collector:
    """One collector's part of a stand-in."""

    def __init__(self, name: str, window: int) -> None:
        self._name, self._window = name, window
        self._positions: dict[int, int] = {}
        self._instants = array("q")
        self._kept: set[int] = set()
        self._gauges: dict[Series, GaugeWindows] = {}
        self._counters: dict[Series, CounterKept] = {}
        self._list: tuple[Series, ...] = ()
        self._members: list[GaugeWindows | CounterKept] = []
        self._reasons: dict[str, str] = {}

    @property
    def series(self) -> int:
        """How many series it has."""
        return len(self._gauges) + len(self._counters)

    @property
    def rows(self) -> int:
        """No fewer than the instants that its tracks have by now, of windows and of counters together."""
        return len(self._positions) + len(self._kept) + len(self._counters)

    @property
    def size(self) -> float:
        """About how many bytes its tracks will take, packed."""
        bits = sum(one.bits for one in self._gauges.values()) + sum(one.bits for one in self._counters.values())
        windows = len(self._gauges) * len(self._positions)
        return windows * _CELL_BYTES + bits * _BIT_BYTES + self.series * _SERIES_BYTES

    def strange(self, series: tuple[Series, ...]) -> int:
        """How many of these series it does not have yet."""
        if series == self._list:
            return 0
        return sum(one not in self._gauges and one not in self._counters for one in series)

    def take(self, known: Outline, track: Mapping[str, Any]) -> None:
        """Take a track that was checked."""
        members = self._known(known.series)
        base, instants = len(self._instants), list(accumulate(track["dt"], initial=known.first))[1:]
        counters = not known.windowed and any(one.kind == "counter" for one in known.series)
        if counters:
            self._instants.extend(instants)
        runs = self._runs(instants, placed=known.windowed or any(one.kind == "gauge" for one in known.series))
        cells, ticks = track["cells"], known.ticks
        for number, member in enumerate(members):
            own = slice(number * ticks, (number + 1) * ticks)
            if isinstance(member, CounterKept):
                member.take(cells[own], runs, base)
            elif known.windowed:
                rows = [track[name][own] for name in ("cells", "least", "greatest")]
                member.take_windows(rows, track["counts"][own], runs)
            else:
                member.take(cells[own], runs)
        for number, start, stop, reason in track.get("gaps") or ():
            self._explain(members[number], runs, start, stop, self._reasons.setdefault(reason, reason), base)

    def tracks(self) -> list[dict[str, Any]]:
        """Its tracks as they are written: that of its windows, and that of its counters."""
        return [*self._windowed(), *self._plain()]

    def _known(self, series: tuple[Series, ...]) -> list[GaugeWindows | CounterKept]:
        """What takes the rows of a list of series, which is mostly the one of the batch before."""
        if series != self._list or not series:
            self._list = series
            self._members = [
                self._gauges.get(one) or self._gauges.setdefault(one, GaugeWindows(one))
                if one.kind == "gauge"
                else self._counters.get(one) or self._counters.setdefault(one, CounterKept(one, self._kept))
                for one in series
            ]
        return self._members

    def _runs(self, instants: Sequence[int], *, placed: bool) -> list[Run]:
        runs: list[Run] = []
        start = 0
        for number, same in groupby(at // self._window for at in instants):
            stop = start + sum(1 for _ in same)
            position = self._positions.setdefault(number, len(self._positions)) if placed else 0
            runs.append(Run(position, number, start, stop))
            start = stop
        return runs

    def _explain(
        self, member: GaugeWindows | CounterKept, runs: Iterable[Run], start: int, stop: int, reason: str, base: int
    ) -> None:
        for run in runs:
            if run.start >= stop or run.stop <= start:
                continue
            if isinstance(member, GaugeWindows):
                member.explain(run.position, reason)
            else:
                member.explain(run.number, base + min(stop, run.stop) - 1, reason)

    def _windowed(self) -> Iterable[dict[str, Any]]:
        if not self._gauges:
            return
        numbers = list(self._positions)
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        placed, families = grouped(list(self._gauges))
        members = list(self._gauges.values())
        gauges = [members[number] for number in placed]
        cells, least, greatest, counts = (
            list(chain.from_iterable(rows)) for rows in zip(*(gauge.written(order) for gauge in gauges), strict=True)
        )
        gaps = [(index, place, reason) for index, gauge in enumerate(gauges) for place, reason in gauge.gaps(order)]
        yield {
            **self._written([numbers[position] * self._window for position in order], families, gaps),
            "cells": cells,
            "least": least,
            "greatest": greatest,
            "counts": counts,
        }

    def _plain(self) -> Iterable[dict[str, Any]]:
        window_of = [at // self._window for at in self._instants]
        placed, families = grouped(list(self._counters))
        members = list(self._counters.values())
        counters = [members[number] for number in placed]
        absent = [counter.absent(window_of) for counter in counters]
        ordinals = {ordinal for counter in counters for ordinal in counter.kept()}.union(*absent)
        rows = sorted(ordinals, key=lambda ordinal: (self._instants[ordinal], ordinal))
        if not rows:
            return
        places = {ordinal: place for place, ordinal in enumerate(rows)}
        gaps = [
            (index, place, reason)
            for index, reasons in enumerate(absent)
            for place, reason in sorted((places[ordinal], reason) for ordinal, reason in reasons.items())
        ]
        yield {
            **self._written([self._instants[ordinal] for ordinal in rows], families, gaps),
            "cells": [cell for counter in counters for cell in counter.cells(rows)],
        }

    def _written(
        self, instants: Sequence[int], families: list[list[object]], gaps: Iterable[tuple[int, int, str]]
    ) -> dict[str, Any]:
        joined: list[list[Any]] = []
        for number, place, reason in gaps:
            if joined and joined[-1][0] == number and joined[-1][2:] == [place, reason]:
                joined[-1][2] = place + 1
            else:
                joined.append([number, place, place + 1, reason])
        return {
            "collector": self._name,
            "t0": instants[0],
            "dt": [0, *(after - before for before, after in pairwise(instants))],
            "families": families,
            "gaps": joined,
        }


def _better(one: Anchor | None, other: Anchor | None) -> Anchor | None:
    """The narrower of two anchors; of two as narrow the later."""
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda anchor: (anchor.hi - anchor.lo, -anchor.at))


def _merge_stat(merged: dict[str, Any], stat: Mapping[str, Any]) -> None:
    for name, value in stat.items():
        before = merged.get(name)
        if before is None and len(merged) >= _MOST_STAT:
            continue
        if _is_count(value) and _is_count(before):
            merged[name] = min(before + value, EXACT)
        elif type(value) is list and type(before) is list and all(map(_is_counted, [*value, *before])):
            merged[name] = _added(before, value)
        else:
            merged[name] = value


def _added(one: Iterable[list[Any]], other: Iterable[list[Any]]) -> list[list[Any]]:
    """Lists of [name, count, cause], added up by name and cause."""
    counts: dict[tuple[str, str], int] = {}
    for name, count, cause in (*one, *other):
        counts[name, cause] = min(counts.get((name, cause), 0) + count, EXACT)
    return [[name, count, cause] for (name, cause), count in sorted(counts.items())[:_MOST_STAT]]


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= EXACT


def _is_counted(entry: object) -> bool:
    return type(entry) is list and [type(part) for part in entry] == [str, int, str] and _is_count(entry[1])
