"""Spans: which part of what a device sent is asked for, which stored frames may hold it, and the tracks of a frame.

A range is `from <= ts < to`, in Unix ms. Where there are thinned frames, those within half an hour about it are found
too: of what tells the same readings the finer is told (`layers`), and a window may reach out of the range.

Does not handle: what a frame tells, and which of it stands in the range; `extract` does.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import inf
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.hub.exchange import Ask
from edge_agent.hub.forms import read_query
from edge_agent.hub.neighbours import Line, lines, may_hold
from edge_agent.hub.parcels import MOST_UNPACKED
from edge_agent.hub.store.frames import find_sender
from edge_agent.hub.timeline import Timeline
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import FrameKind
from edge_agent.wire.batch import read_document, unzip
from edge_agent.wire.thins import MOST_WINDOW, Thins, read_thins
from edge_agent.wire.track import Track, outline, realise

REACH = MOST_WINDOW // 2
"""How far a window whose middle lies within a range may reach out of it, in ms."""

_TIMES = 2**53
_ATTRIBUTE = "attr."
_LISTS = ("cells", "least", "greatest", "counts")

_OVERLAPPING = """
SELECT first, last, id, 0, 0 FROM frame WHERE axis = ? AND kind = ? AND first >= ? AND first < ? AND last >= ?
ORDER BY first LIMIT ?
"""
_NAMED = _OVERLAPPING.replace("0, 0", "epoch, seq")
"""The same with identities, which the index does not have."""


class Range(BaseModel):
    """What a device measured from one Unix ms to before another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Annotated[str, Field(min_length=1, max_length=128)]
    start: Annotated[int, Field(alias="from", ge=-_TIMES, le=_TIMES)]
    stop: Annotated[int, Field(alias="to", ge=-_TIMES, le=_TIMES)]


RangeT = TypeVar("RangeT", bound=Range)


def read_range(form: type[RangeT], ask: Ask) -> tuple[RangeT, dict[str, str]]:
    """What is asked for, and which attributes (`attr.<key>`) a series must have; Malformed `bad_query`."""
    members = {name: value for name, value in ask.query.items() if not name.startswith(_ATTRIBUTE)}
    attributes = {name[len(_ATTRIBUTE) :]: value for name, value in ask.query.items() if name.startswith(_ATTRIBUTE)}
    asked = read_query(form, Ask(ask.request, ask.caller, ask.params, members, ask.received_at))
    if asked.start >= asked.stop:
        raise Malformed("bad_query", "from must be before to", field="from")
    return asked, attributes


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


def spans(connection: sqlite3.Connection, asked: Range, most: int, placed: Sequence[Line] | None = None) -> list[Span]:
    """The frames of a device that may overlap a range, oldest first, at most so many and one more.

    `placed` are the axes that are looked at, and where they lie just now; all that matter when absent.
    """
    found: list[Span] = []
    layered = False
    if placed is None:
        near = partial(may_hold, connection, start=asked.start, stop=asked.stop)
        placed = lines(connection, find_sender(connection, asked.device), near)
    for axis, longest, line in placed:
        start, stop = line.within(asked.start, asked.stop)
        rows = partial(_rows, connection, axis, longest, most + 1)
        # A window may reach into the range from before it.
        thinned = rows(_OVERLAPPING, FrameKind.THINNED, start - MOST_WINDOW, stop + REACH)
        if not thinned:
            full = rows(_OVERLAPPING, FrameKind.TELEMETRY, start, stop)
            found.extend(Span(line.stamp(first).ts, row, line, axis, first) for first, _, row, *_ in full)
            continue
        layered = True
        full = rows(_NAMED, FrameKind.TELEMETRY, start - REACH, stop + REACH)
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
