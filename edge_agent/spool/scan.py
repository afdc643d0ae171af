"""Reading a segment's bytes: which frames stand where, and which numbers damage took.

A frame counts when both its CRCs hold and its epoch is the segment's. From a place where no frame stands the scan
searches on for the next magic that starts one, to the last byte; only zeros that reach the end stop it. Frames count
wherever they stand: a sector that was written to the wrong place costs what it hid, not all numbers between. (The
design asked for rising numbers here; with two sectors swapped that rule lost hundreds of good batches.) Each number
counts once, so a stale copy does no harm.

A missing number is lost to damage only where a bad region lies between its neighbours in the file. The first number
of the segment's name stands for the start, `until` (the first number of the epoch's next segment) for the end, where it
is known. A good header over a bad payload names its number itself. Any other hole is none of the scan's business.

A frame of a later version counts as there, unread, when its header keeps the rule that all versions keep: magic,
version, kind, header length and payload length as in version 1, and a CRC of the header in its last four bytes.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, FrameKind, Range
from edge_agent.model.ranges import Ranges, difference, holds, ranges_of, union
from edge_agent.wire.frame import MAGIC, VERSION, decode, decode_header

_COMMON = struct.Struct(">4sBBHI")
_CRC = struct.Struct(">I")


class Place(NamedTuple):
    """Where in the file a frame stands."""

    seq: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a segment's bytes hold. `places` are sorted by number; `damage` are ranges of bytes."""

    places: tuple[Place, ...]
    opening: Frame | None
    lost: Ranges
    damage: tuple[Range, ...]
    unknown: int
    """Frames of a later version."""
    blank: bool
    """Nothing is in it, and nothing ever was: at most an opening, and zeros."""
    bad: bool
    """There is damage, or there are zeros where frames may have been."""

    @property
    def numbers(self) -> Ranges:
        """The numbers of the frames."""
        return ranges_of(place.seq for place in self.places)

    @property
    def end(self) -> int:
        """The number after the highest that the bytes tell of; 0 when they tell of none."""
        last = self.places[-1].seq + 1 if self.places else 0
        return max(last, self.lost[-1][1] if self.lost else 0)


@dataclass(slots=True)
class _Findings:
    places: dict[int, Place]
    named: set[int]
    damage: list[Range]
    opening: Frame | None = None
    unknown: int = 0
    zeros_from: int | None = None


def scan(data: bytes, epoch: int, first: int, until: int | None) -> Scan:
    """The frames of one segment's bytes; `epoch` and `first` as its name says, `until` as its successor's does."""
    found = _Findings({}, set(), [])
    offset, bad = 0, -1
    while offset < len(data):
        after = _frame_at(data, offset, epoch, found)
        if after is not None:
            if bad >= 0:
                found.damage.append((bad, offset))
            offset, bad = after, -1
            continue
        if bad < 0:
            bad = offset
            if data.count(0, bad) == len(data) - bad:
                found.zeros_from, bad = bad, -1
                break
        offset = data.find(MAGIC, offset + 1)
        if offset < 0:
            break
    if bad >= 0:
        found.damage.append((bad, len(data)))
    places = tuple(found.places[seq] for seq in sorted(found.places))
    blank = not (places or found.damage or found.unknown)
    return Scan(
        places,
        found.opening,
        _lost(places, found, first, until, len(data)),
        tuple(found.damage),
        found.unknown,
        blank,
        bool(found.damage) or found.zeros_from is not None or not data,
    )


def _frame_at(data: bytes, offset: int, epoch: int, found: _Findings) -> int | None:
    """Note the frame that stands there; the offset after it, or None when none does."""
    try:
        frame, after = decode(data, offset)
    except Malformed as error:
        if error.code == "frame_version":
            return _later_version_at(data, offset, found)
        if error.code in {"frame_payload_crc", "frame_truncated"}:
            _note_header(data, offset, epoch, found)
        return None
    if frame.identity.epoch != epoch:
        return None
    if frame.kind == FrameKind.SEGMENT:
        found.opening = found.opening or frame
    else:
        found.places.setdefault(frame.identity.seq, Place(frame.identity.seq, offset, after - offset))
    return after


def _note_header(data: bytes, offset: int, epoch: int, found: _Findings) -> None:
    """A good header over a bad payload: its number was here."""
    try:
        header = decode_header(data, offset)
    except Malformed:
        return
    if header.identity.epoch == epoch and header.kind != FrameKind.SEGMENT:
        found.named.add(header.identity.seq)


def _later_version_at(data: bytes, offset: int, found: _Findings) -> int | None:
    """The offset after a frame of a later version; None where it is only damage."""
    _magic, version, _kind, header_size, payload_size = _COMMON.unpack_from(data, offset)
    crc_at = offset + header_size - _CRC.size
    after: int = offset + header_size + payload_size + _CRC.size
    if version <= VERSION or header_size < _COMMON.size + _CRC.size or after > len(data):
        return None
    if zlib.crc32(data[offset:crc_at]) != _CRC.unpack_from(data, crc_at)[0]:
        return None
    found.unknown += 1
    return after


def _lost(places: Sequence[Place], found: _Findings, first: int, until: int | None, size: int) -> Ranges:
    """The numbers that bad regions took, as far as the neighbours of each tell."""
    damage = list(found.damage)
    if found.zeros_from is not None or size == 0:
        damage.append((found.zeros_from or 0, size))
    if until is None and found.named:
        until = max(found.named) + 1
    if until is None and not places and found.damage and not found.unknown:
        until = first + 1
    stops = [Place(first - 1, 0, 0), *places]
    if until is not None:
        stops.append(Place(until, size, 0))
    gone: list[Range] = []
    for before, after in pairwise(stops):
        low, high = min(before.offset, after.offset), max(before.offset, after.offset)
        if after.seq > before.seq + 1 and any(low <= start and end <= high for start, end in damage):
            gone.append((before.seq + 1, after.seq))
    numbers = ranges_of(place.seq for place in places)
    named = ranges_of(number for number in found.named if not holds(numbers, number))
    return difference(union([*gone, *named]), numbers)
