"""The timeline of an axis: from axis ms to true time, by every anchor that its frames brought.

What is kept: for each ten minutes of an axis the anchor that says most, narrowed as better ones come; anchors that
contradict each other become their hull. What is made of it when somebody reads:

- Bounds of the offset at an axis time: what the anchors before it say together, with what those after it say, each
  widened by its distance; their hull where the two sides contradict each other (the axis stood still in between).
- The offset that is added: constant on a piece of the axis, so that an interval between readings is what the axis
  measured. A piece reaches as far as one offset lies within every anchor; a new one begins where none does.

So a better anchor moves a whole piece, and the error beside each point is how far the bounds lie from the offset that
was added: true time is in `ts ± error`. An axis without an anchor is only known to lie before its frames arrived: its
ceiling is the offset, the error is unknown, and its points are flagged approximate. Does not handle: placing such an
axis between its neighbours; leap seconds.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from edge_agent.model.anchor import Anchor

SCHEMA = """
CREATE TABLE IF NOT EXISTS anchor (
    axis INTEGER NOT NULL, bucket INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (axis, bucket)
) STRICT, WITHOUT ROWID;
"""

BUCKET_MS = 600_000

Flag = Literal["anchored", "approximate"]


class Stamp(NamedTuple):
    """A true time in Unix ms, how far off it may be (None: unknown), and what it rests on."""

    ts: int
    error: int | None
    flag: Flag


def hull(one: Anchor, other: Anchor) -> Anchor:
    """What is still sure when two anchors contradict each other, at the later of their times."""
    at = max(one.at, other.at)
    mine, theirs = one.widened(at), other.widened(at)
    return Anchor(min(mine.lo, theirs.lo), max(mine.hi, theirs.hi), at)


def joined(one: Anchor, other: Anchor) -> Anchor:
    """What two anchors say together: narrowed, or their hull where they contradict each other."""
    return one.narrowed(other) or hull(one, other)


def learn(connection: sqlite3.Connection, axis: int, anchors: Iterable[Anchor]) -> None:
    """Keep what these anchors add to what is known of an axis."""
    for anchor in anchors:
        bucket = anchor.at // BUCKET_MS
        row = connection.execute(
            "SELECT lo, hi, at FROM anchor WHERE axis = ? AND bucket = ?", (axis, bucket)
        ).fetchone()
        best = anchor if row is None else joined(Anchor(*row), anchor)
        connection.execute("INSERT OR REPLACE INTO anchor VALUES (?, ?, ?, ?, ?)", (axis, bucket, *best))


def load(connection: sqlite3.Connection, axis: int, ceiling: int) -> "Timeline":
    """The timeline of an axis as it is known now."""
    rows = connection.execute("SELECT lo, hi, at FROM anchor WHERE axis = ? ORDER BY bucket", (axis,))
    return Timeline([Anchor(*row) for row in rows], ceiling)


class Timeline:
    """True time along one axis. `anchors` rise by `at`; `ceiling` is the greatest offset that arrivals allow."""

    def __init__(self, anchors: Sequence[Anchor], ceiling: int) -> None:
        self._ceiling = ceiling
        self._places = [anchor.at for anchor in anchors]
        self._before = _carried(anchors)
        self._after = _carried(anchors[::-1])[::-1]
        self._starts, self._offsets = _pieces(anchors)

    @property
    def offsets(self) -> tuple[int, int]:
        """The least and the greatest offset along the axis."""
        offsets = self._offsets or [self._ceiling]
        return min(offsets), max(offsets)

    def stamp(self, at: int) -> Stamp:
        """True time at an axis time."""
        if not self._places:
            return Stamp(at + self._ceiling, None, "approximate")
        offset = self._offsets[max(0, bisect_right(self._starts, at) - 1)]
        bounds = self._bounds(at)
        return Stamp(at + offset, max(bounds.hi - offset, offset - bounds.lo), "anchored")

    def _bounds(self, at: int) -> Anchor:
        index = bisect_right(self._places, at)
        sides = [side.widened(at) for side in (*self._before[index - 1 : index], *self._after[index : index + 1])]
        return joined(sides[0], sides[-1])


def _carried(anchors: Sequence[Anchor]) -> list[Anchor]:
    """Each anchor with what the ones before it still say there; one that contradicts them starts anew."""
    carried: list[Anchor] = []
    for anchor in anchors:
        own = anchor
        if carried:
            before = carried[-1].widened(anchor.at)
            lo, hi = max(before.lo, anchor.lo), min(before.hi, anchor.hi)
            if lo <= hi:
                own = Anchor(lo, hi, anchor.at)
        carried.append(own)
    return carried


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
