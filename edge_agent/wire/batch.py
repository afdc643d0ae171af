"""Sealed batches: what a device measured, as one columnar JSON document, gzipped.

    {"v": 1, "axis": str, "anchor": [lo, hi, at] | null, "resource": {str: str}, "tracks": [...], "stat": {...}}

`wire.track` has the tracks, one a collector. All times are ms on the device's axis; the anchor bounds (true time - axis
time) at the axis time `at` (`model.anchor`). The resource is said once a batch: identity facts and labels. `stat` is a
free JSON object, never read here: beats missed, readings left out (`unfit`), and the like.

The same ticks give the same bytes: keys are sorted, the gzip level is fixed and no time of day is in it. What is read
is bounded in every direction, and raises `Malformed` only: `bad_gzip` and `too_large` from `unzip`, then `bad_json`,
`unsupported_version`, or `bad_batch` with the path of the part that is wrong. Members that are not known are ignored.
`anchor`, `resource`, `stat` and a track's `gaps` may be missing, for people who write a batch by hand.

A thinned batch says `"thins"` as well: which numbers it stands for, and the length of its windows (`wire.thins`).

Frames, identities and signatures are not known here; neither is what the hub does with a batch.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from edge_agent.model.anchor import Anchor
from edge_agent.model.failure import Malformed
from edge_agent.model.reading import Tick
from edge_agent.wire.column import TrackBuilder
from edge_agent.wire.thins import Thins, read_thins
from edge_agent.wire.track import (
    MOST_CELLS,
    MOST_NAME,
    MOST_SERIES,
    MOST_TEXT,
    Gap,
    Outline,
    Track,
    is_name,
    is_text,
    is_time,
    outline,
    realise,
    refuse,
    written,
)

__all__ = ["Batch", "BatchBuilder", "Gap", "Head", "Outline", "Survey", "Thins", "Track", "parse", "survey", "unzip"]

VERSION = 1
MOST_TRACKS = 256
MOST_FACTS = 256
"""Members of a resource."""
MOST_DEPTH = 32
"""How deep free JSON may be nested."""

_GZIP = 31  # zlib's number for the gzip format with the largest window
_LEVEL = 9
_ANCHOR_PARTS = 3
_EMPTY_BYTES = 300
"""About what a batch takes besides its tracks, packed."""


@dataclass(frozen=True, slots=True)
class Head:
    """What every payload says first: whose axis it speaks of, what is known of true time there, and who speaks."""

    axis: str
    anchor: Anchor | None
    resource: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Batch(Head):
    """A batch with its real values; `thins` says what a thinned one stands for, None of a full one."""

    tracks: tuple[Track, ...]
    stat: Mapping[str, Any]
    thins: Thins | None = None


@dataclass(frozen=True, slots=True)
class Survey(Head):
    """What a batch holds, checked to its last cell but without its values.

    `first` and `last` are the axis ms of its ends, None when it has no tracks; `readings` counts values. In a thinned
    batch, whose `thins` is not None, they go by the starts of windows, and by the readings that windows were made of.
    """

    tracks: tuple[Outline, ...]
    stat: Mapping[str, Any]
    first: int | None
    last: int | None
    readings: int
    thins: Thins | None = None


class BatchBuilder:
    """A batch as its ticks come, from one axis and one resource."""

    def __init__(self, axis: str, resource: Mapping[str, str]) -> None:
        self._axis = axis
        self._resource = resource
        self._tracks: dict[str, TrackBuilder] = {}
        self._unfit = 0

    @property
    def readings(self) -> int:
        """Readings that have a value."""
        return sum(column.filled for track in self._tracks.values() for column in track.columns)

    @property
    def ticks(self) -> int:
        """Ticks of all collectors together."""
        return sum(len(track.instants) for track in self._tracks.values())

    @property
    def size(self) -> int:
        """About how many bytes `pack` would make now."""
        return _EMPTY_BYTES + round(sum(track.size for track in self._tracks.values()))

    def add(self, tick: Tick) -> None:
        """Add one tick. What the format cannot hold is left out and counted in `stat`, as `unfit`."""
        tracks = self._tracks
        track = tracks.get(tick.collector) or TrackBuilder(tick.collector)
        cells = sum(known.cells for known in tracks.values()) + len(track.columns)
        new = tick.collector not in tracks
        if (new and len(tracks) == MOST_TRACKS) or not track.follows(tick.at) or cells > MOST_CELLS:
            self._unfit += len(tick.readings)
            return
        tracks[tick.collector] = track
        series = sum(len(known.columns) for known in tracks.values())
        room = min(MOST_SERIES - series, (MOST_CELLS - cells) // (len(track.instants) + 1))
        self._unfit += track.add(tick.at, tick.readings, room)

    def pack(self, anchor: Anchor | None, stat: Mapping[str, Any]) -> bytes:
        """The batch as bytes, the same for the same ticks."""
        tracks = [track.track() for track in self._tracks.values()]
        stat = {**stat, "unfit": self._unfit} if self._unfit else dict(stat)
        return packed(Head(self._axis, anchor, self._resource), {"tracks": tracks, "stat": stat})


def parse(body: bytes) -> Batch:
    """The batch that a body says, with its real values."""
    document = read_document(body)
    found = surveyed(document)
    tracks = tuple(realise(track, known) for track, known in zip(document["tracks"], found.tracks, strict=True))
    return Batch(found.axis, found.anchor, found.resource, tracks, found.stat, found.thins)


def survey(body: bytes) -> Survey:
    """What a body holds, checked as `parse` checks it."""
    return surveyed(read_document(body))


def packed(head: Head, members: Mapping[str, Any]) -> bytes:
    """A payload: the document of a head and further members, gzipped."""
    document = {
        "v": VERSION,
        "axis": head.axis,
        "anchor": None if head.anchor is None else list(head.anchor),
        "resource": {written(name): written(fact) for name, fact in head.resource.items()},
        **members,
    }
    # Filtered: for small numbers that look random, as deltas do; 3 % smaller than the default.
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
    return packer.compress(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)) + packer.flush()


def unzip(payload: bytes, most: int) -> bytes:
    """The body in a payload, of at most so many bytes; no more than that is ever unpacked."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(payload, most + 1)
    except zlib.error as error:
        raise Malformed("bad_gzip", "the payload is not gzip, or is damaged") from error
    if len(body) > most:
        raise Malformed("too_large", f"the payload unpacks to more than {most} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise Malformed("bad_gzip", "the payload is cut short, or something follows it")
    return body


def read_document(body: bytes) -> dict[str, Any]:
    """The JSON object of a payload of a known version."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("bad_json", f"the body is not JSON: {error}") from error
    if type(document) is not dict:
        refuse("body", "must be an object")
    version = document.get("v")
    if type(version) is not int:
        refuse("v", "must be the version, an integer")
    if version != VERSION:
        raise Malformed("unsupported_version", f"version {version} is not known here", field="v")
    return document


def read_head(document: Mapping[str, Any]) -> Head:
    """The head of a document, checked."""
    axis, anchor, resource = document.get("axis"), document.get("anchor"), _or_empty(document.get("resource"))
    if not is_name(axis):
        refuse("axis", f"must be a name of up to {MOST_NAME} characters")
    if type(resource) is not dict or len(resource) > MOST_FACTS:
        refuse("resource", f"must be an object of up to {MOST_FACTS} facts")
    if not all(is_text(key) and is_text(value) for key, value in resource.items()):
        refuse("resource", f"must hold strings of up to {MOST_TEXT} characters")
    if anchor is None:
        return Head(axis, None, resource)
    if type(anchor) is not list or len(anchor) != _ANCHOR_PARTS or not all(map(is_time, anchor)):
        refuse("anchor", "must be null or [lo, hi, at] in ms")
    if anchor[0] > anchor[1]:
        refuse("anchor", "must have its bounds in order")
    return Head(axis, Anchor(*anchor), resource)


def read_stat(stat: Any) -> dict[str, Any]:
    """The free JSON object of a batch, checked; empty when it has none."""
    found = _or_empty(stat)
    if type(found) is not dict or not is_shallow(found):
        refuse("stat", f"must be an object, nested at most {MOST_DEPTH} deep")
    return found


def is_shallow(value: object, most: int = MOST_DEPTH) -> bool:
    """Whether free JSON is nested at most so deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most >= 0 and all(is_shallow(part, most - 1) for part in inner)


def _or_empty(value: Any) -> Any:
    return {} if value is None else value


def surveyed(document: Mapping[str, Any]) -> Survey:
    """The survey of a document."""
    head, tracks, thins = read_head(document), document.get("tracks"), read_thins(document.get("thins"))
    most = MOST_TRACKS if thins is None else 2 * MOST_TRACKS
    if type(tracks) is not list or len(tracks) > most:
        refuse("tracks", f"must be a list of up to {most} tracks")
    stat = read_stat(document.get("stat"))
    window = None if thins is None else thins.window
    outlines = (outline(track, f"tracks[{index}]", window) for index, track in enumerate(tracks))
    return summed(head, outlines, stat, thins)


def summed(head: Head, outlines: Iterable[Outline], stat: Mapping[str, Any], thins: Thins | None = None) -> Survey:
    """The survey of a batch from those of its tracks, which together must stay within what a batch may hold."""
    tracks: list[Outline] = []
    series = cells = 0
    for known in outlines:
        tracks.append(known)
        series += len(known.series)
        cells += len(known.series) * known.ticks
        if series > MOST_SERIES or cells > MOST_CELLS:
            refuse("tracks", f"must hold at most {MOST_SERIES} series and {MOST_CELLS} cells together")
    return Survey(
        head.axis,
        head.anchor,
        head.resource,
        tuple(tracks),
        stat,
        min((known.first for known in tracks), default=None),
        max((known.last for known in tracks), default=None),
        sum(known.readings for known in tracks),
        thins,
    )
