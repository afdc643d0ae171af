"""History: `GET /api/v1/query?device=&name=&from=&to=&width=[&attr.<key>=<value>...]`, times in Unix ms.

    {"device", "name", "from", "to", "width", "complete": bool, "reached": ms, "columns":
      ["ts", "ts_err", "flag", "value", "min", "max", "count"], "series": [{"collector", "name", "attributes": {...},
      "unit", "kind", "digits", "source", "points": [[...], ...]}, ...]}

A point stands at `from <= ts < to`. A series with more points than `width` is thinned to at most `width` equal slices
of the range: gauges to their mean, counters to their last value, both with the least, the greatest and the count;
`ts_err` is then the worst of the slice. `timeline` says what `ts`, `ts_err` (null: unknown) and `flag` mean. What was
not read is no point.

What was thinned on the device comes back as it is: a window of a gauge is a point in its middle, with what its `count`
readings had as mean, least and greatest, and a counter's readings that were kept are points as all others. Where the
full frames came as well, the full readings are told: left out are windows that lie wholly within a run of stored frames
with numbers one after another, and counters' readings within it. A window at the edge of a run is told beside the
readings that it shares with it.

Frames that overlap the range are decoded oldest first, and only the rows that were asked for. Work is bounded by
frames, points and time: where a bound is met the answer says `complete: false`, and `reached` is up to where it holds.
Reads are many small ones on snapshots of their own, so that neither writers nor other readers wait for a long question.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field

from edge_agent.hub import timeline
from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import read_query
from edge_agent.hub.parcels import MOST_UNPACKED
from edge_agent.hub.store import Store
from edge_agent.hub.store.frames import find_sender
from edge_agent.hub.thinning import COLUMNS, Point, Raw, Thinned
from edge_agent.hub.timeline import Stamp, Timeline
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import FrameKind
from edge_agent.model.ports import Worker
from edge_agent.model.quantity import Interval
from edge_agent.model.ranges import Ranges, union
from edge_agent.model.reading import Series
from edge_agent.wire.batch import read_document, unzip
from edge_agent.wire.thins import MOST_WINDOW, read_thins
from edge_agent.wire.track import Track, outline, realise

_TIMES = 2**53
_MOST_WIDTH = 10_000
_AT_ONCE = 32
_ATTRIBUTE = "attr."
_LISTS = ("cells", "least", "greatest", "counts")

Key = tuple[str, Series]


@dataclass(frozen=True, slots=True)
class Options:
    """The most work of one question: frames looked at, points answered, and time."""

    most_frames: int = 50_000
    most_points: int = 200_000
    most_time: Interval = 5.0


class Question(BaseModel):
    """Which readings of a device, from when to when, in at most how many points a series."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Annotated[str, Field(min_length=1, max_length=128)]
    name: Annotated[str, Field(min_length=1, max_length=256)]
    start: Annotated[int, Field(alias="from", ge=-_TIMES, le=_TIMES)]
    stop: Annotated[int, Field(alias="to", ge=-_TIMES, le=_TIMES)]
    width: Annotated[int, Field(ge=1, le=_MOST_WIDTH)] = 1000


class Points(BaseModel):
    """One series of an answer; points as `columns` names them, times in Unix ms."""

    collector: str
    name: str
    attributes: dict[str, str]
    unit: str
    kind: Literal["gauge", "counter"]
    digits: int | None
    source: str
    points: list[Point]


class Curves(BaseModel):
    """An answer. It is written without these models, which describe it: there may be many points."""

    device: str
    name: str
    start: int = Field(alias="from")
    stop: int = Field(alias="to")
    width: int
    complete: bool
    reached: int
    columns: list[str]
    series: list[Points]


class Span(NamedTuple):
    """A frame that may hold what is asked for: its row, the axis it lies on, and about when it starts (Unix ms).

    `full` is where the axis is stored in full, as ranges of axis ms, if the frame is a thinned one.
    """

    starts: int
    row: int
    line: Timeline
    full: Ranges


def spans(connection: sqlite3.Connection, question: Question, most: int) -> list[Span]:
    """The frames of a device that may overlap a range, oldest first, at most so many and one more."""
    sender = find_sender(connection, question.device)
    found: list[Span] = []
    for axis, longest, ceiling in connection.execute(
        "SELECT id, longest, ceiling FROM axis WHERE sender = ?", (sender,)
    ).fetchall():
        line = timeline.load(connection, axis, ceiling)
        least, greatest = line.offsets
        start, stop = question.start - greatest, question.stop - least
        rows = _rows(connection, axis, FrameKind.TELEMETRY, (start, stop, longest), most + 1)
        found.extend(Span(line.stamp(first).ts, row, line, ()) for first, _, row in rows)
        # A window may reach into the range from before it.
        thinned = _rows(connection, axis, FrameKind.THINNED, (start - MOST_WINDOW, stop, longest), most + 1)
        if thinned:
            ends = min(first for first, *_ in thinned), max(last for _, last, _ in thinned) + MOST_WINDOW
            full = _full(connection, axis, (*ends, longest), most)
            found.extend(Span(line.stamp(first).ts, row, line, full) for first, _, row in thinned)
    return sorted(found, key=lambda span: (span.starts, span.row))[: most + 1]


def _rows(
    connection: sqlite3.Connection, axis: int, kind: FrameKind, reach: tuple[int, int, int], most: int
) -> list[tuple[int, int, int]]:
    """First and last axis ms and row of frames that overlap `start` up to `stop`; none is longer than the third."""
    start, stop, longest = reach
    return connection.execute(
        "SELECT first, last, id FROM frame WHERE axis = ? AND kind = ? AND first >= ? AND first < ? AND last >= ?"
        " ORDER BY first LIMIT ?",
        (axis, int(kind), start - longest, stop, start, most),
    ).fetchall()


def _full(connection: sqlite3.Connection, axis: int, reach: tuple[int, int, int], most: int) -> Ranges:
    """Where an axis is stored in full: from the first to the last reading of frames whose numbers follow each other.

    What retention took is stored no more: then the thinned frame is all that is left to tell.
    """
    start, stop, longest = reach
    rows = connection.execute(
        "SELECT epoch, seq, first, last FROM frame WHERE axis = ? AND kind = ? AND first >= ? AND first < ?"
        " AND last >= ? AND digest IS NULL LIMIT ?",
        (axis, int(FrameKind.TELEMETRY), start - longest, stop, start, most),
    )
    runs: list[tuple[int, int]] = []
    reached: tuple[int, int] | None = None
    for epoch, seq, first, last in sorted(rows):
        if reached == (epoch, seq) and runs:
            runs[-1] = (runs[-1][0], max(runs[-1][1], last + 1))
        else:
            runs.append((first, last + 1))
        reached = (epoch, seq + 1)
    return union(runs)


def payloads(connection: sqlite3.Connection, rows: Sequence[int]) -> list[bytes | None]:
    """The payloads of frames; None where retention took one."""
    found = (connection.execute("SELECT payload FROM payload WHERE frame = ?", (row,)).fetchone() for row in rows)
    return [None if row is None else row[0] for row in found]


def tracks(payload: bytes, name: str, attributes: Mapping[str, str]) -> Iterator[tuple[Track, int | None]]:
    """The tracks of a stored batch, cut down to the series that were asked for; with the window of a thinned one."""
    document = read_document(unzip(payload, MOST_UNPACKED))
    thins = read_thins(document.get("thins"))
    window = None if thins is None else thins.window
    for whole in document["tracks"]:
        ticks, first = len(whole["dt"]), 0
        families: list[list[Any]] = []
        lists: dict[str, list[Any]] = {name: [] for name in (_LISTS if thins else _LISTS[:1]) if name in whole}
        for named, *rest, has in whole["families"]:
            sets = list(zip(*has.values(), strict=True)) if has else [()]
            for index, values in enumerate(sets) if named == name else ():
                held = dict(zip(has, values, strict=True))
                if all(held.get(key) == value for key, value in attributes.items()):
                    families.append([named, *rest, {key: [value] for key, value in held.items()}])
                    for listed, cut in lists.items():
                        cut.extend(whole[listed][(first + index) * ticks : (first + index + 1) * ticks])
            first += len(sets)
        if families:
            own = {member: whole[member] for member in ("collector", "t0", "dt")} | {"families": families} | lists
            yield realise(own, outline(own, "track", window)), window


class _Answer:
    """The series of an answer as they grow."""

    def __init__(self, question: Question, attributes: Mapping[str, str]) -> None:
        self._question, self._attributes = question, attributes
        self.series: dict[Key, Thinned] = {}

    @property
    def points(self) -> int:
        """How many points there are so far."""
        return sum(len(thinned) for thinned in self.series.values())

    def take(self, batches: Sequence[tuple[bytes | None, Span]]) -> None:
        """Take the readings of these frames that lie in the range."""
        for payload, span in batches:
            for track, window in tracks(payload, self._question.name, self._attributes) if payload else ():
                if window is None:
                    self._take_track(track, [span.line.stamp(at) for at in track.instants])
                else:
                    self._take_track(track, _places(track, window, span))

    def document(self) -> list[dict[str, Any]]:
        """The series as JSON objects, sorted."""
        written = []
        for (collector, series), thinned in sorted(self.series.items(), key=lambda item: repr(item[0])):
            members = {**series._asdict(), "attributes": dict(series.attributes)}
            written.append({"collector": collector, **members, "points": thinned.points()})
        return written

    def _take_track(self, track: Track, stamps: Sequence[Stamp | None]) -> None:
        """Take the points of a track that stand within the range; without a stamp they are left out."""
        asked = self._question
        rows = [(place, stamp) for place, stamp in enumerate(stamps) if stamp and asked.start <= stamp.ts < asked.stop]
        for number, (series, column) in enumerate(zip(track.series, track.columns, strict=True)):
            key = (track.collector, series)
            thinned = self.series.get(key) or Thinned(asked.start, asked.stop, asked.width, series.kind)
            for place, stamp in rows:
                value = column[place]
                if value is not None:
                    thinned.add(_raw(track, number, place, stamp, value))
            if len(thinned):
                self.series[key] = thinned


def _raw(track: Track, number: int, place: int, stamp: Stamp, value: float) -> Raw:
    """A point of a track, with what its window held."""
    if track.least is None or track.greatest is None or track.counts is None:
        return Raw(stamp, value, value, value, 1)
    least, greatest, count = (rows[number][place] for rows in (track.least, track.greatest, track.counts))
    assert least is not None
    assert greatest is not None
    assert count is not None
    return Raw(stamp, value, least, greatest, int(count))


def _places(track: Track, window: int, span: Span) -> list[Stamp | None]:
    """Where the points of a thinned track stand; None for one that is stored in full."""
    length = 1 if track.counts is None else window
    return [None if _covers(span.full, at, at + length) else span.line.stamp(at + length // 2) for at in track.instants]


def _covers(ranges: Ranges, first: int, after: int) -> bool:
    """Whether one of these ranges holds all from `first` up to `after`."""
    found = bisect_right(ranges, first, key=lambda pair: pair[0]) - 1
    return found >= 0 and after <= ranges[found][1]


class History:
    """Answers what a device measured. `now` is the hub's Unix ms; `decoder` is a worker whose life is the wiring's."""

    def __init__(self, store: Store, now: Callable[[], int], options: Options, decoder: Worker) -> None:
        self._store, self._now, self._options, self._decoder = store, now, options, decoder

    async def query(self, ask: Ask) -> Reply:
        """The readings of one name within a range; Malformed `bad_query` with the member that is wrong."""
        question, attributes = _asked(ask)
        options, began = self._options, self._now()
        found = await self._store.read(partial(spans, question=question, most=options.most_frames))
        answer, done = _Answer(question, attributes), 0
        while done < min(len(found), options.most_frames):
            turn = found[done : min(done + _AT_ONCE, options.most_frames)]
            bodies = await self._store.read(partial(payloads, rows=[span.row for span in turn]))
            await self._decoder.run(answer.take, list(zip(bodies, turn, strict=True)))
            done += len(turn)
            late = self._now() - began > options.most_time * 1000
            if late or answer.points > options.most_points:
                break
        complete = done == len(found)
        document = {
            "device": question.device,
            "name": question.name,
            "from": question.start,
            "to": question.stop,
            "width": question.width,
            "complete": complete,
            "reached": question.stop if complete else max(question.start, min(found[done].starts, question.stop)),
            "columns": COLUMNS,
            "series": await self._decoder.run(answer.document),
        }
        return Reply(body=orjson.dumps(document))


def _asked(ask: Ask) -> tuple[Question, dict[str, str]]:
    members = {name: value for name, value in ask.query.items() if not name.startswith(_ATTRIBUTE)}
    attributes = {name[len(_ATTRIBUTE) :]: value for name, value in ask.query.items() if name.startswith(_ATTRIBUTE)}
    question = read_query(Question, Ask(ask.request, ask.caller, ask.params, members, ask.received_at))
    if question.start >= question.stop:
        raise Malformed("bad_query", "from must be before to", field="from")
    return question, attributes
