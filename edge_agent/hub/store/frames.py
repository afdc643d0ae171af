"""The tables of telemetry, and the statements that fill them.

    sender   a device that has sent frames: when, its resource, and how many series it may still add
    axis     one axis of a sender (a boot): the span of its longest frame, and the ceiling that arrivals set its offset
    frame    a frame: its identity, and its span on its axis; no row a reading
    payload  its payload, bytes verbatim as they came; a table of its own, so that what is deleted frees whole pages
    series   the catalogue: what each sender has ever measured, for lists, never needed to decode a frame

A thinned frame stands under `~epoch` of the epoch whose numbers it brings, and the first number that was new with it:
so no other frame can have its place, and no frame of its own is looked for where it stands.

Retention deletes a payload and leaves a digest with the frame, so that a number that comes again with other bytes is
still told from a repeat. Times are ms; `arrived` and `*_seen` are the hub's, `first` and `last` the axis's.

A hub that does not know the time guesses it: what it counts by a guess says which one (`era`; 0 is none). A ceiling
that was guessed gives way to one that was not, and to one of another guess. `arrived` is negative where it was guessed,
and nothing is deleted by that: once the hub knows the time, such a frame counts as having come then.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from edge_agent.model.reading import Series

SCHEMA = """
CREATE TABLE IF NOT EXISTS sender (
    id INTEGER PRIMARY KEY, device TEXT NOT NULL UNIQUE, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
    resource TEXT NOT NULL, series INTEGER NOT NULL, beyond INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS axis (
    id INTEGER PRIMARY KEY, sender INTEGER NOT NULL, name TEXT NOT NULL,
    longest INTEGER NOT NULL, ceiling INTEGER NOT NULL, era INTEGER NOT NULL DEFAULT 0, UNIQUE (sender, name)
) STRICT;
CREATE TABLE IF NOT EXISTS frame (
    id INTEGER PRIMARY KEY, sender INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind INTEGER NOT NULL, axis INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    readings INTEGER NOT NULL, arrived INTEGER NOT NULL, digest BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS payload (frame INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS frame_identity ON frame (sender, epoch, seq);
CREATE INDEX IF NOT EXISTS frame_span ON frame (axis, kind, first, last);
CREATE INDEX IF NOT EXISTS frame_kept ON frame (arrived) WHERE digest IS NULL;
CREATE TABLE IF NOT EXISTS series (
    sender INTEGER NOT NULL, collector TEXT NOT NULL, name TEXT NOT NULL, attributes TEXT NOT NULL,
    unit TEXT NOT NULL, kind TEXT NOT NULL, digits INTEGER, source TEXT NOT NULL, first_seen INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS series_of ON series (sender, collector, name);
"""

_INSERT = "INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"
_SELECT = """
SELECT payload, digest FROM frame LEFT JOIN payload ON payload.frame = frame.id
WHERE sender = ? AND epoch = ? AND seq = ?
"""
_FIRST = "SELECT frame, payload FROM payload ORDER BY frame LIMIT ?"
_DIGEST_SIZE = 16


class FrameRow(NamedTuple):
    """A frame to be stored: `axis` is the row of its axis, times in ms; `epoch` and `seq` are its place."""

    sender: int
    epoch: int
    seq: int
    kind: int
    axis: int
    first: int
    last: int
    readings: int
    arrived: int


def insert(connection: sqlite3.Connection, rows: Sequence[FrameRow], payloads: Sequence[bytes]) -> None:
    """Store frames whose numbers are not stored yet, each with its payload."""
    (last,) = connection.execute("SELECT ifnull(max(id), 0) FROM frame").fetchone()
    connection.executemany(_INSERT, ((last + 1 + index, *row) for index, row in enumerate(rows)))
    connection.executemany("INSERT INTO payload VALUES (?, ?)", enumerate(payloads, last + 1))


def digest(payload: bytes) -> bytes:
    """What stands for a payload once it is gone."""
    return hashlib.blake2b(payload, digest_size=_DIGEST_SIZE).digest()


class Kept(NamedTuple):
    """What is left of a stored frame: its payload, or only the digest of it."""

    payload: bytes | None
    digest: bytes | None

    def is_of(self, payload: bytes) -> bool:
        """Whether these are the bytes that were stored."""
        return self.digest == digest(payload) if self.payload is None else self.payload == payload


def kept(connection: sqlite3.Connection, sender: int, epoch: int, seq: int) -> Kept | None:
    """A stored frame; None when no row tells of it any more."""
    row = connection.execute(_SELECT, (sender, epoch, seq)).fetchone()
    return None if row is None else Kept(*row)


def prune(connection: sqlite3.Connection, arrived_before: int, most: int) -> int:
    """Delete the payloads of at most so many of the oldest frames that came before this; how many were deleted."""
    rows = connection.execute(
        "SELECT id, payload FROM frame JOIN payload ON payload.frame = frame.id"
        " WHERE digest IS NULL AND arrived >= 0 AND arrived < ? ORDER BY arrived LIMIT ?",
        (arrived_before, most),
    ).fetchall()
    return _delete(connection, rows)


def drop(connection: sqlite3.Connection, most: int) -> int:
    """Delete the payloads of at most so many frames that came first, whatever any clock said; how many were deleted."""
    return _delete(connection, connection.execute(_FIRST, (most,)).fetchall())


def _delete(connection: sqlite3.Connection, rows: Sequence[tuple[int, bytes]]) -> int:
    connection.executemany("UPDATE frame SET digest = ? WHERE id = ?", ((digest(body), row) for row, body in rows))
    connection.executemany("DELETE FROM payload WHERE frame = ?", ((row,) for row, _ in rows))
    return len(rows)


def newest(connection: sqlite3.Connection) -> int:
    """When the newest payload came, in Unix ms, among those of which that is known; 0 without any."""
    (arrived,) = connection.execute("SELECT max(arrived) FROM frame WHERE digest IS NULL").fetchone()
    return max(0, arrived or 0)


def adopt(connection: sqlite3.Connection, now: int, most: int) -> int:
    """Let at most so many frames whose arrival was guessed count as having come now; how many there were."""
    rows = connection.execute(
        "SELECT id FROM frame WHERE digest IS NULL AND arrived < 0 ORDER BY arrived LIMIT ?", (most,)
    ).fetchall()
    connection.executemany("UPDATE frame SET arrived = ? WHERE id = ?", ((now, row) for (row,) in rows))
    return len(rows)


def sender_of(connection: sqlite3.Connection, device: str, now: int) -> int:
    """The row of a device, made when it sends for the first time."""
    found = find_sender(connection, device)
    if found is not None:
        return found
    connection.execute("INSERT INTO sender VALUES (NULL, ?, ?, ?, '{}', 0, 0)", (device, now, now))
    return int(connection.execute("SELECT last_insert_rowid()").fetchone()[0])


def find_sender(connection: sqlite3.Connection, device: str) -> int | None:
    """The row of a device; None when it never sent anything."""
    row = connection.execute("SELECT id FROM sender WHERE device = ?", (device,)).fetchone()
    return None if row is None else int(row[0])


def touch(connection: sqlite3.Connection, sender: int, now: int, resource: Mapping[str, str] | None) -> None:
    """Note that a sender was seen, and its resource when that is known."""
    if resource is None:
        connection.execute("UPDATE sender SET last_seen = ? WHERE id = ?", (now, sender))
    else:
        written = orjson.dumps(resource, option=orjson.OPT_SORT_KEYS).decode()
        connection.execute("UPDATE sender SET last_seen = ?, resource = ? WHERE id = ?", (now, written, sender))


class AxisRow(NamedTuple):
    """An axis as its table has it."""

    id: int
    longest: int
    ceiling: int
    era: int


def axis_of(connection: sqlite3.Connection, sender: int, name: str, ceiling: int, era: int) -> AxisRow:
    """The row of an axis, made under this ceiling when it is heard of for the first time."""
    asked = "SELECT id, longest, ceiling, era FROM axis WHERE sender = ? AND name = ?"
    row = connection.execute(asked, (sender, name)).fetchone()
    if row is None:
        connection.execute("INSERT INTO axis VALUES (NULL, ?, ?, 0, ?, ?)", (sender, name, ceiling, era))
        row = connection.execute(asked, (sender, name)).fetchone()
    return AxisRow(*row)


def widen(connection: sqlite3.Connection, rows: Iterable[AxisRow]) -> None:
    """Write what is known of axes now."""
    connection.executemany(
        "UPDATE axis SET longest = ?, ceiling = ?, era = ? WHERE id = ?",
        ((row.longest, row.ceiling, row.era, row.id) for row in rows),
    )


def catalogue(
    connection: sqlite3.Connection, sender: int, collector: str, series: Iterable[Series], now: int, most: int
) -> None:
    """Enter series that are new, up to `most` a sender; how many did not fit is noted beside the sender."""
    keys = dict.fromkeys(map(_key, series))
    for known in connection.execute(
        "SELECT name, attributes, unit, kind, digits, source FROM series WHERE sender = ? AND collector = ?",
        (sender, collector),
    ):
        keys.pop(known, None)
    if not keys:
        return
    (entered,) = connection.execute("SELECT series FROM sender WHERE id = ?", (sender,)).fetchone()
    new = list(keys)[: max(0, most - entered)]
    connection.executemany(
        "INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", ((sender, collector, *key, now) for key in new)
    )
    connection.execute(
        "UPDATE sender SET series = series + ?, beyond = max(beyond, ?) WHERE id = ?",
        (len(new), len(keys) - len(new), sender),
    )


def _key(series: Series) -> tuple[str, str, str, str, int | None, str]:
    attributes = orjson.dumps(dict(series.attributes), option=orjson.OPT_SORT_KEYS).decode()
    return (series.name, attributes, series.unit, series.kind, series.digits, series.source)
