"""Extract: what frames tell of the points that stand in a range, each reading once, by the finest that has it.

A full track tells its readings, instant by instant, at once. A thinned one tells windows: each stands in the middle of
what it is made of, and is held until all that is finer has been read (`layers`); then it is told with what is left of
it. Frames come in the order of their spans, and what lies beside the range is read only as far as a window that stands
in it may reach.

Does not handle: how a point is written, and what becomes of a frame that cannot be read; both are its owner's.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from edge_agent.hub.layers import Key, Layers, Source
from edge_agent.hub.spans import REACH, Span
from edge_agent.hub.thinning import Raw
from edge_agent.hub.timeline import Stamp, Timeline
from edge_agent.wire.thins import Thins
from edge_agent.wire.track import Track

Column = Sequence[float | None]


class Placed(Stamp):
    """A stamp that knows its axis ms."""

    at: int = 0


class Rows(NamedTuple):
    """The readings of one full track that stand in the range.

    `stamps` are those of its instants that do, each by its place in `instants` (axis ms) and in the columns, of which
    there is one a series; None is what was not read.
    """

    span: Span
    instants: Sequence[int]
    stamps: list[tuple[int, Stamp]]
    columns: Sequence[tuple[Key, Column]]


class Window(NamedTuple):
    """What is told of a window; its stamp is `Placed`."""

    span: Span
    key: Key
    raw: Raw


Read = Callable[[bytes | None, Span], Iterable[tuple[Track, Thins | None]]]
"""The tracks of a payload, each with what a thinned one stands for; of None, which retention left, there are none."""


class Extract:
    """What is told of a range of Unix ms; `wants` says of which series. `layers` is what is held so far."""

    def __init__(self, start: int, stop: int, read: Read, wants: Callable[[Key], bool]) -> None:
        self._read, self._wants = read, wants
        self.start, self.stop = start, stop
        self.layers = Layers()

    def take(self, batches: Iterable[tuple[bytes | None, Span]]) -> Iterator[Rows | Window]:
        """What these frames tell in the range, and what they leave behind."""
        layers = self.layers
        for payload, span in batches:
            # Outside the range only what a window that stands in it may reach matters.
            if payload is None or 2 * span.beyond <= layers.longest:
                source: Source | None = None
                for track, thins in self._read(payload, span):
                    if thins is None:
                        yield from self._take_track(track, span)
                    else:
                        source = source or layers.source(thins)
                        yield from self._hold_track(track, span, source)
            for key, raw in layers.settle(span.axis, span.ahead):
                yield Window(span, key, raw)

    def _columns(self, track: Track) -> list[tuple[int, Key]]:
        """The series of a track that are wanted, by their places."""
        known = ((number, (track.collector, series)) for number, series in enumerate(track.series))
        return [(number, key) for number, key in known if self._wants(key)]

    def _take_track(self, track: Track, span: Span) -> Iterator[Rows]:
        """Tell the readings of a full track that stand in the range."""
        columns = [(key, track.columns[number]) for number, key in self._columns(track)]
        if not columns:
            return
        stamps = ((place, span.line.stamp(at)) for place, at in enumerate(track.instants))
        told = [(place, stamp) for place, stamp in stamps if self.start <= stamp.ts < self.stop]
        if told:
            yield Rows(span, track.instants, told, columns)
        if span.number is not None:
            for key, column in columns:
                self.layers.tell((span.axis, key), span.number, track.instants, column)

    def _hold_track(self, track: Track, span: Span, source: Source) -> Iterator[Window]:
        """Hold the points of a thinned track that stand in the range, or about it."""
        length = 1 if track.counts is None else source.thins.window
        columns = self._columns(track)
        for place, first in enumerate(track.instants) if columns else ():
            stamp = _placed(span.line, first + length // 2)
            if not self.start - REACH <= stamp.ts < self.stop + REACH:
                continue
            within = self.start <= stamp.ts < self.stop
            for number, key in columns:
                raw = _raw(track, number, place, stamp)
                if raw is None:
                    continue
                held = self.layers.hold((span.axis, key), source, (first, length), raw, asked=within)
                if within and not held:
                    yield Window(span, key, raw)


def _placed(line: Timeline, at: int) -> Placed:
    stamp = Placed(*line.stamp(at))
    stamp.at = at
    return stamp


def _raw(track: Track, number: int, place: int, stamp: Stamp) -> Raw | None:
    """A point of a thinned track, with what its window held; None where it has none."""
    value = track.columns[number][place]
    if value is None:
        return None
    if track.least is None or track.greatest is None or track.counts is None:
        return Raw(stamp, value, value, value, 1)
    least, greatest, count = (rows[number][place] for rows in (track.least, track.greatest, track.counts))
    assert least is not None
    assert greatest is not None
    assert count is not None
    return Raw(stamp, value, least, greatest, int(count))
