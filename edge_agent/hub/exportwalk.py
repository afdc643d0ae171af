"""The walk of an export: where its slices of time are looked for, and what their frames tell.

Invariants: each axis keeps the timeline on which it was first seen, so that slices, which are told one after the other
while the times of a device move, neither leave a reading out nor tell one twice. A slice is looked for where its part
of each axis lies on the timelines of now, on the snapshot that its list is made from.

Of frames of several resolutions the finest tells (`layers`): a window is held until all that is finer has been read,
within the slice and half of the longest window about it. Does not handle: frames that arrive behind the slice.
"""

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.hub.exportlines import Form
from edge_agent.hub.extract import Extract, Placed, Rows, Window
from edge_agent.hub.layers import Key
from edge_agent.hub.neighbours import Line, lines
from edge_agent.hub.parcels import MOST_UNPACKED
from edge_agent.hub.spans import Range, Span, spans, tracks
from edge_agent.hub.store.frames import find_sender
from edge_agent.hub.thinning import Raw
from edge_agent.hub.timeline import Timeline
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import FrameKind
from edge_agent.wire.batch import parse, unzip
from edge_agent.wire.thins import MOST_WINDOW, Thins
from edge_agent.wire.track import Track

_CHUNK_BYTES = 64 * 1024
_MOST_PREFIXES = 20_000

_EXTENTS = """
SELECT id, name, longest,
    (SELECT min(first) FROM frame WHERE axis = axis.id AND kind = ?1),
    (SELECT max(first) FROM frame WHERE axis = axis.id AND kind = ?1),
    (SELECT min(first) FROM frame WHERE axis = axis.id AND kind = ?2),
    (SELECT max(first) FROM frame WHERE axis = axis.id AND kind = ?2)
FROM axis WHERE sender = ?3
"""


class Slice(NamedTuple):
    """A part of the range, in Unix ms, and its frames in order of each axis, on the timelines that are kept.

    `dense` says that there are more than are taken; they begin at `earliest`.
    """

    start: int
    stop: int
    found: list[Span]
    dense: bool
    earliest: int


@dataclass(slots=True)
class _Part:
    """Where axes have their part of a slice on the timelines of now, in Unix ms."""

    start: int
    stop: int
    axes: set[int]


@dataclass(slots=True)
class Places:
    """The axes of a device as they were when they were first seen: their timelines, and their names.

    `most` is how many frames of a slice are taken.
    """

    device: str
    most: int
    lines: dict[int, Timeline] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def look(self, connection: sqlite3.Connection, start: int, stop: int) -> Slice:
        """The frames that may have something in a slice, on one snapshot."""
        found: list[Span] = []
        dense = False
        extents = self._extents(connection)
        near = {axis for axis, extent in extents.items() if self._may_hold(axis, extent, start, stop)}
        now = {line.axis: line for line in lines(connection, self._sender(connection), lambda axis: axis.id in near)}
        for axis, line in now.items():
            self.lines.setdefault(axis, line.timeline)
        for part in _joined(self._parts({axis: extents[axis] for axis in now}, now, start, stop)):
            # Not validated: a device may have moved its times beyond what people may ask for.
            asked = Range.model_construct(device=self.device, start=part.start, stop=part.stop)
            spread = spans(connection, asked, self.most, [now[axis] for axis in sorted(part.axes)])
            dense = dense or len(spread) > self.most
            found.extend(span._replace(line=self.lines[span.axis]) for span in spread)
        begins = (span.line.stamp(span.begins).ts for span in found)
        return Slice(start, stop, found, dense or len(found) > self.most, max(start, min(begins, default=start)))

    def _sender(self, connection: sqlite3.Connection) -> int | None:
        return find_sender(connection, self.device)

    def _extents(self, connection: sqlite3.Connection) -> dict[int, range]:
        """From where to where each axis may have readings, in its ms."""
        extents: dict[int, range] = {}
        kinds = (int(FrameKind.TELEMETRY), int(FrameKind.THINNED))
        for axis, name, longest, *ends in connection.execute(_EXTENTS, (*kinds, self._sender(connection))).fetchall():
            self.names[axis] = name
            known = [end for end in ends if end is not None]
            extents[axis] = range(min(known), max(known) + longest + MOST_WINDOW + 1) if known else range(0)
        return extents

    def _may_hold(self, axis: int, extent: range, start: int, stop: int) -> bool:
        """Whether an axis lies in a slice; one that was not seen yet may."""
        line = self.lines.get(axis)
        return line is None or (bool(extent) and line.stamp(extent[0]).ts < stop and line.stamp(extent[-1]).ts >= start)

    def _parts(self, extents: Mapping[int, range], now: Mapping[int, Line], start: int, stop: int) -> Iterator[_Part]:
        """Where each axis that has frames in a slice is to be looked for."""
        for axis, extent in extents.items():
            if not self._may_hold(axis, extent, start, stop):
                continue
            line = self.lines[axis]
            first, after = (bisect_left(extent, ts, key=lambda at: line.stamp(at).ts) for ts in (start, stop))
            if first < after:
                lies = [now[axis].timeline.stamp(extent[place]).ts for place in (first, after - 1)]
                yield _Part(lies[0], lies[1] + 1, {axis})


def _joined(parts: Iterator[_Part]) -> list[_Part]:
    """Those that overlap as one, in order."""
    joined: list[_Part] = []
    for part in sorted(parts, key=lambda part: part.start):
        if joined and part.start <= joined[-1].stop:
            joined[-1].stop = max(joined[-1].stop, part.stop)
            joined[-1].axes |= part.axes
        else:
            joined.append(part)
    return joined


class Walk:
    """Tells the points of slices. All of it runs on the worker that decodes."""

    def __init__(self, places: Places, form: Form, name: str | None, attributes: Mapping[str, str]) -> None:
        self._places, self._form, self._name, self._attributes = places, form, name, attributes
        self._series: dict[Key, bytes | None] = {}
        self._extract = self._over(0, 0)
        self._missing = self._missing_before = set[int]()
        self.gone = 0
        """Frames of the range that cannot be read any more."""

    def begin(self, part: Slice) -> None:
        """Turn to the next slice."""
        self._extract = self._over(part.start, part.stop)
        self._missing, self._missing_before = set(), self._missing

    def reached(self, left: Sequence[Span]) -> int:
        """Up to which Unix ms the slice is told, when these frames of it are not."""
        begins = (span.line.stamp(span.begins).ts for span in left)
        told = min(begins, default=self._extract.stop)
        return int(min(told, self._extract.layers.earliest, self._extract.stop))

    def _over(self, start: int, stop: int) -> Extract:
        return Extract(start, stop, self._read, lambda key: self._prefix(key) is not None)

    def take(self, batches: Sequence[tuple[bytes | None, Span]]) -> Iterator[bytes]:
        """Tell the points of these frames that stand in the slice, and what they leave behind, in chunks of lines."""
        parts, size = list[bytes](), 0
        for line in self._told(batches):
            parts.append(line)
            size += len(line)
            if size >= _CHUNK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        if parts:
            yield b"".join(parts)

    def _told(self, batches: Sequence[tuple[bytes | None, Span]]) -> Iterator[bytes]:
        for told in self._extract.take(batches):
            axis = self._places.names[told.span.axis]
            if isinstance(told, Window):
                yield self._window(told.key, told.raw, axis)
            else:
                yield from self._readings(told, axis)

    def _read(self, payload: bytes | None, span: Span) -> Iterator[tuple[Track, Thins | None]]:
        """The tracks of a frame; one that cannot be read, or only in part, is counted."""
        if payload is None:
            self._miss(span)
            return
        try:
            if self._name is not None:
                yield from tracks(payload, self._name, self._attributes)
                return
            batch = parse(unzip(payload, MOST_UNPACKED))
            for track in batch.tracks:
                yield track, batch.thins
        except Malformed:  # it was whole when it was stored
            self._miss(span)

    def _readings(self, rows: Rows, axis: str) -> Iterator[bytes]:
        """The readings of a track, instant by instant."""
        form = self._form
        known = ((self._prefix(key), column) for key, column in rows.columns)
        columns = [(prefix, column) for prefix, column in known if prefix is not None]
        for place, stamp in rows.stamps:
            instant = form.instant(stamp, axis, rows.instants[place])
            for prefix, column in columns:
                value = column[place]
                if value is not None:
                    yield form.line(instant, prefix, value)

    def _window(self, key: Key, raw: Raw, axis: str) -> bytes:
        assert isinstance(raw.stamp, Placed)
        prefix = self._prefix(key)
        assert prefix is not None
        instant = self._form.instant(raw.stamp, axis, raw.stamp.at)
        # A counter's reading that was kept is a reading.
        if key[1].kind == "counter":
            return self._form.line(instant, prefix, raw.value)
        return self._form.window(instant, prefix, raw)

    def _prefix(self, key: Key) -> bytes | None:
        """What the lines of a series share; None when it was not asked for."""
        if key not in self._series:
            if len(self._series) >= _MOST_PREFIXES:
                self._series.clear()
            held = dict(key[1].attributes)
            wanted = all(held.get(name) == value for name, value in self._attributes.items())
            self._series[key] = self._form.series(key) if wanted else None
        return self._series[key]

    def _miss(self, span: Span) -> None:
        """Count a frame that is not there, once, though it may lie in several slices."""
        if span.beyond == 0 and span.row not in self._missing:
            self._missing.add(span.row)
            self.gone += span.row not in self._missing_before
