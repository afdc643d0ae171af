"""Looking at a spool from outside, for the command line: read only, without the lock, while the agent runs or not.

What is seen may change under the eye: a segment that goes meanwhile is left out, and the last bytes of a segment that
is being written may look unfinished. That is told apart from damage: nothing good follows it, and no later segment of
its epoch is there.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.model.frame import LANES, Frame, LaneName, Range
from edge_agent.model.ports import Disk, Entry
from edge_agent.model.ranges import Ranges
from edge_agent.spool.reader import frames_at, read_around
from edge_agent.spool.scan import Scan, scan
from edge_agent.spool.segment import MOST_BYTES, Name, parse_name, read_opening

_OUR_NAMES = frozenset({"lock", "dead", "quarantine", *LANES})


@dataclass(frozen=True, slots=True)
class Listed:
    """One segment: its frames' count, bytes in the file, and the first and last number in it (None without frames)."""

    lane: LaneName
    path: Path
    generation: int
    epoch: int
    frames: int
    bytes: int
    first: int | None
    last: int | None
    device: str | None
    """Whose it is, as its opening says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one file. `damage` are ranges of bytes, `lost` the numbers that they took.

    `what` is `damaged`, `unfinished`, `unreadable` (the disk does not give it), `later_version` or `foreign`.
    """

    path: Path
    what: str
    damage: tuple[Range, ...] = ()
    lost: Ranges = ()


def listing(disk: Disk, folder: Path) -> list[Listed]:
    """Every segment below a spool's folder, by lane, oldest first. Unreadable ones are left out."""
    return [_listed(segment, segment.seen) for segment in _segments(disk, folder) if segment.seen is not None]


def verify(disk: Disk, folder: Path) -> list[Finding]:
    """What is wrong below a spool's folder; empty when nothing is. OSError when the folder cannot be read."""
    findings = [
        Finding(folder / entry.name, "foreign") for entry in disk.entries(folder) if entry.name not in _OUR_NAMES
    ]
    for lane in LANES:
        findings += [
            Finding(folder / lane / entry.name, "foreign")
            for entry in _entries(disk, folder / lane)
            if parse_name(entry.name) is None or entry.size is None or entry.size > MOST_BYTES
        ]
    for segment in _segments(disk, folder):
        findings += _findings(segment)
    return findings


def frames_of(disk: Disk, path: Path) -> list[Frame]:
    """The good frames of one segment, for an export; OSError or Malformed when it changes meanwhile."""
    name = parse_name(path.name)
    if name is None:
        raise FileNotFoundError(errno.ENOENT, "not the name of a segment", str(path))
    data = read_around(disk, path, MOST_BYTES)
    return frames_at(disk, path, scan(data, name.epoch, name.first, None).places)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A segment as it is now. `until` is the first number of its epoch's next one; `seen` is None when unreadable."""

    lane: LaneName
    name: Name
    path: Path
    size: int
    until: int | None
    seen: Scan | None


def _segments(disk: Disk, folder: Path) -> Iterator[_Seen]:
    for lane in LANES:
        found = [(parse_name(entry.name), entry) for entry in _entries(disk, folder / lane)]
        named = sorted(
            (name, entry.name, entry.size)
            for name, entry in found
            if name is not None and entry.size is not None and entry.size <= MOST_BYTES
        )
        for name, file, size in named:
            path = folder / lane / file
            kin = (other.first for other, _file, _size in named if other.epoch == name.epoch)
            until = min((first for first in kin if first > name.first), default=None)
            try:
                seen = scan(read_around(disk, path, size), name.epoch, name.first, until)
            except FileNotFoundError:
                continue
            except OSError:
                seen = None
            yield _Seen(lane, name, path, size, until, seen)


def _entries(disk: Disk, folder: Path) -> list[Entry]:
    try:
        return disk.entries(folder)
    except NotADirectoryError:
        return []


def _listed(segment: _Seen, seen: Scan) -> Listed:
    numbers = [place.seq for place in seen.places]
    opening = read_opening(seen.opening)
    return Listed(
        segment.lane,
        segment.path,
        segment.name.generation,
        segment.name.epoch,
        len(numbers),
        segment.size,
        min(numbers, default=None),
        max(numbers, default=None),
        opening.device if opening is not None else None,
    )


def _findings(segment: _Seen) -> Iterator[Finding]:
    seen = segment.seen
    if seen is None:
        yield Finding(segment.path, "unreadable")
        return
    if seen.unknown:
        yield Finding(segment.path, "later_version")
    if seen.damage or seen.lost:
        good_until = max((place.offset + place.size for place in seen.places), default=0)
        at_the_end = segment.until is None and all(start >= good_until for start, _end in seen.damage)
        yield Finding(segment.path, "unfinished" if at_the_end else "damaged", seen.damage, seen.lost)
