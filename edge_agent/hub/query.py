"""History: `GET /api/v1/query?device=&name=&from=&to=&width=[&attr.<key>=<value>...]`, times in Unix ms.

    {"device", "name", "from", "to", "width", "complete": bool, "reached": ms, "columns":
      ["ts", "ts_err", "flag", "value", "min", "max", "count"], "series": [{"collector", "name", "attributes": {...},
      "unit", "kind", "digits", "source", "points": [[...], ...]}, ...]}

A point stands at `from <= ts < to`. A series with more points than `width` is thinned to at most `width` equal slices
of the range: gauges to their mean, counters to their last value, both with the least, the greatest and the count;
`ts_err` is then the worst of the slice. `timeline` says what `ts`, `ts_err` (null: unknown) and `flag` mean. What was
not read is no point.

What was thinned on the device comes back as it is: a window of a gauge is a point in its middle, with what its `count`
readings had as mean, least and greatest, and a counter's readings that were kept are points as all others. Where finer
frames came as well, which happens when an answer was lost, each reading is told once, by the finest that has it: full
frames before windows, and short windows before long ones. A window of which some readings are told so is told with the
`count` and the mean of the others, while `min` and `max` still are those of all; one of which all are told is left out.
What is finer counts on both sides of the range too, so a window is the same in every answer. What retention took is
told by the windows that stand for it. `hub.layers` has the rule, and what it does not handle.

Frames that overlap the range are decoded oldest first, and only the rows that were asked for. Work is bounded by
frames, points and time: where a bound is met the answer says `complete: false`, and `reached` is up to where it holds.
Where there are thinned frames, those within half an hour about the range are looked at too, and decoded as far as a
window reaches out of it; windows that are held back meanwhile count as points, and `reached` is before them.
Reads are many small ones on snapshots of their own, so that neither writers nor other readers wait for a long question.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import read_query
from edge_agent.hub.layers import Key, Layers, Source
from edge_agent.hub.neighbours import Line, lines, may_hold
from edge_agent.hub.parcels import MOST_UNPACKED
from edge_agent.hub.store import Store
from edge_agent.hub.store.frames import find_sender
from edge_agent.hub.thinning import COLUMNS, Point, Raw, Thinned
from edge_agent.hub.timeline import Stamp, Timeline
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import FrameKind
from edge_agent.model.ports import Worker
from edge_agent.model.quantity import Interval
from edge_agent.wire.batch import read_document, unzip
from edge_agent.wire.thins import MOST_WINDOW, Thins, read_thins
from edge_agent.wire.track import Track, outline, realise

_TIMES = 2**53
_MOST_WIDTH = 10_000
_AT_ONCE = 32
_ATTRIBUTE = "attr."
_LISTS = ("cells", "least", "greatest", "counts")
_REACH = MOST_WINDOW // 2
"""How far a window whose middle lies within a range may reach out of it, in ms."""

_OVERLAPPING = """
SELECT first, last, id, 0, 0 FROM frame WHERE axis = ? AND kind = ? AND first >= ? AND first < ? AND last >= ?
ORDER BY first LIMIT ?
"""
_NAMED = _OVERLAPPING.replace("0, 0", "epoch, seq")
"""The same with identities, which the index does not have."""


@dataclass(frozen=True, slots=True)
class Options:
    """The most work of one question: frames looked at, points answered or held back, and time."""

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
    """A frame that may hold what is asked for: when it is read among the others (Unix ms), its row, and its axis.

    `begins` is the same in axis ms: its start or, of a thinned frame, so much before it that this is read before every
    full frame that it may overlap. `ahead` is where on the axis all begins that is read later. `number`, epoch and seq,
    is of a full frame that may have been thinned as well, and `beyond` is how many ms outside the range that lies.
    """

    starts: int
    row: int
    line: Timeline
    axis: int
    begins: int
    number: tuple[int, int] | None = None
    beyond: int = 0
    ahead: float = inf


def spans(
    connection: sqlite3.Connection, question: Question, most: int, placed: Sequence[Line] | None = None
) -> list[Span]:
    """The frames of a device that may overlap a range, oldest first, at most so many and one more.

    `placed` are the axes that are looked at, and where they lie just now; all that matter when absent.
    """
    found: list[Span] = []
    layered = False
    if placed is None:
        asked = partial(may_hold, connection, start=question.start, stop=question.stop)
        placed = lines(connection, find_sender(connection, question.device), asked)
    for axis, longest, line in placed:
        start, stop = line.within(question.start, question.stop)
        rows = partial(_rows, connection, axis, longest, most + 1)
        # A window may reach into the range from before it.
        thinned = rows(_OVERLAPPING, FrameKind.THINNED, start - MOST_WINDOW, stop + _REACH)
        if not thinned:
            full = rows(_OVERLAPPING, FrameKind.TELEMETRY, start, stop)
            found.extend(Span(line.stamp(first).ts, row, line, axis, first) for first, _, row, *_ in full)
            continue
        layered = True
        full = rows(_NAMED, FrameKind.TELEMETRY, start - _REACH, stop + _REACH)
        for first, last, row, epoch, seq in full:
            beyond = max(0, start - last, first - stop + 1)
            found.append(Span(line.stamp(first).ts, row, line, axis, first, (epoch, seq), beyond))
        early = 1 + max((last - first for first, last, *_ in full), default=0)
        # With the least offset none of them comes before it, wherever on the axis the offset changes.
        found.extend(
            Span(first - early + line.offsets[0], row, line, axis, first - early) for first, _, row, *_ in thinned
        )
    found.sort(key=lambda span: (span.starts, span.row))
    return _ahead(found)[: most + 1] if layered else found[: most + 1]


def _rows(
    connection: sqlite3.Connection,
    axis: int,
    longest: int,
    most: int,
    statement: str,
    kind: FrameKind,
    start: int,
    stop: int,
) -> list[tuple[int, int, int, int, int]]:
    """First and last axis ms, row, epoch and seq of frames that overlap a part of an axis; none is over `longest`."""
    return connection.execute(statement, (axis, int(kind), start - longest, stop, start, most)).fetchall()


def _ahead(found: Sequence[Span]) -> list[Span]:
    """Spans in order, each with where all begins that is read after it."""
    ahead: dict[int, float] = {}
    placed: list[Span] = []
    for span in reversed(found):
        placed.append(span._replace(ahead=ahead.get(span.axis, inf)))
        ahead[span.axis] = min(span.begins, ahead.get(span.axis, inf))
    return placed[::-1]


def payloads(connection: sqlite3.Connection, rows: Sequence[int]) -> list[bytes | None]:
    """The payloads of frames; None where retention took one."""
    found = (connection.execute("SELECT payload FROM payload WHERE frame = ?", (row,)).fetchone() for row in rows)
    return [None if row is None else row[0] for row in found]


def tracks(payload: bytes, name: str, attributes: Mapping[str, str]) -> Iterator[tuple[Track, Thins | None]]:
    """The tracks of a stored batch, cut down to the series that were asked for; with what a thinned one stands for."""
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
            yield realise(own, outline(own, "track", window)), thins


class _Answer:
    """The series of an answer as they grow."""

    def __init__(self, question: Question, attributes: Mapping[str, str]) -> None:
        self._question, self._attributes = question, attributes
        self.series: dict[Key, Thinned] = {}
        self._layers = Layers()

    @property
    def points(self) -> int:
        """How many points there are so far, with those that are not settled."""
        return sum(len(thinned) for thinned in self.series.values()) + len(self._layers)

    @property
    def settled(self) -> float:
        """Up to which Unix ms no point is held back."""
        return self._layers.earliest

    def take(self, batches: Sequence[tuple[bytes | None, Span]]) -> None:
        """Take the readings of these frames that lie in the range, and settle what they leave behind."""
        asked, layers = self._question, self._layers
        for payload, span in batches:
            source: Source | None = None
            # Outside the range only what a window that stands in it may reach matters.
            wanted = payload is not None and 2 * span.beyond <= layers.longest
            for track, thins in tracks(payload, asked.name, self._attributes) if payload and wanted else ():
                if thins is None:
                    self._take_track(track, span)
                else:
                    source = source or layers.source(thins)
                    self._hold_track(track, span, source)
            for key, raw in layers.settle(span.axis, span.ahead):
                self._add(key, raw)

    def document(self) -> list[dict[str, Any]]:
        """The series as JSON objects, sorted."""
        written = []
        for (collector, series), thinned in sorted(self.series.items(), key=lambda item: repr(item[0])):
            members = {**series._asdict(), "attributes": dict(series.attributes)}
            written.append({"collector": collector, **members, "points": thinned.points()})
        return written

    def _take_track(self, track: Track, span: Span) -> None:
        """Take the readings of a full track that stand within the range."""
        asked = self._question
        stamps = [span.line.stamp(at) for at in track.instants]
        rows = [(place, stamp) for place, stamp in enumerate(stamps) if asked.start <= stamp.ts < asked.stop]
        for series, column in zip(track.series, track.columns, strict=True):
            key = (track.collector, series)
            thinned = self._series(key)
            for place, stamp in rows:
                value = column[place]
                if value is not None:
                    thinned.add(Raw(stamp, value, value, value, 1))
            if len(thinned):
                self.series[key] = thinned
            if span.number is not None:
                self._layers.tell((span.axis, key), span.number, track.instants, column)

    def _hold_track(self, track: Track, span: Span, source: Source) -> None:
        """Hold the points of a thinned track that stand within the range, or about it."""
        asked, length = self._question, 1 if track.counts is None else source.thins.window
        stamps = [span.line.stamp(at + length // 2) for at in track.instants]
        rows = [
            (place, stamp)
            for place, stamp in enumerate(stamps)
            if asked.start - _REACH <= stamp.ts < asked.stop + _REACH
        ]
        for number, (series, column) in enumerate(zip(track.series, track.columns, strict=True)):
            key = (track.collector, series)
            for place, stamp in rows:
                value = column[place]
                if value is None:
                    continue
                raw, within = _raw(track, number, place, stamp, value), asked.start <= stamp.ts < asked.stop
                window = (track.instants[place], length)
                if not self._layers.hold((span.axis, key), source, window, raw, asked=within) and within:
                    self._add(key, raw)

    def _series(self, key: Key) -> Thinned:
        asked = self._question
        return self.series.get(key) or Thinned(asked.start, asked.stop, asked.width, key[1].kind)

    def _add(self, key: Key, raw: Raw) -> None:
        self.series[key] = thinned = self._series(key)
        thinned.add(raw)


def _raw(track: Track, number: int, place: int, stamp: Stamp, value: float) -> Raw:
    """A point of a track, with what its window held."""
    if track.least is None or track.greatest is None or track.counts is None:
        return Raw(stamp, value, value, value, 1)
    least, greatest, count = (rows[number][place] for rows in (track.least, track.greatest, track.counts))
    assert least is not None
    assert greatest is not None
    assert count is not None
    return Raw(stamp, value, least, greatest, int(count))


class History:
    """Answers what a device measured. `now` is ms on the hub's axis; `decoder` is a worker of the wiring."""

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
        reached = question.stop if complete else min(found[done].starts, answer.settled, question.stop)
        document = {
            "device": question.device,
            "name": question.name,
            "from": question.start,
            "to": question.stop,
            "width": question.width,
            "complete": complete,
            "reached": max(question.start, reached),
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
