"""Segment files: their names, their opening frame, and what is remembered of each.

    <lane folder>/<generation>-<epoch>-<first seq>.seg      8 or more digits, 16 hex digits, 10 or more digits

The generation orders lives and boots; it is the largest found plus one. The opening frame is of kind SEGMENT, under the
segment's epoch and first number, with JSON: `device`, `lane`, `generation`, `axis` (the name of the axis that its
`sealed_at` is on) and `powered` (ms of powered-on time that the lane had seen when the segment was made; the ages of
segments are differences of it, since each boot's axis starts anew). A segment whose opening is damaged is read without.

A file counts as a segment when its name says so and it is at most `MOST_BYTES` large; all else is foreign and is left
alone. Names alone are read at a start, so `held` is None until the frames were looked for.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import orjson

from edge_agent.model.frame import Frame, FrameKind, Identity, Range
from edge_agent.model.ranges import Ranges, union

SEGMENT_BYTES = 2**20
MOST_BYTES = 4 * SEGMENT_BYTES
MOST_FRAME = 2 * SEGMENT_BYTES
"""A larger frame is a fault of whoever seals."""
OPENING_BYTES = 1024
"""More than any opening frame takes."""

_MOST_GENERATION = 10**12 - 1
_NAME = re.compile(r"([0-9]{1,12})-([0-9a-f]{16})-([0-9]{1,19})\.seg")


class Name(NamedTuple):
    """What a file's name says; sorts by age."""

    generation: int
    first: int
    epoch: int

    @property
    def file(self) -> str:
        """The name of the file."""
        return f"{self.generation:08d}-{self.epoch:016x}-{self.first:010d}.seg"


def parse_name(file: str) -> Name | None:
    """What a file's name says; None when it is no segment's."""
    found = _NAME.fullmatch(file)
    if found is None:
        return None
    name = Name(int(found[1]), int(found[3]), int(found[2], 16))
    return name if max(name.epoch, name.first) < 2**63 else None


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
    return Frame(FrameKind.SEGMENT, Identity(name.epoch, name.first), opening.sealed_at, payload)


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
    """What is remembered of one file. `held` are its unsettled numbers, None until it was read."""

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

    @property
    def claim(self) -> Ranges:
        """The numbers that it stands for: those of its name while nobody read them."""
        if self.held is None or self.kept == "version":
            return union(((self.name.first, self.end),))
        return self.held


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
