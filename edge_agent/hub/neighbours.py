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
_FIRST = "SELECT min(first) FROM frame WHERE axis = ? AND kind = ?"
_NEWEST = "SELECT max(first) FROM frame WHERE axis = ? AND kind = ?"
_LAST = "SELECT max(last) FROM frame WHERE axis = ? AND kind = ? AND first >= ?"


class Line(NamedTuple):
    """The timeline of one axis, its row, and the span of its longest frame in ms."""

    axis: int
    longest: int
    timeline: Timeline


class _Reach(NamedTuple):
    """Axis ms: the first reading is not after `first`, the last not before `last`."""

    first: int
    last: int

    @property
    def least(self) -> int:
        """The least true time from the first to the last, in ms."""
        return max(0, Anchor(self.last - self.first, 0, self.first).floor(self.last))


def lines(connection: sqlite3.Connection, sender: int | None) -> list[Line]:
    """Every axis of a device."""
    rows = connection.execute("SELECT id, longest, ceiling FROM axis WHERE sender = ?", (sender,)).fetchall()
    made = {axis: Line(axis, longest, timeline.load(connection, axis, ceiling)) for axis, longest, ceiling in rows}
    if all(line.timeline.is_anchored for line in made.values()):
        return list(made.values())
    rooms = _rooms(connection, made, _ordered(connection, sender))
    for axis, _, ceiling in rows:
        if axis in rooms:
            made[axis] = made[axis]._replace(timeline=Timeline((), ceiling, rooms[axis]))
    return list(made.values())


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


def _rooms(connection: sqlite3.Connection, made: dict[int, Line], ordered: list[int]) -> dict[int, Room]:
    """What their neighbours leave those of these axes that have no claim."""
    reaches = [(made[axis], _reach(connection, made[axis])) for axis in ordered if axis in made]
    told = [(line, reach) for line, reach in reaches if reach is not None]
    rooms: dict[int, Room] = {}
    end: int | None = None
    for line, reach in told:
        if line.timeline.is_anchored:
            end = reach.last + line.timeline.bounds(reach.last).lo
        else:
            rooms[line.axis] = Room(*reach, None if end is None else end - reach.first, None)
            end = None if end is None else end + reach.least
    start: int | None = None
    for line, reach in reversed(told):
        if line.timeline.is_anchored:
            start = reach.first + line.timeline.bounds(reach.first).hi
        else:
            room = rooms[line.axis]
            rooms[line.axis] = room._replace(hi=None if start is None else start - reach.last)
            start = None if start is None else start - reach.least
    return rooms


def _reach(connection: sqlite3.Connection, line: Line) -> _Reach | None:
    """From where to where an axis has readings; None without any."""
    firsts: list[int] = []
    lasts: list[int] = []
    for kind, window in ((FrameKind.TELEMETRY, 0), (FrameKind.THINNED, MOST_WINDOW)):
        place = (line.axis, int(kind))
        (first,), (newest,) = (connection.execute(asked, place).fetchone() for asked in (_FIRST, _NEWEST))
        if first is not None:
            firsts.append(first + window)  # the reading is somewhere in its window
            # None is longer than the longest, so what begins before this ends before the newest does.
            lasts.append(connection.execute(_LAST, (*place, newest - line.longest)).fetchone()[0])
    return _Reach(min(firsts), max(lasts)) if firsts else None
