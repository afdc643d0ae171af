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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.extract import Extract, Window
from edge_agent.hub.layers import Key
from edge_agent.hub.spans import Range, Span, payloads, read_range, spans, tracks
from edge_agent.hub.store import Store
from edge_agent.hub.thinning import COLUMNS, Point, Raw, Thinned
from edge_agent.model.ports import Worker
from edge_agent.model.quantity import Interval
from edge_agent.wire.thins import Thins
from edge_agent.wire.track import Track

_MOST_WIDTH = 10_000
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Options:
    """The most work of one question: frames looked at, points answered or held back, and time."""

    most_frames: int = 50_000
    most_points: int = 200_000
    most_time: Interval = 5.0


class Question(Range):
    """Which readings of a device, from when to when, in at most how many points a series."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
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


class _Answer:
    """The series of an answer as they grow."""

    def __init__(self, question: Question, attributes: Mapping[str, str]) -> None:
        self._question, self._attributes = question, attributes
        self.series: dict[Key, Thinned] = {}
        # What is read is cut down to what was asked for.
        self._extract = Extract(question.start, question.stop, self._read, lambda _key: True)

    @property
    def points(self) -> int:
        """How many points there are so far, with those that are not settled."""
        return sum(len(thinned) for thinned in self.series.values()) + len(self._extract.layers)

    @property
    def settled(self) -> float:
        """Up to which Unix ms no point is held back."""
        return self._extract.layers.earliest

    def take(self, batches: Sequence[tuple[bytes | None, Span]]) -> None:
        """Take the readings of these frames that lie in the range, and settle what they leave behind."""
        for told in self._extract.take(batches):
            if isinstance(told, Window):
                self._add(told.key, told.raw)
                continue
            for key, column in told.columns:
                thinned = self._series(key)
                for place, stamp in told.stamps:
                    value = column[place]
                    if value is not None:
                        thinned.add(Raw(stamp, value, value, value, 1))
                if len(thinned):
                    self.series[key] = thinned

    def document(self) -> list[dict[str, Any]]:
        """The series as JSON objects, sorted."""
        written = []
        for (collector, series), thinned in sorted(self.series.items(), key=lambda item: repr(item[0])):
            members = {**series._asdict(), "attributes": dict(series.attributes)}
            written.append({"collector": collector, **members, "points": thinned.points()})
        return written

    def _read(self, payload: bytes | None, _span: Span) -> Iterable[tuple[Track, Thins | None]]:
        return () if payload is None else tracks(payload, self._question.name, self._attributes)

    def _series(self, key: Key) -> Thinned:
        asked = self._question
        return self.series.get(key) or Thinned(asked.start, asked.stop, asked.width, key[1].kind)

    def _add(self, key: Key, raw: Raw) -> None:
        self.series[key] = thinned = self._series(key)
        thinned.add(raw)


class History:
    """Answers what a device measured. `now` is ms on the hub's axis; `decoder` is a worker of the wiring."""

    def __init__(self, store: Store, now: Callable[[], int], options: Options, decoder: Worker) -> None:
        self._store, self._now, self._options, self._decoder = store, now, options, decoder

    async def query(self, ask: Ask) -> Reply:
        """The readings of one name within a range; Malformed `bad_query` with the member that is wrong."""
        question, attributes = read_range(Question, ask)
        options, began = self._options, self._now()
        found = await self._store.read(partial(spans, asked=question, most=options.most_frames))
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
