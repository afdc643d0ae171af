"""Columns: a track of a batch as its ticks come (`wire.track` says what it becomes).

Values are scaled and delta-coded as they come, so that nothing is left to do at the seal but to write them. Sources
offer their readings in the same order each time; a reading whose place in the tick says the same as before finds its
column without its attributes being sorted or hashed.

What the format cannot hold is left out and counted as unfit: a series that does not fit, one that would be too many, a
series twice in one tick.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from edge_agent.model.reading import Reading, Series, series_of
from edge_agent.wire.track import EXACT, MOST_TICKS, fault_of, fits, is_name, is_unicode, written

_RAW_BITS, _GAP_BITS = 56, 40
"""What a raw float and a gap are counted as, in bits that change."""
_CELL_BYTES, _BIT_BYTES, _SERIES_BYTES = 0.17, 0.14, 10
"""What cells, changed bits and series take once packed; measured on batches that move."""


class Column:
    """The cells of one series, delta-coded; `filled` counts those with a value, `bits` how much they change."""

    __slots__ = ("_last", "_scale", "bits", "cells", "filled", "gaps", "series")

    def __init__(self, series: Series) -> None:
        self.series = series
        self.cells: list[float | None] = []
        self.gaps: list[tuple[int, int, str]] = []
        self.filled = 0
        self.bits = 0
        self._scale = None if series.digits is None else 10**series.digits
        self._last = 0

    def take(self, position: int, value: float | None, reason: str | None) -> bool:
        """Put a value, or its absence, at a position; False when something stands there already."""
        cells = self.cells
        if len(cells) != position:
            if len(cells) > position:
                return False
            cells.extend([None] * (position - len(cells)))
        if value is None:
            self._leave_out(reason)
        elif self._scale is None:
            self._take_raw(value)
        else:
            self._take_scaled(value, self._scale)
        return True

    def row(self, ticks: int) -> list[float | None]:
        """The cells, with nulls up to so many instants."""
        return self.cells + [None] * (ticks - len(self.cells))

    def _take_scaled(self, value: float, scale: int) -> None:
        try:
            whole = round(value * scale)
        except (ValueError, OverflowError):  # what round() says of a NaN, and of an infinity
            self._leave_out(fault_of(value))
            return
        if not -EXACT <= whole <= EXACT:
            self._leave_out("too_large")
            return
        delta = whole - self._last
        self._last = whole
        self.cells.append(delta)
        self.bits += delta.bit_length()
        self.filled += 1

    def _take_raw(self, value: float) -> None:
        try:
            raw = float(value)
        except OverflowError:  # an int beyond all floats
            self._leave_out("too_large")
            return
        if not math.isfinite(raw):
            self._leave_out(fault_of(raw))
            return
        self.cells.append(raw)
        self.bits += _RAW_BITS
        self.filled += 1

    def _leave_out(self, reason: str | None) -> None:
        position = len(self.cells)
        self.cells.append(None)
        if reason is None:
            return
        if self.gaps and self.gaps[-1][1] == position and self.gaps[-1][2] == reason:
            position = self.gaps.pop()[0]
        else:
            self.bits += _GAP_BITS + len(reason)
        self.gaps.append((position, len(self.cells), reason))


class _Place(NamedTuple):
    """What stood at one place of the last tick; `column` is None when it was unfit.

    The attributes are copied: a source may keep its own and change them.
    """

    name: str
    rest: tuple[str, dict[str, str], str, int | None, str]
    column: Column | None


class TrackBuilder:
    """One collector's columns."""

    def __init__(self, collector: str) -> None:
        self.collector = collector
        self.instants: list[int] = []
        self.columns: list[Column] = []
        self._by_series: dict[Series, Column] = {}
        self._places: list[_Place] = []

    def add(self, at: int, readings: Sequence[Reading], room: int) -> int:
        """Add an instant and its readings, with at most `room` new series; how many readings were unfit."""
        position, unfit, places, most = len(self.instants), 0, self._places, len(self.columns) + room
        self.instants.append(at)
        for index, reading in enumerate(readings):
            if index == len(places):
                places.append(self._placed(reading, most))
            name, rest, column = places[index]
            if reading[0] != name or reading[2:7] != rest:
                places[index] = self._placed(reading, most)
                column = places[index].column
            if column is None or not column.take(position, reading[1], reading[7]):
                unfit += 1
        return unfit

    @property
    def cells(self) -> int:
        """Series times instants."""
        return len(self.instants) * len(self.columns)

    def follows(self, at: int) -> bool:
        """Whether an instant can be the next one."""
        if not self.instants:
            return is_name(self.collector) and is_unicode(self.collector) and -EXACT <= at <= EXACT
        return self.instants[-1] <= at <= EXACT and len(self.instants) < MOST_TICKS

    @property
    def size(self) -> float:
        """About how many bytes the track takes, packed. Every cell counts, so that no track grows without end."""
        bits = sum(column.bits for column in self.columns)
        return self.cells * _CELL_BYTES + bits * _BIT_BYTES + len(self.columns) * _SERIES_BYTES + len(self.instants)

    def track(self) -> dict[str, Any]:
        """The track as it is written; there is at least one instant."""
        instants, ticks = self.instants, len(self.instants)
        order, families = grouped([column.series for column in self.columns])
        columns = [self.columns[number] for number in order]
        return {
            "collector": self.collector,
            "t0": instants[0],
            "dt": [0, *(after - before for before, after in pairwise(instants))],
            "families": families,
            "cells": [cell for column in columns for cell in column.row(ticks)],
            "gaps": [
                [index, start, stop, written(reason)]
                for index, column in enumerate(columns)
                for start, stop, reason in column.gaps
            ],
        }

    def _placed(self, reading: Reading, most: int) -> _Place:
        series = series_of(reading)
        column = self._by_series.get(series)
        if column is None and len(self.columns) < most and fits(series):
            column = self._by_series[series] = Column(series)
            self.columns.append(column)
        rest = (reading.unit, dict(reading.attributes), reading.kind, reading.digits, reading.source)
        return _Place(reading.name, rest, column)


def grouped(series: Sequence[Series]) -> tuple[list[int], list[list[object]]]:
    """Series as families, as they are written, and the order in which their cells then stand."""
    families: dict[tuple[object, ...], list[int]] = {}
    for number, one in enumerate(series):
        shared = (*one._replace(attributes=()), *(name for name, _ in one.attributes))
        families.setdefault(shared, []).append(number)
    written = [_written([series[number] for number in family]) for family in families.values()]
    return [number for family in families.values() for number in family], written


def _written(family: Sequence[Series]) -> list[object]:
    """A family as it is written."""
    first = family[0]
    names = [name for name, _ in first.attributes]
    values = zip(*([value for _, value in one.attributes] for one in family), strict=True)
    attributes = dict(zip(names, map(list, values), strict=True))
    return [first.name, first.unit, first.kind, first.digits, first.source, attributes]
