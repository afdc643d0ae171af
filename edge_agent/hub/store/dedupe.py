"""What became of the numbers of each epoch: one row an epoch, kept for ever.

A row says, as ranges: which numbers are stored and which thinned into others; which the device declared lost, by
reason; which it holds, by its last inventory; and `next`, the first number that was not yet drawn, so far as is known.
Dedupe is exact and never expires, since a device may come back with an old card after years. Marks are read and
written in the transaction that stores the frames, so a mark without its frame cannot be, nor a frame without its mark.
The depositor is the only one who writes them, so what it wrote need not be read again.

Several states may be claimed for one number, because answers get lost. The sum closes whatever is claimed:
stored beats thinned beats lost beats held, and what is left below `next` is missing. Among loss reasons the one
that comes first in the row wins.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from edge_agent.model.frame import Holding, LaneName, Range
from edge_agent.model.ranges import Ranges, difference, holds, total, union

SCHEMA = """
CREATE TABLE IF NOT EXISTS epoch (
    sender INTEGER NOT NULL, epoch INTEGER NOT NULL, lane TEXT NOT NULL, next INTEGER NOT NULL,
    readings INTEGER NOT NULL, stored TEXT NOT NULL, thinned TEXT NOT NULL, lost TEXT NOT NULL, held TEXT NOT NULL,
    PRIMARY KEY (sender, epoch)
) STRICT, WITHOUT ROWID;
"""

_SELECT_HOLDING = "SELECT epoch, lane FROM epoch WHERE sender = ? AND held <> '[]'"
_SELECT = "SELECT lane, next, readings, stored, thinned, lost, held FROM epoch WHERE sender = ? AND epoch = ?"
_UPSERT = "INSERT OR REPLACE INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_MOST_KEPT = 64

Row = tuple[int, int, LaneName, int, int, str, str, str, str]
"""An epoch as it is saved."""


@dataclass(slots=True)
class Epoch:
    """The row of one epoch, as transactions change it. `readings` counts the values of its stored frames."""

    lane: LaneName
    next: int = 0
    readings: int = 0
    stored: Ranges = ()
    thinned: Ranges = ()
    lost: dict[str, Ranges] = field(default_factory=dict)
    held: Ranges = ()
    changed: bool = False

    def has(self, seq: int) -> bool:
        """Whether a number's own frame is stored."""
        return holds(self.stored, seq)

    def store(self, seq: int, readings: int) -> None:
        """Mark a number as stored, with so many readings in its frame."""
        if self.stored and self.stored[-1][1] == seq:
            self.stored = (*self.stored[:-1], (self.stored[-1][0], seq + 1))
        else:
            self.stored = union(self.stored, ((seq, seq + 1),))
        self.readings += readings
        self._reach(self.stored)

    def thin(self, numbers: Iterable[Range]) -> None:
        """Mark numbers as replaced by a coarser frame."""
        self.thinned = union(self.thinned, numbers)
        self._reach(self.thinned)

    def lose(self, numbers: Iterable[Range], reason: str) -> None:
        """Mark numbers as declared lost."""
        self.lost[reason] = union(self.lost.get(reason, ()), numbers)
        self._reach(self.lost[reason])

    def hold(self, holding: Holding) -> None:
        """Take over what an inventory says; `next` never falls, since requests may overtake each other."""
        following = max(self.next, holding.next)
        if (self.held, self.next) != (holding.held, following):
            self.held, self.next, self.changed = holding.held, following, True

    def sum(self) -> "Sum":
        """Where each number below `next` is, every one counted once."""
        settled = self.stored
        thinned = difference(self.thinned, settled)
        settled = union(settled, thinned)
        lost: dict[str, Ranges] = {}
        for reason, numbers in self.lost.items():
            lost[reason] = difference(numbers, settled)
            settled = union(settled, lost[reason])
        held = difference(self.held, settled)
        settled = union(settled, held)
        missing = difference(((0, self.next),) if self.next else (), settled)
        counts = {reason: total(numbers) for reason, numbers in lost.items() if numbers}
        return Sum(self.next, total(self.stored), total(thinned), counts, total(held), missing, self.readings)

    def _reach(self, ranges: Ranges) -> None:
        self.changed = True
        if ranges:
            self.next = max(self.next, ranges[-1][1])


@dataclass(frozen=True, slots=True)
class Sum:
    """Counts of numbers: `next = stored + thinned + lost + held + missing`, always; `readings` are stored values."""

    next: int
    stored: int
    thinned: int
    lost: Mapping[str, int]
    held: int
    missing: Ranges
    readings: int


class Epochs:
    """The rows of one sender: each is read when it is first asked for, then kept here for the transactions to come.

    So this must be dropped when a transaction that used it is undone.
    """

    def __init__(self, sender: int) -> None:
        self._sender = sender
        self._read: dict[int, Epoch] = {}
        self._holding: dict[int, LaneName] | None = None

    def hold(self, connection: sqlite3.Connection, inventory: Sequence[Holding], *, whole: bool) -> None:
        """Take over an inventory. A whole one lets go of every epoch that it does not name: what it held is gone."""
        if self._holding is None:
            self._holding = dict(connection.execute(_SELECT_HOLDING, (self._sender,)))
        for holding in inventory:
            self.at(connection, holding.epoch, holding.lane).hold(holding)
        named = {holding.epoch: holding for holding in inventory}
        for epoch, lane in list(self._holding.items()) if whole else ():
            if epoch not in named:
                row = self.at(connection, epoch, lane)
                row.hold(Holding(lane, epoch, row.next, ()))
                del self._holding[epoch]
        self._holding.update((epoch, holding.lane) for epoch, holding in named.items() if holding.held)

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
                    )
                )
        while len(self._read) > _MOST_KEPT:
            del self._read[next(iter(self._read))]
        return rows


def save(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Write the rows of epochs."""
    connection.executemany(_UPSERT, rows)


def every_epoch(connection: sqlite3.Connection, sender: int) -> dict[int, Epoch]:
    """All rows of a sender, by epoch."""
    rows = connection.execute(
        "SELECT epoch, lane, next, readings, stored, thinned, lost, held FROM epoch WHERE sender = ? ORDER BY epoch",
        (sender,),
    )
    return {epoch: _read(*row) for epoch, *row in rows}


def _read(lane: LaneName, following: int, readings: int, stored: str, thinned: str, lost: str, held: str) -> Epoch:
    by_reason = {reason: _ranges(ranges) for reason, ranges in orjson.loads(lost).items()}
    return Epoch(
        lane,
        following,
        readings,
        _ranges(orjson.loads(stored)),
        _ranges(orjson.loads(thinned)),
        by_reason,
        _ranges(orjson.loads(held)),
    )


def _ranges(pairs: list[list[int]]) -> Ranges:
    return tuple((first, after) for first, after in pairs)


def _text(value: Ranges | Mapping[str, Ranges]) -> str:
    return orjson.dumps(value).decode()
