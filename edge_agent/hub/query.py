"""History: `GET /api/v1/query?device=&name=&from=&to=&width=[&attr.<key>=<value>...]`, times in Unix ms.

    {"device", "name", "from", "to", "width", "complete": bool, "reached": ms, "columns":
      ["ts", "ts_err", "flag", "value", "min", "max", "count"], "series": [{"collector", "name", "attributes": {...},
      "unit", "kind", "digits", "source", "points": [[...], ...]}, ...]}

A point stands at `from <= ts < to`. A series with more points than `width` is thinned to at most `width` equal slices
of the range: gauges to their mean, counters to their last value, both with the least, the greatest and the count;
`ts_err` is then the worst of the slice. `timeline` says what `ts`, `ts_err` (null: unknown) and `flag` mean. What was
not read is no point.

Frames that overlap the range are decoded oldest first, and only the rows that were asked for. Work is bounded by
frames, points and time: where a bound is met the answer says `complete: false`, and `reached` is up to where it holds.
Reads are many small ones on snapshots of their own, so that neither writers nor other readers wait for a long question.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field

from edge_agent.hub import timeline
from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import read_query
from edge_agent.hub.parcels import MOST_UNPACKED
from edge_agent.hub.store import Store
from edge_agent.hub.store.frames import find_sender
from edge_agent.hub.thinning import COLUMNS, Thinned
from edge_agent.hub.timeline import Timeline
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import FrameKind
from edge_agent.model.ports import Worker
from edge_agent.model.quantity import Interval
from edge_agent.model.reading import Series
from edge_agent.wire.batch import read_document, unzip
from edge_agent.wire.track import Track, outline, realise

_TIMES = 2**53
_MOST_WIDTH = 10_000
_AT_ONCE = 32
_ATTRIBUTE = "attr."

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


class Span(NamedTuple):
    """A frame that may hold what is asked for: its row, the axis it lies on, and about when it starts (Unix ms)."""

    starts: int
    row: int
    line: Timeline


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
        rows = connection.execute(
            "SELECT first, id FROM frame WHERE axis = ? AND kind = ? AND first >= ? AND first < ? AND last >= ?"
            " ORDER BY first LIMIT ?",
            (axis, int(FrameKind.TELEMETRY), start - longest, stop, start, most + 1),
        )
        found.extend(Span(line.stamp(first).ts, row, line) for first, row in rows)
    return sorted(found, key=lambda span: (span.starts, span.row))[: most + 1]


def payloads(connection: sqlite3.Connection, rows: Sequence[int]) -> list[bytes | None]:
    """The payloads of frames; None where retention took one."""
    found = (connection.execute("SELECT payload FROM payload WHERE frame = ?", (row,)).fetchone() for row in rows)
    return [None if row is None else row[0] for row in found]


def tracks(payload: bytes, name: str, attributes: Mapping[str, str]) -> Iterator[Track]:
    """The tracks of a stored batch, cut down to the series that were asked for."""
    for whole in read_document(unzip(payload, MOST_UNPACKED))["tracks"]:
        ticks, first = len(whole["dt"]), 0
        families: list[list[Any]] = []
        cells: list[Any] = []
        for own, *rest, has in whole["families"]:
            sets = list(zip(*has.values(), strict=True)) if has else [()]
            for index, values in enumerate(sets) if own == name else ():
                held = dict(zip(has, values, strict=True))
                if all(held.get(key) == value for key, value in attributes.items()):
                    families.append([own, *rest, {key: [value] for key, value in held.items()}])
                    cells += whole["cells"][(first + index) * ticks : (first + index + 1) * ticks]
            first += len(sets)
        if families:
            cut = {name: whole[name] for name in ("collector", "t0", "dt")} | {"families": families, "cells": cells}
            yield realise(cut, outline(cut, "track"))


class _Answer:
    """The series of an answer as they grow."""

    def __init__(self, question: Question, attributes: Mapping[str, str]) -> None:
        self._question, self._attributes = question, attributes
        self.series: dict[Key, Thinned] = {}

    @property
    def points(self) -> int:
        """How many points there are so far."""
        return sum(len(thinned) for thinned in self.series.values())

    def take(self, batches: Sequence[tuple[bytes | None, Timeline]]) -> None:
        """Take the readings of these frames that lie in the range."""
        for payload, line in batches:
            for track in tracks(payload, self._question.name, self._attributes) if payload else ():
                self._take_track(track, line)

    def document(self) -> list[dict[str, Any]]:
        """The series as JSON objects, sorted."""
        written = []
        for (collector, series), thinned in sorted(self.series.items(), key=lambda item: repr(item[0])):
            members = {**series._asdict(), "attributes": dict(series.attributes)}
            written.append({"collector": collector, **members, "points": thinned.points()})
        return written

    def _take_track(self, track: Track, line: Timeline) -> None:
        asked = self._question
        stamps = [line.stamp(at) for at in track.instants]
        for series, column in zip(track.series, track.columns, strict=True):
            key = (track.collector, series)
            thinned = self.series.get(key) or Thinned(asked.start, asked.stop, asked.width, series.kind)
            for stamp, value in zip(stamps, column, strict=True):
                if value is not None and asked.start <= stamp.ts < asked.stop:
                    thinned.add(stamp, value)
            if len(thinned):
                self.series[key] = thinned


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
            await self._decoder.run(answer.take, [(body, span.line) for body, span in zip(bodies, turn, strict=True)])
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
