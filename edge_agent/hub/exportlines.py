"""Lines of an export: each point as a JSON object or as a row of a table, and what is said at its end.

A point is one reading, or a window of a thinned frame: then `value` is the mean of its `count` readings, `min` and
`max` are bounds of theirs, and `at` is its middle. In JSON only a window has `min`, `max` and `count`; in CSV these
columns are empty for a reading. `attributes` in CSV is a JSON object with sorted members, as text.

    {"ts": ms, "ts_err": ms | null, "flag": "anchored" | "approximate", "axis": str, "at": <axis ms>,
     "collector": str, "name": str, "attributes": {...}, "unit": str, "kind": str, "value": number}

    {"end": true, "complete": bool, "reached": ms, "gone": n, "why": str}

    # not whole: complete=0 reached=1800000000000 gone=0 why=...

The second is the last line of every JSON export. A table has no place for what is no row, so CSV has its last line, a
comment, only where something is missing: an export that just stops was cut, and so its transfer is not complete.

What is the same for all points of a series, or for all of an instant, is written once and joined. Does not handle:
telling apart series that differ by their source or digits alone.
"""

import csv
import io
from dataclasses import dataclass
from typing import Protocol

import orjson

from edge_agent.hub.layers import Key
from edge_agent.hub.thinning import Raw
from edge_agent.hub.timeline import Stamp

COLUMNS = (
    "ts", "ts_err", "flag", "axis", "at", "collector", "name", "attributes", "unit", "kind", "value", "min", "max",
    "count",
)  # fmt: skip


MEDIA = "application/x-ndjson, text/csv"
"""The types of an export, as a route names them."""


@dataclass(frozen=True, slots=True)
class End:
    """How an export ended: whether it is whole, up to which Unix ms, and how many frames retention took of it."""

    complete: bool
    reached: int
    gone: int
    why: str = ""


class Form(Protocol):
    """How points are written."""

    media: str
    opening: bytes

    def series(self, key: Key) -> bytes:
        """What all points of a series share."""

    def instant(self, stamp: Stamp, axis: str, at: int) -> bytes:
        """What all points of an instant share; `at` is axis ms."""

    def line(self, instant: bytes, series: bytes, value: float) -> bytes:
        """One reading."""

    def window(self, instant: bytes, series: bytes, raw: Raw) -> bytes:
        """One window."""

    def end(self, end: End) -> bytes:
        """The last line; empty where nothing need be said."""


class Ndjson:
    """A JSON object a line."""

    media = "application/x-ndjson"
    opening = b""

    def series(self, key: Key) -> bytes:
        """The members of a series, with a comma before each."""
        collector, series = key
        members = {
            "collector": collector,
            "name": series.name,
            "attributes": dict(series.attributes),
            "unit": series.unit,
            "kind": series.kind,
        }
        return b"," + orjson.dumps(members)[1:-1]

    def instant(self, stamp: Stamp, axis: str, at: int) -> bytes:
        """The first members of a point."""
        members = {"ts": stamp.ts, "ts_err": stamp.error, "flag": stamp.flag, "axis": axis, "at": at}
        return orjson.dumps(members)[:-1]

    def line(self, instant: bytes, series: bytes, value: float) -> bytes:
        """One reading."""
        return b'%b%b,"value":%b}\n' % (instant, series, _number(value))

    def window(self, instant: bytes, series: bytes, raw: Raw) -> bytes:
        """One window."""
        told = tuple(map(_number, (raw.value, raw.least, raw.greatest, raw.readings)))
        return b'%b%b,"value":%b,"min":%b,"max":%b,"count":%b}\n' % (instant, series, *told)

    def end(self, end: End) -> bytes:
        """How it ended, always."""
        members = {"end": True, "complete": end.complete, "reached": end.reached, "gone": end.gone, "why": end.why}
        return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)


class Csv:
    """A table with a head, comma-separated as RFC 4180 has it, lines ended by a bare newline."""

    media = "text/csv; charset=utf-8"
    opening = ",".join(COLUMNS).encode() + b"\n"

    def series(self, key: Key) -> bytes:
        """The cells of a series, with a comma after each."""
        collector, series = key
        attributes = orjson.dumps(dict(series.attributes), option=orjson.OPT_SORT_KEYS).decode()
        return _row(collector, series.name, attributes, series.unit, series.kind)

    def instant(self, stamp: Stamp, axis: str, at: int) -> bytes:
        """The first cells of a point."""
        return _row(stamp.ts, stamp.error, stamp.flag, axis, at)

    def line(self, instant: bytes, series: bytes, value: float) -> bytes:
        """One reading."""
        return b"%b%b%b,,,\n" % (instant, series, _number(value))

    def window(self, instant: bytes, series: bytes, raw: Raw) -> bytes:
        """One window."""
        told = tuple(map(_number, (raw.value, raw.least, raw.greatest, raw.readings)))
        return b"%b%b%b,%b,%b,%b\n" % (instant, series, *told)

    def end(self, end: End) -> bytes:
        """A comment where something is missing."""
        if end.complete and not end.gone:
            return b""
        told = f"# not whole: complete={end.complete:d} reached={end.reached} gone={end.gone} why={end.why}\n"
        return told.encode()


def _number(value: float) -> bytes:
    # Of finite numbers, which alone are stored, this is JSON.
    return repr(value).encode()


def _row(*cells: object) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=",").writerow(cells)
    return text.getvalue().encode()
