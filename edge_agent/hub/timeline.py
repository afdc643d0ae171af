"""The timeline of an axis: from axis ms to true time, by every claim that its frames brought (`model.anchor`).

What is kept: the claims as they came, of each ten minutes of an axis the first, the last, those that say most from
below and from above, and both sides of each place where the axis stood still, so that little lies in doubt between
them. Any choice of true claims is true; two are never made into one.

What is made of them when somebody reads:

- Bounds of the offset at an axis time. It jumps up where the axis stood still, never down, so the claims before it
  bound it from below and those after it from above, whatever happened in between. Only past the last claim and before
  the first that one serves both sides: a pause that no later claim follows cannot be known. A claim below all that the
  earlier ones allow contradicts them (somebody was wrong, or the kernel counted a suspend too long): what they said
  ends there, what it said begins there, and between the two only the hull of both sides is sure.
- The offset that is added: constant on a piece of the axis, so that an interval between readings is what the axis
  measured. A piece reaches as far as one offset lies within every claim; a new one begins half-way to the claim that it
  does not fit. Where that is a step down (a fast crystal) it is taken back over ten times its length, so that readings
  never change their order. Claims that contradict others by more than a minute place nothing, the fewer of them: a hub
  that was years off for an hour moves none of what came before or after, and the error there says what was claimed.

So a better claim moves a whole piece, and the error beside each point is how far the bounds lie from the offset that
was added: true time is in `ts +- error`.

An axis without a claim lies in the `Room` that its neighbours leave it (`hub.neighbours`): in the middle, and the error
is what that leaves on either side. Where a side is open it lies at the ceiling that arrivals set, as near as the other
side allows, and the error is unknown. Both are flagged approximate. Does not handle: leap seconds.
"""

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from edge_agent.model.anchor import DRIFT_PPM, Anchor

SCHEMA = """
CREATE TABLE IF NOT EXISTS claim (
    axis INTEGER NOT NULL, at INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL,
    PRIMARY KEY (axis, at, lo, hi)
) STRICT, WITHOUT ROWID;
"""

BUCKET_MS = 600_000

_MOST_BREAKS = 32
"""Places in ten minutes of which both sides are kept."""

_RAMP = 10
"""A step down is taken back over so many times its length."""

_SLIP_MS = 60_000
"""What two claims may contradict each other by and both place readings: clocks that count a suspend err by less."""

_MOST_RUNS = 256
"""Runs of claims of which the greater part is looked for; where there are more nobody can tell who is right."""

_MILLION = 1_000_000
_SLIP = _SLIP_MS * _MILLION
_FAR = 10**30

Flag = Literal["anchored", "approximate"]


class Stamp(NamedTuple):
    """A true time in Unix ms, how far off it may be (None: unknown), and what it rests on."""

    ts: int
    error: int | None
    flag: Flag


class Room(NamedTuple):
    """What its neighbours leave an axis: the least offset at axis time `first`, the greatest at `last`; None is open.

    True time goes by at least as fast as the axis, so each holds on all of the axis but for its drift.
    """

    first: int
    last: int
    lo: int | None
    hi: int | None


def learn(connection: sqlite3.Connection, axis: int, anchors: Iterable[Anchor]) -> None:
    """Keep what these anchors add to what is claimed of an axis."""
    buckets: dict[int, set[Anchor]] = {}
    for anchor in anchors:
        buckets.setdefault(anchor.at // BUCKET_MS, set()).add(anchor)
    for bucket, new in buckets.items():
        rows = connection.execute(
            "SELECT lo, hi, at FROM claim WHERE axis = ? AND at >= ? AND at < ?",
            (axis, bucket * BUCKET_MS, (bucket + 1) * BUCKET_MS),
        )
        old = {Anchor(*row) for row in rows}
        kept = _worth_most(old | new)
        connection.executemany(
            "DELETE FROM claim WHERE axis = ? AND lo = ? AND hi = ? AND at = ?", ((axis, *one) for one in old - kept)
        )
        connection.executemany(
            "INSERT INTO claim (axis, lo, hi, at) VALUES (?, ?, ?, ?)", ((axis, *one) for one in kept - old)
        )


def claims(connection: sqlite3.Connection, axis: int) -> list[Anchor]:
    """What is claimed of an axis, in order of axis time."""
    rows = connection.execute("SELECT lo, hi, at FROM claim WHERE axis = ? ORDER BY at, lo, hi", (axis,))
    return [Anchor(*row) for row in rows]


def load(connection: sqlite3.Connection, axis: int, ceiling: int) -> "Timeline":
    """The timeline of an axis as it is known now, by itself."""
    return Timeline(claims(connection, axis), ceiling)


class Timeline:
    """True time along one axis.

    `anchors` rise by `at`; `ceiling` is the greatest offset that arrivals allow, and `room` what neighbours leave it:
    both serve an axis without anchors.
    """

    def __init__(self, anchors: Sequence[Anchor], ceiling: int, room: Room | None = None) -> None:
        self._places = [anchor.at for anchor in anchors]
        self._before = _carried_on(anchors)
        self._after = _carried_back(anchors)
        self._starts, self._offsets = _pieces(_chosen(anchors))
        self._entries = _entries(self._starts, self._offsets)
        self._room = None if room is None or anchors or _is_shut(room) else room
        self._offset = _placed(self._room, ceiling)

    @property
    def is_anchored(self) -> bool:
        """Whether anything was claimed of the axis."""
        return bool(self._places)

    @property
    def offsets(self) -> tuple[int, int]:
        """The least and the greatest offset along the axis."""
        offsets = self._offsets or [self._offset]
        return min(offsets), max(offsets)

    def within(self, start: int, stop: int) -> tuple[int, int]:
        """From which axis time on, and before which, true time is `start` or later, and before `stop`.

        Found on the line itself: its offsets may lie months apart where the axis stood still.
        """
        least, greatest = self.offsets

        def found(ts: int) -> int:
            places = range(ts - greatest, ts - least)
            return places.start + bisect_left(places, ts, key=lambda at: self.stamp(at).ts)

        return found(start), found(stop)

    def stamp(self, at: int) -> Stamp:
        """True time at an axis time; never less than at an earlier one."""
        if not self._places:
            return Stamp(at + self._offset, self._doubt(at), "approximate")
        offset = self._at(at)
        bounds = self.bounds(at)
        return Stamp(at + offset, max(bounds.hi - offset, offset - bounds.lo), "anchored")

    def bounds(self, at: int) -> Anchor:
        """What is known of the offset at an axis time, of an axis that has anchors."""
        index, following = bisect_right(self._places, at) - 1, bisect_left(self._places, at)
        if index < 0:
            return self._after[0].widened(at)
        if following == len(self._places):
            return self._before[-1].widened(at)
        before, after = self._before[index].widened(at), self._after[following].widened(at)
        if before.lo <= after.hi:
            return Anchor(before.lo, after.hi, at)
        return Anchor(min(before.lo, after.lo), max(before.hi, after.hi), at)

    def _at(self, at: int) -> int:
        """The offset that is added at an axis time."""
        index = max(0, bisect_right(self._starts, at) - 1)
        return max(self._offsets[index], self._entries[index] - max(0, at - self._starts[index]) // _RAMP)

    def _doubt(self, at: int) -> int | None:
        """How far off a point of an axis without anchors may be."""
        room = self._room
        if room is None or room.lo is None or room.hi is None:
            return None
        lo, hi = Anchor(room.lo, room.lo, room.first), Anchor(room.hi, room.hi, room.last)
        return max(hi.roof(at) - self._offset, self._offset - lo.floor(at))


def _low(anchor: Anchor) -> int:
    """How much it says from below of all later times, in millionths of a ms."""
    return anchor.lo * _MILLION + anchor.at * DRIFT_PPM


def _high(anchor: Anchor) -> int:
    """How little it leaves from above of all earlier times, in millionths of a ms."""
    return anchor.hi * _MILLION + anchor.at * DRIFT_PPM


def _worth_most(anchors: set[Anchor]) -> set[Anchor]:
    """Of the claims of one bucket those that are kept."""

    def width(anchor: Anchor) -> int:
        return anchor.hi - anchor.lo

    kept = {
        min(anchors, key=lambda anchor: (anchor.at, width(anchor), anchor)),
        max(anchors, key=lambda anchor: (anchor.at, -width(anchor), anchor)),
        max(anchors, key=lambda anchor: (_low(anchor), -width(anchor), anchor)),
        min(anchors, key=lambda anchor: (_high(anchor), width(anchor), anchor)),
    }
    breaks = [sides for sides in pairwise(sorted(anchors, key=lambda anchor: anchor.at)) if _breaks(*sides)]
    return kept.union(*breaks[:_MOST_BREAKS])


def _breaks(one: Anchor, following: Anchor) -> bool:
    """Whether the axis cannot have gone on between two claims, or one of them is wrong."""
    return following.lo > one.roof(following.at) or following.hi < one.floor(following.at)


def _carried_on(anchors: Sequence[Anchor]) -> list[Anchor]:
    """Each anchor with what the ones before it still say from below; one that contradicts them begins anew."""
    carried: list[Anchor] = []
    for anchor in anchors:
        floor = carried[-1].floor(anchor.at) if carried else anchor.lo
        # Mostly it says more itself, and stays as it is: there may be a hundred thousand.
        carried.append(Anchor(floor, anchor.hi, anchor.at) if anchor.lo < floor <= anchor.hi else anchor)
    return carried


def _carried_back(anchors: Sequence[Anchor]) -> list[Anchor]:
    """Each anchor with what the ones after it say from above; where they contradict it they end."""
    carried: list[Anchor] = []
    for anchor in reversed(anchors):
        roof = carried[-1].roof(anchor.at) if carried else anchor.hi
        carried.append(Anchor(anchor.lo, roof, anchor.at) if anchor.lo <= roof < anchor.hi else anchor)
    return carried[::-1]


class _Run:
    """Claims one after the other that agree within a slip; bounds as `_low` and `_high` have them.

    `reach` is the greatest floor of the best choice of runs that ends with this one, `weight` how many claims are in
    it, and `before` the run that it chose before this one.
    """

    __slots__ = ("anchors", "before", "lo", "reach", "roof", "weight")

    def __init__(self) -> None:
        self.anchors: list[Anchor] = []
        self.lo, self.roof = -_FAR, _FAR
        self.weight, self.reach = 0, 0
        self.before: _Run | None = None

    def fits(self, anchor: Anchor) -> bool:
        """Whether a claim is neither below what was claimed, nor above it by a pause that is worth a run of its own."""
        return not self.anchors or (
            _high(anchor) + _SLIP >= self.lo and anchor.lo <= self.anchors[-1].roof(anchor.at) + _SLIP_MS
        )

    def add(self, anchor: Anchor) -> None:
        """Take one more claim."""
        self.anchors.append(anchor)
        self.lo, self.roof = max(self.lo, _low(anchor)), min(self.roof, _high(anchor))

    def follow(self, runs: Sequence["_Run"]) -> None:
        """Find the heaviest choice of earlier runs that this one does not contradict."""
        fitting = [run for run in runs if run.reach <= self.roof + _SLIP]
        self.before = max(fitting, key=lambda run: run.weight, default=None)
        before = self.before
        self.weight = len(self.anchors) + (before.weight if before else 0)
        self.reach = max(self.lo, before.reach) if before else self.lo


def _chosen(anchors: Sequence[Anchor]) -> Sequence[Anchor]:
    """The claims that readings are placed by: the most of them among which no two differ by more than a slip."""
    reach = -_FAR
    for anchor in anchors:
        if _high(anchor) + _SLIP < reach:
            break
        reach = max(reach, _low(anchor))
    else:
        return anchors
    runs = [_Run()]
    for anchor in anchors:
        if not runs[-1].fits(anchor):
            runs.append(_Run())
        runs[-1].add(anchor)
    if len(runs) > _MOST_RUNS:
        return anchors
    for index, run in enumerate(runs):
        run.follow(runs[:index])
    best: _Run | None = max(reversed(runs), key=lambda run: run.weight)
    chosen: list[list[Anchor]] = []
    while best is not None:
        chosen.append(best.anchors)
        best = best.before
    return [anchor for run in reversed(chosen) for anchor in run]


def _pieces(anchors: Sequence[Anchor]) -> tuple[list[int], list[int]]:
    """Where each piece starts, and its offset. Between two anchors that no offset fits, pieces meet half-way."""
    starts: list[int] = []
    offsets: list[int] = []
    lo, hi = 0, -1
    for index, anchor in enumerate(anchors):
        fits = max(lo, anchor.lo) <= min(hi, anchor.hi)
        lo, hi = (max(lo, anchor.lo), min(hi, anchor.hi)) if fits else (anchor.lo, anchor.hi)
        if not fits:
            starts.append(anchor.at if index == 0 else (anchors[index - 1].at + anchor.at) // 2)
            offsets.append(0)
        offsets[-1] = (lo + hi) // 2
    return starts, offsets


def _entries(starts: Sequence[int], offsets: Sequence[int]) -> list[int]:
    """The offset with which each piece begins: that of the one before it as far as it was taken back, or its own."""
    entries = list(offsets[:1])
    for index in range(1, len(starts)):
        left = entries[-1] - (starts[index] - starts[index - 1]) // _RAMP
        entries.append(max(offsets[index], offsets[index - 1], left))
    return entries


def _is_shut(room: Room) -> bool:
    """Whether neighbours leave no room at all: their order cannot be what it was taken for."""
    if room.lo is None or room.hi is None:
        return False
    return Anchor(room.lo, room.lo, room.first).floor(room.last) > room.hi


def _placed(room: Room | None, ceiling: int) -> int:
    """The offset of an axis without anchors."""
    if room is None or room.lo is None:
        return ceiling if room is None or room.hi is None else min(ceiling, room.hi)
    return max(ceiling, room.lo) if room.hi is None else (room.lo + room.hi) // 2
