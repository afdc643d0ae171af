"""Tracks: one collector's part of a sealed batch (`wire.batch` has the document around it), checked and read.

    {"collector": str, "t0": <axis ms>, "dt": [0, 1000, ...],
     "families": [[name, unit, kind, digits, source, {attribute: [value, ...], ...}], ...],
     "cells": [first, delta, ..., null, ...],                    those of series 0, an instant each, then of series 1
     "gaps": [[series, from, to, reason], ...]}                  positions in a series' cells, `to` exclusive

A family is the series that differ by the values of their attributes only: the i-th values of all its attributes make
its i-th series, and without attributes (`{}`) it is one series. Series are numbered through, family after family;
cells and gaps go by that number. Against one full description and one list of cells a series this takes a sixth off a
packed batch of ten instants.

`dt` are the differences between successive instants, the first 0, none negative. With `digits` a cell is an integer,
the value scaled by 10**digits, as the difference from the last cell that is not null (the first from 0); where
`digits` is null cells are raw floats. A null without a gap says that the series was not offered at that instant; a gap
says why nothing was read, or `nan`, `infinite` or `too_large` (beyond 2**53 once scaled).

A thinned batch (`wire.thins`) holds up to two tracks of a collector. Its counters are a track as above, of the readings
that were kept. Its gauges are windowed: instants are the starts of windows, cells are means, scaled by
10**(digits + 2), and three lists more stand beside the cells:

     "least": [...], "greatest": [...],                          coded like cells, scaled by 10**digits
     "counts": [3, 10, null, ...]                                how many readings each window had; not deltas

A null stands in all four or in none, least <= mean <= greatest, counts are 1 to 2**32, and windows rise.

What a check lets pass has this shape to its last cell and stays within the limits named here; what does not raises
`Malformed("bad_batch")` with the path of the part. Series of one track are distinct. Whether a gap lies over nulls is
not checked, nor whether two tracks of a batch hold the same series.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from types import NoneType
from typing import Any, NamedTuple, NoReturn, TypeGuard

from edge_agent.model.failure import Malformed
from edge_agent.model.reading import Kind, Series

MOST_SERIES = 10_000
MOST_TICKS = 100_000
MOST_CELLS = 2_000_000
"""Cells: series times instants."""
MOST_DIGITS = 15
MOST_ATTRIBUTES = 32
MOST_NAME = 256
MOST_TEXT = 1024
EXACT = 2**53
"""How far from 0 a scaled value, or an axis time in ms, may lie."""

MOST_COUNT = 2**32
"""Readings of one window: more than any clock of ms gives, and sums of them fit where they are stored."""

_SUM = 2**63
_WHOLE = frozenset({int, NoneType})
_RAW = frozenset({int, float, NoneType})
MEAN_DIGITS = 2
"""Decimals that a mean has beyond those of its readings."""

_SPREAD = ("least", "greatest", "counts")
_KINDS: Mapping[str, Kind] = {"gauge": "gauge", "counter": "counter"}
_FAMILY_PARTS = 6
_GAP_PARTS = 4


class Gap(NamedTuple):
    """Why a series has no value at the positions from `start` up to, not including, `stop`."""

    series: int
    start: int
    stop: int
    reason: str


@dataclass(frozen=True, slots=True)
class Outline:
    """What a track holds, without its values: `first` and `last` are axis ms, `readings` counts values.

    `fingerprint` tells one list of series from another, within the life of a process. Of a `windowed` track `first` and
    `last` are the starts of windows, and `readings` counts what its windows were made of.
    """

    collector: str
    first: int
    last: int
    ticks: int
    readings: int
    series: tuple[Series, ...]
    fingerprint: int
    windowed: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """A track with real values: `columns[i][k]` is series i at axis time `instants[k]`, None where it has none.

    Of a windowed track they are the means of windows that start at `instants`; `least`, `greatest` and `counts` then
    are columns of the same shape, and None in every other track.
    """

    collector: str
    instants: list[int]
    series: list[Series]
    columns: list[list[float | None]]
    gaps: list[Gap]
    least: list[list[float | None]] | None = None
    greatest: list[list[float | None]] | None = None
    counts: list[list[int | None]] | None = None


def refuse(field: str, what: str) -> NoReturn:
    """Refuse a batch for one of its parts."""
    raise Malformed("bad_batch", f"{field} {what}", field=field)


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a string of a bounded length."""
    return isinstance(value, str) and len(value) <= MOST_TEXT


def is_name(value: object) -> TypeGuard[str]:
    """Whether a value is a name: a string with something in it, and not too much."""
    return isinstance(value, str) and 0 < len(value) <= MOST_NAME


def is_time(value: object) -> TypeGuard[int]:
    """Whether a value is an axis time in ms."""
    return type(value) is int and -EXACT <= value <= EXACT


def is_unicode(text: str) -> bool:
    """Whether a text can be written: it holds no half of a surrogate pair, as undecodable file names do."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def written(text: str) -> str:
    """A free text as it can be written: cut to its bound, halves of surrogate pairs replaced."""
    return text[:MOST_TEXT].encode(errors="replace").decode()


def fault_of(value: float) -> str:
    """Why a value that is no finite number within the format has none."""
    if math.isnan(value):
        return "nan"
    return "infinite" if math.isinf(value) else "too_large"


def outline(track: Any, field: str, window: int | None = None) -> Outline:
    """Check a track, whose path is `field`, to its last cell, and say what it holds.

    `window`, in ms, is that of the thinned batch that the track is of; None in a full one.
    """
    if type(track) is not dict:
        refuse(field, "must be an object")
    collector: Any = track.get("collector")
    first: Any = track.get("t0")
    steps: Any = track.get("dt")
    last = check_instants(collector, first, steps, field)
    series = check_families(track.get("families"), f"{field}.families")
    readings = _check_cells(track.get("cells"), series, len(steps), f"{field}.cells")
    check_gaps(track.get("gaps"), len(series), len(steps), f"{field}.gaps")
    windowed = window is not None and any(name in track for name in _SPREAD)
    if window is not None:
        _check_kinds(series, field, windowed=windowed)
    if window is not None and windowed:
        if first % window or any(step % window for step in steps) or 0 in steps[1:]:
            refuse(f"{field}.dt", "must be the starts of windows, each once")
        readings = _check_spread(track, series, len(steps), field)
    return Outline(collector, first, last, len(steps), readings, series, hash(series), windowed)


def realise(track: Mapping[str, Any], known: Outline) -> Track:
    """The real values of a track that `outline` has checked."""
    instants = list(accumulate(track["dt"], initial=known.first))[1:]
    cells, series, digits = track["cells"], list(known.series), [one.digits for one in known.series]
    gaps = [Gap(*gap) for gap in track.get("gaps") or ()]
    if not known.windowed:
        return Track(known.collector, instants, series, _columns(cells, digits, known.ticks), gaps)
    means = _columns(cells, [None if one is None else one + MEAN_DIGITS for one in digits], known.ticks)
    least, greatest = (_columns(track[name], digits, known.ticks) for name in ("least", "greatest"))
    counts = [track["counts"][start : start + known.ticks] for start in range(0, len(cells), known.ticks)]
    return Track(known.collector, instants, series, means, gaps, least, greatest, counts)


def fits(series: Series) -> bool:
    """Whether the format can hold a series that a source offers."""
    texts = (series.name, series.unit, series.source, *(text for pair in series.attributes for text in pair))
    return (
        all(is_text(text) and is_unicode(text) for text in texts)
        and is_name(series.name)
        and len(series.attributes) <= MOST_ATTRIBUTES
        and series.kind in _KINDS
        and (series.digits is None or 0 <= series.digits <= MOST_DIGITS)
    )


def check_instants(collector: Any, first: Any, steps: Any, field: str) -> int:
    """Check whose track it is and when its instants are; the axis ms of the last one."""
    if not is_name(collector):
        refuse(f"{field}.collector", f"must be a name of up to {MOST_NAME} characters")
    if type(steps) is not list or not 0 < len(steps) <= MOST_TICKS:
        refuse(f"{field}.dt", f"must be a list of 1 to {MOST_TICKS} instants")
    if set(map(type, steps)) != {int} or steps[0] != 0 or min(steps) < 0:
        refuse(f"{field}.dt", "must be 0 and then integers that are not negative")
    if not is_time(first) or not is_time(first + sum(steps)):
        refuse(f"{field}.t0", "must be axis milliseconds, as must be all that follow from it")
    return first + sum(steps)


def check_families(families: Any, field: str) -> tuple[Series, ...]:
    """The series of a track, checked, in the order of their numbers."""
    if type(families) is not list or len(families) > MOST_SERIES:
        refuse(field, f"must be a list of up to {MOST_SERIES} families")
    known: list[Series] = []
    for index, parts in enumerate(families):
        known += _family(parts, f"{field}[{index}]", MOST_SERIES - len(known))
    if len(set(known)) < len(known):
        refuse(field, "must hold distinct series")
    return tuple(known)


def check_gaps(gaps: Any, series: int, ticks: int, field: str) -> None:
    """Check the gaps of a track with so many series and instants."""
    if gaps is None:
        return
    if type(gaps) is not list or len(gaps) > series * ticks:
        refuse(field, "must be a list of at most one gap a cell")
    for index, gap in enumerate(gaps):
        if type(gap) is not list or len(gap) != _GAP_PARTS:
            refuse(f"{field}[{index}]", "must be [series, from, to, reason]")
        which, start, stop, reason = gap
        if not type(which) is type(start) is type(stop) is int or not is_text(reason):
            refuse(f"{field}[{index}]", "must be three integers and a string")
        if not (0 <= which < series and 0 <= start < stop <= ticks):
            refuse(f"{field}[{index}]", "must lie within the cells of a series")


def _family(parts: Any, field: str, room: int) -> list[Series]:
    if type(parts) is not list or len(parts) != _FAMILY_PARTS:
        refuse(field, "must be [name, unit, kind, digits, source, attributes]")
    name, unit, kind, digits, source, attributes = parts
    if not is_name(name):
        refuse(f"{field}[0]", f"must be a name of up to {MOST_NAME} characters")
    if not is_text(unit) or not is_text(source):
        refuse(field, f"must have strings of up to {MOST_TEXT} characters as unit and source")
    if type(kind) is not str or kind not in _KINDS:
        refuse(f"{field}[2]", "must be gauge or counter")
    if digits is not None and (type(digits) is not int or not 0 <= digits <= MOST_DIGITS):
        refuse(f"{field}[3]", f"must be null or 0 to {MOST_DIGITS}")
    values = _attribute_sets(attributes, f"{field}[5]", room)
    return [Series(name, pairs, unit, _KINDS[kind], digits, source) for pairs in values]


def _attribute_sets(attributes: Any, field: str, room: int) -> list[tuple[tuple[str, str], ...]]:
    """The attributes of each series of a family, sorted by name; at most `room` series."""
    if type(attributes) is not dict or len(attributes) > MOST_ATTRIBUTES:
        refuse(field, f"must be an object of up to {MOST_ATTRIBUTES} attributes")
    columns = list(attributes.values())
    count = len(columns[0]) if columns and type(columns[0]) is list else 1
    if not 0 < count <= room:
        refuse(field, f"must make at least one series, and at most {MOST_SERIES} in a track")
    for key, column in attributes.items():
        if type(column) is not list or len(column) != count:
            refuse(field, "must hold lists of one length")
        if not is_text(key) or not all(map(is_text, column)):
            refuse(field, f"must hold strings of up to {MOST_TEXT} characters")
    names = sorted(attributes)
    if not names:
        return [()]
    return [tuple(zip(names, row, strict=True)) for row in zip(*map(attributes.__getitem__, names), strict=True)]


def _check_cells(cells: Any, series: tuple[Series, ...], ticks: int, field: str) -> int:
    """Check the cells of a track; how many of them have a value."""
    if len(series) * ticks > MOST_CELLS:
        refuse(field, f"must hold at most {MOST_CELLS} cells")
    if type(cells) is not list or len(cells) != len(series) * ticks:
        refuse(field, "must be a list with one cell for each series at each instant")
    readings = 0
    for number, one in enumerate(series):
        own = cells[number * ticks : (number + 1) * ticks]
        types = set(map(type, own))
        if not types <= (_RAW if one.digits is None else _WHOLE):
            refuse(field, f"must hold integers (floats where digits is null) and nulls for series {number}")
        filled = [cell for cell in own if cell is not None] if NoneType in types else own
        if one.digits is not None and not _adds_up(filled):
            refuse(field, f"must add up to less than 2**63 for series {number}")
        readings += len(filled)
    return readings


def _check_kinds(series: tuple[Series, ...], field: str, *, windowed: bool) -> None:
    if any((one.kind == "gauge") is not windowed for one in series):
        refuse(f"{field}.families", "of a thinned batch must be gauges with, or counters without, windows")


def _check_spread(track: Mapping[str, Any], series: tuple[Series, ...], ticks: int, field: str) -> int:
    """Check what stands beside the means of a windowed track; how many readings its windows had."""
    for name in ("least", "greatest"):
        _check_cells(track.get(name), series, ticks, f"{field}.{name}")
    counts = track.get("counts")
    if type(counts) is not list or len(counts) != len(series) * ticks or not set(map(type, counts)) <= _WHOLE:
        refuse(f"{field}.counts", "must be a list with an integer or null for each cell")
    readings = 0
    for number, one in enumerate(series):
        own = slice(number * ticks, (number + 1) * ticks)
        rows = [track[name][own] for name in ("cells", *_SPREAD)]
        absent = [[cell is None for cell in row] for row in rows]
        if any(row != absent[0] for row in absent):
            refuse(f"{field}.counts", f"must have its nulls where the other lists have them for series {number}")
        means, least, greatest, had = ([cell for cell in row if cell is not None] for row in rows)
        if had and not 0 < min(had) <= max(had) <= MOST_COUNT:
            refuse(f"{field}.counts", f"must be 1 to {MOST_COUNT} for series {number}")
        unit = 1
        if one.digits is not None:
            unit, means, least, greatest = 10**MEAN_DIGITS, *map(list, map(accumulate, (means, least, greatest)))
            if had and not -EXACT <= min(least) <= max(greatest) <= EXACT:
                refuse(f"{field}.least", f"must lie within 2**53 of 0 once scaled for series {number}")
        if not all(low * unit <= mean <= high * unit for low, mean, high in zip(least, means, greatest, strict=True)):
            refuse(f"{field}.cells", f"must lie between least and greatest for series {number}")
        readings += sum(had)
    return readings


def _adds_up(deltas: list[int]) -> bool:
    if not deltas:
        return True
    # Nearly every row is cleared by its extremes; only one that might overflow is added up.
    low, high = min(deltas), max(deltas)
    return max(high, -low) * len(deltas) < _SUM or max(map(abs, accumulate(deltas))) < _SUM


def _columns(cells: list[Any], digits: list[int | None], ticks: int) -> list[list[float | None]]:
    return [_values(cells[number * ticks : (number + 1) * ticks], one) for number, one in enumerate(digits)]


def _values(row: list[Any], digits: int | None) -> list[float | None]:
    if digits is None:
        return row
    scale = 10**digits
    if None not in row:
        whole = accumulate(row)
        return [value / scale for value in whole] if digits else list(whole)
    whole = accumulate(cell for cell in row if cell is not None)
    if not digits:
        return [None if cell is None else next(whole) for cell in row]
    return [None if cell is None else next(whole) / scale for cell in row]
