"""Segment files: their names, their opening frame, and what is remembered of each.

    <lane folder>/<generation>-<epoch>-<first seq>.seg                              as it was sealed
    <lane folder>/<generation>-<epoch>-<first seq>-<after last>-<window>s.seg       thinned

The generation (8 or more digits) orders lives and boots; it is the largest found plus one. The epoch has 16 hex digits,
numbers have 10 or more. The opening frame is of kind SEGMENT, under the epoch of the frames after it and the segment's
first number, with JSON: `device`, `lane`, `generation`, `axis` (the name of the axis that its `sealed_at` is on) and
`powered` (ms of powered-on time that the lane had seen when the segment was made; the ages of segments are differences
of it, since each boot's axis starts anew). A segment whose opening is damaged is read without.

A thinned segment speaks in its name of the epoch and numbers that it stands for, up to `after last`; the frames in it
have identities of their own (`wire.coarse`), and each payload names its numbers. All that is remembered and claimed is
in terms of the numbers stood for. Of files with one generation, epoch and first number the one with the widest window
holds for all of them: it was put in place whole when it got its name, and the others were to be unlinked then.

A file counts as a segment when its name says so and it is at most `MOST_BYTES` large; all else is foreign and is left
alone. Names alone are read at a start, so `held` is None until the frames were looked for.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import orjson

from edge_agent.kit.disk import UNFINISHED
from edge_agent.model.frame import Frame, FrameKind, Identity, Range
from edge_agent.model.ranges import Ranges, difference, holds, total, union
from edge_agent.wire.coarse import stand_in_epoch

SEGMENT_BYTES = 2**20
MOST_BYTES = 4 * SEGMENT_BYTES
MOST_FRAME = 2 * SEGMENT_BYTES
"""A larger frame is a fault of whoever seals."""
OPENING_BYTES = 1024
"""More than any opening frame takes."""

_MOST_GENERATION = 10**12 - 1
_NAME = re.compile(r"([0-9]{1,12})-([0-9a-f]{16})-([0-9]{1,19})(?:-([0-9]{1,19})-([1-9][0-9]{0,5})s)?\.seg")


PROBE = "probe"
"""The file by which a lane finds out whether the disk takes anything."""


class Name(NamedTuple):
    """What a file's name says; sorts by age. `after` and `window` (ms) are 0 but for thinned segments."""

    generation: int
    first: int
    epoch: int
    after: int = 0
    window: int = 0

    @property
    def file(self) -> str:
        """The name of the file."""
        thinned = f"-{self.after:010d}-{self.window // 1000}s" if self.window else ""
        return f"{self.generation:08d}-{self.epoch:016x}-{self.first:010d}{thinned}.seg"

    @property
    def end(self) -> int:
        """The number after the last that the name tells of."""
        return self.after or self.first + 1

    @property
    def written_under(self) -> int:
        """The epoch of the frames in the file."""
        return stand_in_epoch(self.epoch, self.window) if self.window else self.epoch


def parse_name(file: str) -> Name | None:
    """What a file's name says; None when it is no segment's."""
    found = _NAME.fullmatch(file)
    if found is None:
        return None
    name = Name(int(found[1]), int(found[3]), int(found[2], 16), int(found[4] or 0), int(found[5] or 0) * 1000)
    if name.window and name.after <= name.first:
        return None
    return name if max(name.epoch, name.first, name.after) < 2**63 else None


def is_unfinished(file: str) -> bool:
    """Whether this is what a cut `replace` of a segment or a probe left."""
    whole = file.removesuffix(UNFINISHED)
    return whole != file and (whole == PROBE or parse_name(whole) is not None)


def outdated(names: Iterable[Name]) -> set[Name]:
    """Of these, the segments for which a thinned one stands already."""
    widest: dict[tuple[int, int, int], Name] = {}
    beaten = set()
    for name in names:
        key = (name.generation, name.epoch, name.first)
        other = widest.get(key, name)
        widest[key] = max(name, other, key=_width)
        if other != name:
            beaten.add(min(name, other, key=_width))
    return beaten


def _width(name: Name) -> tuple[int, int]:
    return name.window, name.after


def next_generation(largest: int) -> int:
    """The generation after the largest found. It stands still at the end of numbers, which only a forger reaches."""
    return min(largest + 1, _MOST_GENERATION)


class Opening(NamedTuple):
    """What a segment's first frame says."""

    device: str
    axis: str
    powered: int
    sealed_at: int


def opening_frame(name: Name, opening: Opening, lane: str) -> Frame:
    """The frame that opens a segment."""
    document = {
        "device": opening.device,
        "lane": lane,
        "generation": name.generation,
        "axis": opening.axis,
        "powered": opening.powered,
    }
    payload = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return Frame(FrameKind.SEGMENT, Identity(name.written_under, name.first), opening.sealed_at, payload)


def read_opening(frame: Frame | None) -> Opening | None:
    """What an opening frame says; None when it does not say it."""
    try:
        document = orjson.loads(frame.payload) if frame is not None else None
    except orjson.JSONDecodeError:
        return None
    if frame is None or not isinstance(document, dict):
        return None
    device, axis, powered = document.get("device"), document.get("axis"), document.get("powered")
    if not isinstance(device, str) or not isinstance(axis, str) or type(powered) is not int:
        return None
    return Opening(device, axis, powered, frame.sealed_at)


@dataclass(slots=True, eq=False)
class Segment:
    """What is remembered of one file. `held` are the unsettled numbers that it stands for, None until it was read."""

    name: Name
    path: Path
    size: int
    end: int
    """The number after the highest known."""
    held: Ranges | None = None
    powered: int | None = None
    kept: Literal["", "version", "device"] = ""
    """Holds frames of a later version, or is another device's: never unlinked for being settled."""
    failures: int = 0
    """How often in a row its disk did not give it."""
    asleep_until: int = 0
    """Axis ms before which it is not read again, after its disk did not give it."""
    stands: Mapping[int, Ranges] | None = None
    """For each frame of a thinned segment that was read, the numbers that it stands for."""
    tried: int = 0
    """The widest window (ms) that it was not worth thinning to."""
    written_under: int = field(init=False)
    """The epoch of the frames in the file; kept here since it takes a digest."""

    def __post_init__(self) -> None:
        self.written_under = self.name.written_under

    @property
    def claim(self) -> Ranges:
        """The numbers that it stands for: those of its name while nobody read them."""
        if self.held is None or self.kept == "version":
            return union(((self.name.first, self.end),))
        return self.held

    @property
    def frames(self) -> int:
        """How many frames are unsettled; while nobody read them, as many as its name tells, at least one."""
        if self.held is None:
            return 1 if self.name.window else self.end - self.name.first
        return total(self.held) if self.stands is None else sum(map(self.owes, self.stands))

    def numbers_of(self, seq: int) -> Ranges:
        """The numbers that its frame with this number stands for; none when it has no such frame."""
        if not self.name.window:
            return ((seq, seq + 1),)
        return (self.stands or {}).get(seq, ())

    def owes(self, seq: int) -> bool:
        """Whether its frame with this number has something unsettled."""
        held = self.held or ()
        numbers = self.numbers_of(seq)
        return holds(held, seq) if not self.name.window else difference(numbers, held) != numbers

    def settle(self, gone: Mapping[int, Ranges]) -> None:
        """Let these numbers go, by epoch: its own, and those of its frames."""
        if not self.held:
            return
        settled = gone.get(self.name.epoch, ())
        if self.stands is not None and (frames := gone.get(self.written_under)):
            stood_for = (numbers for seq, numbers in self.stands.items() if holds(frames, seq))
            settled = union(settled, *stood_for)
        self.held = difference(self.held, settled)


def holdings(segments: Iterable[Segment]) -> dict[int, tuple[int, list[Range]]]:
    """By epoch, in their order: the number after the highest known, and the numbers that they claim."""
    claims: dict[int, list[Range]] = {}
    ends: dict[int, int] = {}
    for segment in segments:
        epoch, claim = segment.name.epoch, segment.claim
        if claim:
            claims.setdefault(epoch, []).extend(claim)
            ends[epoch] = max(ends.get(epoch, 0), segment.end)
    return {epoch: (ends[epoch], claims[epoch]) for epoch in claims}


def successors(segments: Sequence[Segment]) -> dict[Name, int]:
    """By segment that has one, the first number of the next segment of its epoch."""
    firsts: dict[int, list[int]] = {}
    for segment in segments:
        firsts.setdefault(segment.name.epoch, []).append(segment.name.first)
    for numbers in firsts.values():
        numbers.sort()
    following: dict[Name, int] = {}
    for segment in segments:
        numbers = firsts[segment.name.epoch]
        position = bisect_right(numbers, segment.name.first)
        if position < len(numbers):
            following[segment.name] = numbers[position]
    return following
