"""The thinner: full segments become segments of coarser windows, before anything is dropped for want of room.

    10 s    gauges keep mean, least, greatest and count of each window; counters keep real readings, the last of each
            window and both sides of each reset (`wire.coarse`)
    60 s    the same, made from the 10 s

The oldest full segment goes first; when only the open one is full, the oldest of 10 s. A segment is thinned as a whole:
the frames of the new one stand for the same numbers, each of them once, and it is as old. The new file is put in place
complete under its own name, then the old one is unlinked: whatever is cut short, the names say which of them counts.

What comes out must be at most three quarters of what went in; else the next window is tried at once, and after the last
the segment stays as it is. So does one with a frame that is no batch of telemetry or cannot be read, or whose opening
is damaged. Nothing is thinned that is open, and nothing while the disk has no room for both files.

One frame is read at a time, and some are thinned together, so that a segment of 1 MiB takes some 5 MiB of memory and
about a second of a core. One segment is thinned a call; at most `_MOST_TRIED` are read for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.ports import Disk
from edge_agent.model.ranges import Ranges, union
from edge_agent.spool.lender import Lender
from edge_agent.spool.reader import frames_at, opening_of
from edge_agent.spool.scan import Place
from edge_agent.spool.segment import Name, Opening, Segment, opening_frame
from edge_agent.spool.stock import Stock
from edge_agent.spool.thins import MOST_BODY
from edge_agent.wire.batch import unzip
from edge_agent.wire.coarse import Coarsener, StandIn
from edge_agent.wire.frame import encode

WINDOWS = (10_000, 60_000)
"""The windows that segments are thinned to, in ms, one after the other."""

_MOST_SHARE = 0.75
_MOST_TRIED = 2
_PART_BYTES = 2**18
"""Packed batches that one stand-in is made of at most: its windows are in memory meanwhile, at about 20 times that."""


class Thinner:
    """Thins the segments of a stock in its folder."""

    def __init__(self, disk: Disk, folder: Path, stock: Stock, lender: Lender) -> None:
        self._disk = disk
        self._folder = folder
        self._stock = stock
        self._lender = lender

    def thin(self, among: Sequence[Segment], widest: int) -> int:
        """Thin one of these, to windows of `widest` ms at most; the bytes that came free, 0 when none was thinned.

        OSError when the disk does not say what it has left.
        """
        closed = [segment for segment in among if not self._stock.is_open(segment)]
        for _ in range(_MOST_TRIED):
            segment = _first(closed, widest)
            if segment is None or self._disk.space(self._folder).bytes < segment.size:
                return 0
            try:
                freed = self._thin(segment, widest)
            except Malformed:
                segment.tried = WINDOWS[-1]
            except OSError:
                return 0
            else:
                if freed:
                    return freed
        return 0

    def put(self, name: Name, opening: Opening, frames: Iterable[tuple[Frame, Ranges]], most: float) -> Segment | None:
        """A thinned segment of these frames and the numbers of each, in place; None if it takes more than `most` bytes.

        OSError when the disk does not take it.
        """
        stands = {frame.identity.seq: numbers for frame, numbers in frames}
        start = encode(opening_frame(name, opening, self._folder.name))
        data = b"".join((start, *(encode(frame) for frame, _numbers in frames)))
        if len(data) > most:
            return None
        path = self._folder / name.file
        self._disk.replace(path, data)
        held = union(*stands.values())
        return Segment(name, path, len(data), name.after, held, opening.powered, stands=stands)

    def _thin(self, segment: Segment, widest: int) -> int:
        """Put its thinned form in a segment's place; 0 when none is small enough, Malformed when there is none."""
        places = self._lender.placed(segment)
        if not places or segment.kept:
            raise Malformed("bad_batch", "a segment that gives no frame is not thinned")
        opening = opening_of(self._disk, segment.path)
        if opening is None:
            raise Malformed("bad_batch", "a segment whose opening is damaged is not thinned")
        for window in _windows(segment, widest):
            name = Name(segment.name.generation, segment.name.first, segment.name.epoch, segment.end, window)
            made = _thinned(segment, self._singly(segment, places), name)
            thinned = self.put(name, opening, made, segment.size * _MOST_SHARE)
            if thinned is not None:
                thinned.held = segment.held
                self._stock.exchange(segment, thinned)
                return segment.size - thinned.size
            segment.tried = window
        return 0

    def _singly(self, segment: Segment, places: Sequence[Place]) -> Iterator[Frame]:
        for place in places:
            yield frames_at(self._disk, segment.path, [place])[0]


def _first(segments: Sequence[Segment], widest: int) -> Segment | None:
    """Which of these goes next; None when none can."""
    able = [segment for segment in segments if _windows(segment, widest)]
    return min(able, key=lambda segment: max(segment.name.window, segment.tried), default=None)


def _windows(segment: Segment, widest: int) -> list[int]:
    """The windows that a segment may still be thinned to."""
    return [window for window in WINDOWS if max(segment.name.window, segment.tried) < window <= widest]


def _thinned(segment: Segment, frames: Iterable[Frame], name: Name) -> list[tuple[Frame, Ranges]]:
    """The frames that stand for these of a segment, and the numbers of each; Malformed when one cannot be read."""
    made: list[StandIn] = []
    coarsener, size = Coarsener(name.epoch, name.window), 0
    sealed_at, numbers = 0, list[Ranges]()
    for frame in frames:
        if frame.kind not in {FrameKind.TELEMETRY, FrameKind.THINNED}:
            raise Malformed("bad_batch", f"frame {frame.identity} is no batch of telemetry")
        if size and size + len(frame.payload) > _PART_BYTES:
            made += coarsener.pack()
            coarsener, size = Coarsener(name.epoch, name.window), 0
        numbers.append(segment.numbers_of(frame.identity.seq))
        coarsener.add(numbers[-1], unzip(frame.payload, MOST_BODY))
        size += len(frame.payload)
        sealed_at = frame.sealed_at
    made += coarsener.pack()
    if union(*(one.ranges for one in made)) != union(*numbers):
        raise Malformed("bad_batch", "what was thinned does not stand for all that went in")
    return [
        (Frame(FrameKind.THINNED, Identity(name.written_under, one.ranges[0][0]), sealed_at, one.payload), one.ranges)
        for one in made
    ]
