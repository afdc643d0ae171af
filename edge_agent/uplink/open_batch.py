"""The file of the open batch: every tick is in it before the next one comes, so a crash costs at most the tick in hand.

It lies on tmpfs, wears no flash, and is never synced: it is to outlive the process, not the power. Its name is
`<epoch, 16 hex>-<seq>.open`. It holds lines, each `<crc32 of the JSON, 8 hex> <JSON>`:

    {"open": 1, "epoch": "<16 hex>", "seq": n, "axis": str, "resource": {...}}      the first line
    {"series": i, "is": [name, {attributes}, unit, kind, digits, source]}           once for each series
    {"layout": n, "collector": str, "of": [i, ...]}                                 once for each order of series
    {"tick": n, "at": <axis ms>, "values": [...], "why": [[position, reason], ...]} a tick in layout n
        and "missed": [[collector, beats, cause], ...], the beats that were missed since the tick before it
    {"seal": <axis ms>, "anchor": [lo, hi, at] | null, "stat": {...}}               the last line

Whatever ticks a file holds are all the ticks of its batch, and its seal holds all that the payload needs besides them.
So a batch that is sealed twice (because a crash came between keeping it and removing its file) is the same bytes twice.
That holds for a file that cannot be written any more, too: its batch ends with the ticks that it took, under the seal
that a file without one gets (`unsealed`), which says what the ticks say was missed: a crash hides no gap. A file that
never took a tick says nothing, and its batch goes on in memory.

A line whose CRC does not hold is dropped, and so is what stands behind the last line end: damage, or what a crash tore.
Ticks that refer to a dropped line go with it.

A value that is no finite number is written as absent, with the reason that the batch gives it. Not handled: two
processes at one file (the spool's lock sees to it); a write that fails once all of its bytes are in the file, where
the file cannot be cut either.
"""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from edge_agent.model.anchor import Anchor
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Identity
from edge_agent.model.ports import Disk, OpenFile
from edge_agent.model.reading import Reading, Series, Tick, series_of
from edge_agent.wire.track import is_time

SUFFIX = ".open"
VERSION = 1

_CRC = 9
_NUMBERS = 2**63
_ODD = (AttributeError, KeyError, TypeError, ValueError)
"""What lines raise whose CRC holds and that are of another shape: a file that somebody else made."""
_shape = itemgetter(0, 2, 3, 4, 5, 6)

Beats = Counter[tuple[str, str]]
"""Beats that were missed, by (collector, cause)."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What a sealed batch says besides its ticks; `sealed_at` is axis ms."""

    sealed_at: int
    anchor: Anchor | None
    stat: Mapping[str, Any]


@dataclass(slots=True)
class Opened:
    """What an open batch's file holds; `damaged` counts the lines that were dropped."""

    identity: Identity
    axis: str
    resource: Mapping[str, str]
    ticks: list[Tick] = field(default_factory=list)
    missed: Beats = field(default_factory=Counter)
    seal: Seal | None = None
    damaged: int = 0


def unsealed(last: int, missed: Beats) -> Seal:
    """The seal of a batch whose file has none: it ends with its last tick, at axis ms `last`."""
    return Seal(last, None, {"recovered": True} | said(missed))


def said(missed: Beats) -> dict[str, Any]:
    """What a batch's `stat` says of beats that were missed; nothing where there are none."""
    told = [[collector, beats, cause] for (collector, cause), beats in sorted(missed.items())]
    return {"missed": told} if told else {}


class BatchFile(NamedTuple):
    """The file of a batch that takes no more ticks, and its size in bytes."""

    path: Path
    size: int


class OpenBatch:
    """Writes the file, which is made with the first tick. After a failure it writes no more, and `failure` says why."""

    def __init__(self, disk: Disk, folder: Path, identity: Identity, axis: str, resource: Mapping[str, str]) -> None:
        self.path = folder / f"{identity.epoch:016x}-{identity.seq}{SUFFIX}"
        self.size = 0
        self.failure: Exception | None = None
        self.missed: Beats = Counter()
        """What its ticks say was missed."""
        self._disk = disk
        self._file: OpenFile | None = None
        self._latest: int | None = None
        self._first = {
            "open": VERSION,
            "epoch": f"{identity.epoch:016x}",
            "seq": identity.seq,
            "axis": axis,
            "resource": resource,
        }
        self._series: dict[Series, int] = {}
        self._layouts: dict[tuple[str, tuple[int, ...]], int] = {}
        self._last: dict[str, tuple[Sequence[object], int]] = {}

    @property
    def in_memory(self) -> bool:
        """The file took no tick and will take none: only memory has the batch."""
        return self.failure is not None and self._latest is None

    def append(self, tick: Tick, missed: Beats) -> bool:
        """Write a tick down, and what was `missed` beyond what the file says by now.

        False when the file has ticks but not this one: the batch must end without it.
        """
        if self.failure is not None:
            return self._latest is None
        lines: list[bytes] = []
        try:
            if self._file is None:
                lines.append(_line(self._first))
                self._file = self._disk.create(self.path)
            layout = self._layout(tick, lines)
            record: dict[str, Any] = {
                "tick": layout,
                "at": tick.at,
                "values": [reading[1] for reading in tick.readings],
            }
            why = [(index, reason) for index, reading in enumerate(tick.readings) if (reason := _why_absent(reading))]
            if why:
                record["why"] = why
                for index, _reason in why:
                    record["values"][index] = None
            news = missed - self.missed if missed else Counter()
            record |= said(news)
            lines.append(_line(record))
            self._write(self._file, b"".join(lines))
        except (OSError, orjson.JSONEncodeError) as error:
            self._fail(error)
            return self._latest is None
        self.missed += news
        self._latest = tick.at if self._latest is None else max(self._latest, tick.at)
        return True

    def seal(self, seal: Seal) -> Seal:
        """Write the seal, and close. What the batch must say: this seal, or that of a file that cannot take it."""
        if self._file is not None:
            anchor = None if seal.anchor is None else list(seal.anchor)
            try:
                self._write(self._file, _line({"seal": seal.sealed_at, "anchor": anchor, "stat": seal.stat}))
            except OSError as error:
                self._fail(error)
            self._close()
        return seal if self.failure is None or self._latest is None else unsealed(self._latest, self.missed)

    def _layout(self, tick: Tick, lines: list[bytes]) -> int:
        """The number of this order of series; lines that state it are added when it is new."""
        shapes = list(map(_shape, tick.readings))
        last, layout = self._last.get(tick.collector, ((), 0))
        if shapes == last:
            return layout
        order: list[int] = []
        for reading in tick.readings:
            series = series_of(reading)
            index = self._series.get(series)
            if index is None:
                index = self._series[series] = len(self._series)
                name, attributes, *rest = series
                lines.append(_line({"series": index, "is": [name, dict(attributes), *rest]}))
            order.append(index)
        key = (tick.collector, tuple(order))
        known = self._layouts.get(key)
        if known is None:
            known = self._layouts[key] = len(self._layouts)
            lines.append(_line({"layout": known, "collector": tick.collector, "of": order}))
        self._last[tick.collector] = (shapes, known)
        return known

    def _write(self, file: OpenFile, data: bytes) -> None:
        file.append(data)
        self.size += len(data)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._close()

    def _close(self) -> None:
        """Close, without what a failed write may have left behind the last line."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close(None if self.failure is None else self.size)


def read(data: bytes) -> Opened:
    """What a file holds, as far as it can be read; Malformed when its first line cannot."""
    first, *lines = data.split(b"\n")
    head = _record(first) if lines else None
    if head is None or "open" not in head:
        raise Malformed("bad_open_batch", "the first line is damaged")
    if head["open"] != VERSION:
        raise Malformed("unsupported_version", f"version {head['open']} is not known here", field="open")
    opened = _opened(head)
    tables = _Tables()
    torn = lines.pop()
    opened.damaged = bool(torn)
    for line in filter(None, lines):
        record = _record(line)
        if record is None or not tables.take(record, opened):
            opened.damaged += 1
    return opened


def _opened(head: Mapping[str, Any]) -> Opened:
    try:
        identity = Identity(int(head["epoch"], 16), head["seq"])
        axis, resource = head["axis"], head["resource"]
        _need(all(type(number) is int and 0 <= number < _NUMBERS for number in identity) and type(axis) is str)
        _need(all(type(fact) is str for fact in resource.values()))
    except _ODD as error:
        raise Malformed("bad_open_batch", "the first line says no batch") from error
    return Opened(identity, axis, resource)


class _Tables:
    """The series and layouts that a file has stated so far; a series stands as a reading without a value."""

    def __init__(self) -> None:
        self._series: dict[int, Reading] = {}
        self._layouts: dict[int, tuple[str, list[Reading]]] = {}

    def take(self, record: Mapping[str, Any], opened: Opened) -> bool:
        """Add what a line says; False when it is no such line, or refers to one that is not there."""
        try:
            if "series" in record:
                self._series[record["series"]] = _blank(*record["is"])
            elif "layout" in record:
                collector = record["collector"]
                _need(type(collector) is str)
                self._layouts[record["layout"]] = (collector, [self._series[index] for index in record["of"]])
            elif "tick" in record:
                tick, missed = _tick(record, *self._layouts[record["tick"]]), _missed(record.get("missed", ()))
                opened.ticks.append(tick)
                opened.missed += missed
            else:
                opened.seal = _seal(record["seal"], record["anchor"], record["stat"])
        except _ODD:
            return False
        return True


def _blank(name: Any, attributes: Any, unit: Any, kind: Any, digits: Any, source: Any) -> Reading:
    _need(all(type(text) is str for text in (name, unit, kind, source, *attributes.values())))
    _need(digits is None or type(digits) is int)
    return Reading(name, None, unit, attributes, kind, digits, source)


def _tick(record: Mapping[str, Any], collector: str, layout: Sequence[Reading]) -> Tick:
    at, values, why = record["at"], record["values"], dict(record.get("why", ()))
    _need(is_time(at) and all(value is None or isinstance(value, int | float) for value in values))
    _need(all(type(reason) is str for reason in why.values()))
    return Tick(
        collector,
        at,
        tuple(
            blank._replace(value=value, reason=why.get(index))
            for index, (blank, value) in enumerate(zip(layout, values, strict=True))
        ),
    )


def _missed(told: Any) -> Beats:
    _need(all(type(part) is str for collector, _beats, cause in told for part in (collector, cause)))
    _need(all(type(beats) is int and 0 < beats < _NUMBERS for _collector, beats, _cause in told))
    return Counter({(collector, cause): beats for collector, beats, cause in told})


def _seal(sealed_at: Any, anchor: Any, stat: Any) -> Seal:
    _need(is_time(sealed_at) and isinstance(stat, dict) and (anchor is None or all(map(is_time, anchor))))
    return Seal(sealed_at, None if anchor is None else Anchor(*anchor), stat)


def _need(holds: bool) -> None:  # noqa: FBT001 - one thing that must be so
    if not holds:
        raise TypeError("a line says something of another type")


def _why_absent(reading: Reading) -> str | None:
    """Why a reading has no value that JSON can hold; None when it has one, or gives no reason."""
    value = reading[1]
    if value is None:
        return reading[7]
    if value - value == 0:  # false for what is not finite
        return None
    return "nan" if value != value else "infinite"  # noqa: PLR0124 - only a NaN differs from itself


def _line(record: Mapping[str, Any]) -> bytes:
    body = orjson.dumps(record)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _record(line: bytes) -> dict[str, Any] | None:
    """What a line says; None when it is damaged."""
    body = line[_CRC:]
    if line[:_CRC] != b"%08x " % zlib.crc32(body):
        return None
    try:
        record = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None
