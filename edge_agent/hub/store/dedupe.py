"""What became of the numbers of each epoch: one row an epoch, kept for ever.

A row says, as ranges: which numbers are stored and which thinned into others; which the device declared lost, by
reason; which it holds, by its last inventory; and `next`, the first number that was not yet drawn, so far as is known.
`told` is the `next` of the last inventory that spoke of the epoch; a whole inventory speaks of every epoch, and of one
that it does not name it says that all is drawn and nothing held. Dedupe is exact and never expires, since a device may
come back with an old card after years. Marks are read and written in the transaction that stores the frames, so a mark
without its frame cannot be, nor a frame without its mark. The depositor is the only one who writes them, so what it
wrote need not be read again.

Several states may be claimed for one number, because answers get lost. The sum closes whatever is claimed:
stored beats thinned beats lost beats held. What is left below `told` is lost too, `unaccounted`: the device spoke and
did not know of it. Only what is left from there on is missing. Nothing of this is written down, so a frame that comes
late corrects it. Among loss reasons the one that comes first in the row wins.

Beside that a row says in which order the epochs of a device came, and on which axis one is, so that an axis of which
nothing is known lies between others (`hub.neighbours`). Inventories name the epochs of a lane oldest first: those that
are new take the next ranks in that order. One that comes to light before others that have a rank gets none for ever
(-1): where it stands among those is not known. Both are 0 until an inventory names it, and a frame of it comes.

A row is bounded: a set has at most 4,096 ranges, so that a device that numbers its frames with holes, or lies, makes no
write dearer without end. A right device never comes near: numbers are born without holes, and newest first leaves one
hole for each outage that it works off. Beyond the bound nothing is refused:

    stored    the lowest hole is closed, and `closed` counts the numbers in it, which the sum has as unaccounted. The
              rows of frames, which are never deleted, then tell whether a number that comes was really stored
    thinned   holes whose numbers are all stored are closed first, which changes nothing; then the lowest, whose numbers
              are thinned from then on
    lost      the lowest ranges are let go of, and become unaccounted
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import orjson

from edge_agent.model.frame import Holding, LaneName, Range
from edge_agent.model.ranges import Ranges, difference, holds, total, union

SCHEMA = """
CREATE TABLE IF NOT EXISTS epoch (
    sender INTEGER NOT NULL, epoch INTEGER NOT NULL, lane TEXT NOT NULL, next INTEGER NOT NULL,
    readings INTEGER NOT NULL, stored TEXT NOT NULL, thinned TEXT NOT NULL, lost TEXT NOT NULL, held TEXT NOT NULL,
    told INTEGER NOT NULL DEFAULT 0, thinned_readings INTEGER NOT NULL DEFAULT 0, closed INTEGER NOT NULL DEFAULT 0,
    rank INTEGER NOT NULL DEFAULT 0, axis INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sender, epoch)
) STRICT, WITHOUT ROWID;
"""

_UNSETTLED = "SELECT epoch, lane FROM epoch WHERE sender = ? AND (held <> '[]' OR told < next) LIMIT ?"
_COLUMNS = "lane, next, readings, stored, thinned, lost, held, told, thinned_readings, closed, rank, axis"
_SELECT = f"SELECT {_COLUMNS} FROM epoch WHERE sender = ? AND epoch = ?"  # noqa: S608 - a constant
_UPSERT = "INSERT OR REPLACE INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NEWEST = "SELECT ifnull(max(rank), 0) FROM epoch WHERE sender = ?"
_MOST_KEPT = 64
_MOST_TURNED = 4096
"""Epochs that one inventory settles by not naming them; the next one settles more."""

_MOST_COUNTED = 2**62
_UNACCOUNTED = "unaccounted"
_NO_RANK = -1

MOST_RANGES = 4096
"""Of a set in a row. One of the highest numbers takes 168 KiB as text."""

Row = tuple[int, int, LaneName, int, int, str, str, str, str, int, int, int, int, int]
"""An epoch as it is saved."""


@dataclass(slots=True)
class Epoch:
    """The row of one epoch, as transactions change it.

    `readings` counts the values of its stored frames, and `thinned_readings` those that its thinned frames tell of:
    the readings that their windows were made of, and the readings of counters that were kept.
    """

    lane: LaneName
    next: int = 0
    readings: int = 0
    stored: Ranges = ()
    thinned: Ranges = ()
    lost: dict[str, Ranges] = field(default_factory=dict)
    held: Ranges = ()
    told: int = 0
    thinned_readings: int = 0
    closed: int = 0
    rank: int = 0
    axis: int = 0
    changed: bool = False

    def has(self, seq: int) -> bool:
        """Whether a number's own frame is stored; where holes were closed, whether it may be."""
        return holds(self.stored, seq)

    def store(self, seq: int, readings: int) -> None:
        """Mark a number as stored, with so many readings in its frame."""
        if self.stored and self.stored[-1][1] == seq:
            self.stored = (*self.stored[:-1], (self.stored[-1][0], seq + 1))
        else:
            self.stored = _with(self.stored, seq)
            if len(self.stored) > MOST_RANGES:
                (first, before), (after, last), *rest = self.stored
                self.stored = ((first, last), *rest)
                self.closed += after - before
        self.readings += readings
        self._reach(self.stored)

    def store_in_hole(self, readings: int) -> None:
        """Mark a number of a closed hole as stored."""
        self.closed -= 1
        self.readings += readings
        self.changed = True

    def thin(self, numbers: Iterable[Range], readings: int) -> Ranges:
        """Mark numbers as replaced by a coarser frame that tells of so many readings; those that are new.

        Without any that is new nothing changes.
        """
        new = difference(union(numbers), union(self.stored, self.thinned))
        if new:
            self.thinned = _joined(union(self.thinned, new), self.stored)
            self.thinned_readings = min(self.thinned_readings + readings, _MOST_COUNTED)
            self._reach(self.thinned)
        return new

    def lose(self, numbers: Iterable[Range], reason: str) -> None:
        """Mark numbers as declared lost."""
        self.lost[reason] = union(self.lost.get(reason, ()), numbers)[-MOST_RANGES:]
        self._reach(self.lost[reason])

    def hold(self, holding: Holding) -> None:
        """Take over what an inventory says; `next` and `told` never fall, since requests may overtake each other."""
        told = max(self.told, holding.next)
        following = max(self.next, told)
        if (self.held, self.next, self.told) != (holding.held, following, told):
            self.held, self.next, self.told, self.changed = holding.held, following, told, True

    def stand(self, rank: int) -> None:
        """Note which of its sender's epochs it is."""
        self.rank, self.changed = rank, True

    def lie(self, axis: int) -> None:
        """Note the row of the axis that its frames are on."""
        if not self.axis:
            self.axis, self.changed = axis, True

    def sum(self) -> "Sum":
        """Where each number below `next` is, every one counted once."""
        settled = self.stored
        thinned = difference(self.thinned, settled)
        settled = union(settled, thinned)
        lost: dict[str, int] = {}
        for reason, numbers in self.lost.items():
            lost[reason] = total(difference(numbers, settled))
            settled = union(settled, numbers)
        held = difference(self.held, settled)
        settled = union(settled, held)
        nowhere = difference(((0, self.told),) if self.told else (), settled)
        lost[_UNACCOUNTED] = lost.get(_UNACCOUNTED, 0) + total(nowhere) + self.closed
        return Sum(
            self.next,
            total(self.stored) - self.closed,
            total(thinned),
            {reason: count for reason, count in lost.items() if count},
            total(held),
            difference(((self.told, self.next),) if self.told < self.next else (), settled),
            self.readings,
            self.thinned_readings,
        )

    @property
    def is_unsettled(self) -> bool:
        """Whether an inventory that does not name it would change it."""
        return bool(self.held) or self.told < self.next

    def _reach(self, ranges: Ranges) -> None:
        self.changed = True
        if ranges:
            self.next = max(self.next, ranges[-1][1])


def _with(ranges: Ranges, seq: int) -> Ranges:
    """Ranges and one number that is in none of them; sets may be long, so they are not sorted again."""
    at = bisect_right(ranges, seq, key=lambda pair: pair[0])
    low, high, first, after = at, at, seq, seq + 1
    if at and ranges[at - 1][1] == first:
        low, first = at - 1, ranges[at - 1][0]
    if at < len(ranges) and ranges[at][0] == after:
        high, after = at + 1, ranges[at][1]
    return (*ranges[:low], (first, after), *ranges[high:])


def _joined(ranges: Ranges, stored: Ranges) -> Ranges:
    """Ranges of thinned numbers, made few enough."""
    if len(ranges) <= MOST_RANGES:
        return ranges
    holes = ((before, after) for (_, before), (after, _) in pairwise(ranges))
    ranges = union(ranges, (hole for hole in holes if not difference((hole,), stored)))
    excess = len(ranges) - MOST_RANGES
    return ((ranges[0][0], ranges[excess][1]), *ranges[excess + 1 :]) if excess > 0 else ranges


@dataclass(frozen=True, slots=True)
class Sum:
    """Counts of numbers: `next = stored + thinned + lost + held + missing`, always.

    `readings` are values of stored frames, and `thinned_readings` what thinned frames tell of.
    """

    next: int
    stored: int
    thinned: int
    lost: Mapping[str, int]
    held: int
    missing: Ranges
    readings: int
    thinned_readings: int


class Epochs:
    """The rows of one sender: each is read when it is first asked for, then kept here for the transactions to come.

    So this must be dropped when a transaction that used it is undone.
    """

    def __init__(self, sender: int) -> None:
        self._sender = sender
        self._read: dict[int, Epoch] = {}
        self._unsettled: dict[int, LaneName] | None = None
        self._newest: int | None = None

    def hold(self, connection: sqlite3.Connection, inventory: Sequence[Holding], *, whole: bool) -> None:
        """Take over an inventory. Of an epoch that a whole one does not name, all is drawn and nothing held."""
        lanes: dict[LaneName, list[Epoch]] = {}
        for holding in inventory:
            row = self.at(connection, holding.epoch, holding.lane)
            row.hold(holding)
            lanes.setdefault(holding.lane, []).append(row)
        for rows in lanes.values():
            if not all(row.rank for row in rows):
                self._order(connection, rows)
        if not whole:
            return
        if self._unsettled is None:
            self._unsettled = dict(connection.execute(_UNSETTLED, (self._sender, _MOST_TURNED)))
        more = len(self._unsettled) >= _MOST_TURNED
        named = {holding.epoch for holding in inventory}
        for epoch, lane in [entry for entry in self._unsettled.items() if entry[0] not in named]:
            row = self.at(connection, epoch, lane)
            row.hold(Holding(lane, epoch, row.next, ()))
            del self._unsettled[epoch]
        if more:
            self._unsettled = None  # they are looked for again

    def _order(self, connection: sqlite3.Connection, rows: Sequence[Epoch]) -> None:
        """Give those their rank that an inventory names for the first time."""
        if self._newest is None:
            (self._newest,) = connection.execute(_NEWEST, (self._sender,)).fetchone()
        last = max((index for index, row in enumerate(rows) if row.rank > 0), default=-1)
        for index, row in enumerate(rows):
            if not row.rank and index < last:
                row.stand(_NO_RANK)
            elif not row.rank:
                assert self._newest is not None
                self._newest += 1
                row.stand(self._newest)

    def at(self, connection: sqlite3.Connection, epoch: int, lane: LaneName) -> Epoch:
        """The row of an epoch; a new one where there is none, of this lane."""
        row = self._read.pop(epoch, None)
        if row is None:
            found = connection.execute(_SELECT, (self._sender, epoch)).fetchone()
            row = Epoch(lane) if found is None else _read(*found)
        self._read[epoch] = row
        return row

    def changed(self) -> list[Row]:
        """The rows that changed since the last time, to be saved; only the newest few stay here."""
        rows: list[Row] = []
        for epoch, row in self._read.items():
            if row.changed:
                row.changed = False
                if self._unsettled is not None and row.is_unsettled:
                    self._unsettled[epoch] = row.lane
                    if len(self._unsettled) > _MOST_TURNED:
                        self._unsettled = None
                rows.append(
                    (
                        self._sender,
                        epoch,
                        row.lane,
                        row.next,
                        row.readings,
                        _text(row.stored),
                        _text(row.thinned),
                        _text(row.lost),
                        _text(row.held),
                        row.told,
                        row.thinned_readings,
                        row.closed,
                        row.rank,
                        row.axis,
                    )
                )
        for epoch in tuple(self._read)[:-_MOST_KEPT]:
            del self._read[epoch]
        return rows


def save(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Write the rows of epochs."""
    connection.executemany(_UPSERT, rows)


def every_epoch(connection: sqlite3.Connection, sender: int) -> dict[int, Epoch]:
    """All rows of a sender, by epoch."""
    rows = connection.execute(
        f"SELECT epoch, {_COLUMNS} FROM epoch WHERE sender = ? ORDER BY epoch",  # noqa: S608 - a constant
        (sender,),
    )
    return {epoch: _read(*row) for epoch, *row in rows}


def _read(
    lane: LaneName,
    following: int,
    readings: int,
    stored: str,
    thinned: str,
    lost: str,
    held: str,
    told: int,
    thinned_readings: int,
    closed: int,
    rank: int,
    axis: int,
) -> Epoch:
    by_reason = {reason: _ranges(ranges) for reason, ranges in orjson.loads(lost).items()}
    return Epoch(
        lane,
        following,
        readings,
        _ranges(orjson.loads(stored)),
        _ranges(orjson.loads(thinned)),
        by_reason,
        _ranges(orjson.loads(held)),
        told,
        thinned_readings,
        closed,
        rank,
        axis,
    )


def _ranges(pairs: list[list[int]]) -> Ranges:
    return tuple((first, after) for first, after in pairs)


def _text(value: Ranges | Mapping[str, Ranges]) -> str:
    return orjson.dumps(value).decode()
