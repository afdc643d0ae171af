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
from edge_agent.model.ranges import Ranges, union
from edge_agent.spool.reader import frames_at, read_around
from edge_agent.spool.reserve import FILE as RESERVE
from edge_agent.spool.scan import Scan, scan
from edge_agent.spool.segment import MOST_BYTES, Name, is_unfinished, outdated, parse_name, read_opening
from edge_agent.spool.thins import stood_for

_OUR_NAMES = frozenset({"lock", "dead", "quarantine", RESERVE, *LANES})


@dataclass(frozen=True, slots=True)
class Listed:
    """One segment: its frames' count, bytes in the file, and the first and last number in it (None without frames).

    `window` is that of a thinned segment in ms, else 0; its numbers are those that it stands for.
    """

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
    window: int


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
            if not _is_ours(entry)
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
    return frames_at(disk, path, scan(data, name.written_under, name.first, None).places)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A segment as it is now. `until` is the first number of its epoch's next one; `seen` is None when unreadable.

    `numbers` are those that its frames stand for, `lost` those that damage took.
    """

    lane: LaneName
    name: Name
    path: Path
    size: int
    until: int | None
    seen: Scan | None
    numbers: Ranges = ()
    lost: Ranges = ()


def _is_ours(entry: Entry) -> bool:
    if is_unfinished(entry.name):
        return True
    return parse_name(entry.name) is not None and entry.size is not None and entry.size <= MOST_BYTES


def _segments(disk: Disk, folder: Path) -> Iterator[_Seen]:
    for lane in LANES:
        found = [(parse_name(entry.name), entry) for entry in _entries(disk, folder / lane)]
        named = sorted(
            (name, entry.name, entry.size)
            for name, entry in found
            if name is not None and entry.size is not None and entry.size <= MOST_BYTES
        )
        late = outdated(name for name, _file, _size in named)
        for name, file, size in named:
            if name in late:
                continue
            path = folder / lane / file
            kin = (other.first for other, _file, _size in named if other.epoch == name.epoch)
            until = min((first for first in kin if first > name.first), default=None)
            try:
                data = read_around(disk, path, size)
            except FileNotFoundError:
                continue
            except OSError:
                yield _Seen(lane, name, path, size, until, None)
                continue
            seen = scan(data, name.written_under, name.first, until)
            numbers, lost = seen.numbers, seen.lost
            if name.window:
                stands, lost = stood_for(name, data, seen)
                numbers = union(*stands.values())
            yield _Seen(lane, name, path, size, until, seen, numbers, lost)


def _entries(disk: Disk, folder: Path) -> list[Entry]:
    try:
        return disk.entries(folder)
    except NotADirectoryError:
        return []


def _listed(segment: _Seen, seen: Scan) -> Listed:
    opening = read_opening(seen.opening)
    return Listed(
        segment.lane,
        segment.path,
        segment.name.generation,
        segment.name.epoch,
        len(seen.places),
        segment.size,
        segment.numbers[0][0] if segment.numbers else None,
        segment.numbers[-1][1] - 1 if segment.numbers else None,
        opening.device if opening is not None else None,
        segment.name.window,
    )


def _findings(segment: _Seen) -> Iterator[Finding]:
    seen = segment.seen
    if seen is None:
        yield Finding(segment.path, "unreadable")
        return
    if seen.unknown:
        yield Finding(segment.path, "later_version")
    if seen.damage or segment.lost:
        good_until = max((place.offset + place.size for place in seen.places), default=0)
        at_the_end = segment.until is None and all(start >= good_until for start, _end in seen.damage)
        yield Finding(segment.path, "unfinished" if at_the_end else "damaged", seen.damage, segment.lost)
