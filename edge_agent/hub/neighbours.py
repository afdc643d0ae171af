"""Neighbours: the timelines of all axes of a device; one without a claim lies between those before and after it.

A device lives one boot after the other. So all that is on an axis happened after the last reading of the axis before
it, and before the first reading of the axis after it; true time goes by at least as fast as an axis does, so each axis
in between takes its own length out of that room, and several without a claim in a row are bounded together.

Which axis came before which is known from inventories: they name the epochs of a lane oldest first, and a new epoch
gets the next rank (`store.dedupe`). The rank of an axis is that of its epochs of telemetry. An axis has no neighbours,
and is none, where an epoch of it has no rank, or where another axis came between two of its epochs. Does not handle: a
buffer that was brought from another device, or back after others took its place: it is taken for new, and what it holds
without a claim is placed too late; two devices under one id.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from edge_agent.hub import timeline
from edge_agent.hub.timeline import Room, Timeline
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import FrameKind
from edge_agent.wire.thins import MOST_WINDOW

_RANKS = """
SELECT axis, min(rank), max(rank) FROM epoch WHERE sender = ? AND axis <> 0 AND lane = 'telemetry'
GROUP BY axis HAVING min(rank) > 0 ORDER BY min(rank)
"""
_AXES = "SELECT id, longest, ceiling, EXISTS (SELECT 1 FROM claim WHERE axis = axis.id) FROM axis WHERE sender = ?"
_EXTENT = """
SELECT
    (SELECT min(first) FROM (SELECT min(first) AS first FROM frame WHERE axis = ?1 AND kind = ?2
        UNION ALL SELECT min(first) FROM frame WHERE axis = ?1 AND kind = ?3)),
    (SELECT max(first) FROM (SELECT max(first) AS first FROM frame WHERE axis = ?1 AND kind = ?2
        UNION ALL SELECT max(first) FROM frame WHERE axis = ?1 AND kind = ?3)),
    min(lo), max(hi)
FROM claim WHERE axis = ?1
"""
_KINDS = (int(FrameKind.TELEMETRY), int(FrameKind.THINNED))
_FIRST = "SELECT min(first) FROM frame WHERE axis = ? AND kind = ?"
_NEWEST = "SELECT max(first) FROM frame WHERE axis = ? AND kind = ?"
_LAST = "SELECT max(last) FROM frame WHERE axis = ? AND kind = ? AND first >= ?"


class Line(NamedTuple):
    """The timeline of one axis, its row, and the span of its longest frame in ms."""

    axis: int
    longest: int
    timeline: Timeline


class Axis(NamedTuple):
    """The row of an axis: the span of its longest frame, its ceiling, and whether anything is claimed of it."""

    id: int
    longest: int
    ceiling: int
    is_anchored: bool


class _Reach(NamedTuple):
    """Axis ms: the first reading is not after `first`, the last not before `last`."""

    first: int
    last: int

    @property
    def least(self) -> int:
        """The least true time from the first to the last, in ms."""
        return max(0, Anchor(self.last - self.first, 0, self.first).floor(self.last))


def lines(
    connection: sqlite3.Connection, sender: int | None, wanted: Callable[[Axis], bool] = lambda _: True
) -> list[Line]:
    """Every axis of a device, or those that are wanted.

    Claims are many, some of each ten minutes for ever: those of an axis that nobody wants are read only where it has a
    neighbour without any.
    """
    axes = {row[0]: Axis(*row) for row in connection.execute(_AXES, (sender,)).fetchall()}
    chosen = [axis for axis in axes.values() if wanted(axis)]
    made = {axis.id: timeline.load(connection, axis.id, axis.ceiling) for axis in chosen}
    if not all(axis.is_anchored for axis in chosen):
        for axis, room in _rooms(connection, axes, made, _ordered(connection, sender)).items():
            if axis in made:
                made[axis] = Timeline((), axes[axis].ceiling, room)
    return [Line(axis.id, axis.longest, made[axis.id]) for axis in chosen]


def may_hold(connection: sqlite3.Connection, axis: Axis, start: int, stop: int) -> bool:
    """Whether an axis may have readings from one to another Unix ms, judged without making its timeline."""
    if not axis.is_anchored:
        return True  # where it lies is its neighbours' to say
    first, last, lo, hi = connection.execute(_EXTENT, (axis.id, *_KINDS)).fetchone()
    if first is None:
        return False
    # No offset that is added lies outside of all claims.
    return bool(first + lo - MOST_WINDOW < stop and last + axis.longest + hi + MOST_WINDOW >= start)


def _ordered(connection: sqlite3.Connection, sender: int | None) -> list[int]:
    """The axes whose order is known, oldest first."""
    ordered: list[int] = []
    reached, open_ = 0, False
    for axis, first, last in connection.execute(_RANKS, (sender,)):
        if first < reached and open_:
            ordered.pop()  # another came between two of its epochs
        open_ = first > reached
        if open_:
            ordered.append(axis)
        reached = max(reached, last)
    return ordered


def _rooms(
    connection: sqlite3.Connection, axes: Mapping[int, Axis], made: Mapping[int, Timeline], ordered: Sequence[int]
) -> dict[int, Room]:
    """What their neighbours leave those of these axes that have no claim; `made` are timelines that stand already."""

    def bounds(axis: Axis, at: int) -> Anchor:
        return (made.get(axis.id) or timeline.load(connection, axis.id, axis.ceiling)).bounds(at)

    reaches = [(axes[axis], _reach(connection, axes[axis])) for axis in ordered if axis in axes]
    told = [(axis, reach) for axis, reach in reaches if reach is not None]
    rooms: dict[int, Room] = {}
    end: int | None = None
    for (axis, reach), (following, _) in pairwise([*told, *told[-1:]]):
        if not axis.is_anchored:
            rooms[axis.id] = Room(*reach, None if end is None else end - reach.first, None)
            end = None if end is None else end + reach.least
        elif not following.is_anchored:
            end = reach.last + bounds(axis, reach.last).lo
    start: int | None = None
    for (axis, reach), (before, _) in pairwise([*reversed(told), *told[:1]]):
        if not axis.is_anchored:
            rooms[axis.id] = rooms[axis.id]._replace(hi=None if start is None else start - reach.last)
            start = None if start is None else start - reach.least
        elif not before.is_anchored:
            start = reach.first + bounds(axis, reach.first).hi
    return rooms


def _reach(connection: sqlite3.Connection, axis: Axis) -> _Reach | None:
    """From where to where an axis has readings; None without any."""
    firsts: list[int] = []
    lasts: list[int] = []
    for kind, window in ((FrameKind.TELEMETRY, 0), (FrameKind.THINNED, MOST_WINDOW)):
        place = (axis.id, int(kind))
        (first,), (newest,) = (connection.execute(asked, place).fetchone() for asked in (_FIRST, _NEWEST))
        if first is not None:
            firsts.append(first + window)  # the reading is somewhere in its window
            # None is longer than the longest, so what begins before this ends before the newest does.
            lasts.append(connection.execute(_LAST, (*place, newest - axis.longest)).fetchone()[0])
    return _Reach(min(firsts), max(lasts)) if firsts else None
