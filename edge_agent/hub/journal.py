"""The replay log: what a stream said, kept in numbered entries, so that a reader who was away gets what it missed.

An entry belongs to a stream (`device:<id>`, or `events`) and has a number that only grows over all streams; its id on
the wire is `<hub epoch>-<n>`. Entries are added inside the transaction that made them true, and published after it
committed, in their order: `pump` reads what is new from the store, so that nothing is told that was rolled back. A
stream keeps its newest entries only, bounded in number and in bytes; its floor is the largest number that was removed,
and whoever asks from below it, or from another epoch, or from the future (a restored backup), cannot be served:
`reset`. Only streams that grew are trimmed.
"""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson

from edge_agent.hub.fanout import Fanout
from edge_agent.hub.keys import Keyring
from edge_agent.hub.store import Store, StoreBroken, StoreFull

SCHEMA = """
CREATE TABLE IF NOT EXISTS journal_entry (
    n INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, device TEXT NOT NULL, event TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_entry_of ON journal_entry (stream, n);
CREATE TABLE IF NOT EXISTS journal_floor (stream TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
"""

EVENTS = "events"
_MOST_OF_EVENTS = (10_000, 16 * 2**20)
_MOST_OF_A_DEVICE = (500, 2**20)
"""Entries, and bytes of their data."""

_TRIMMED_AT_ONCE = 64
_PUMPED_AT_ONCE = 1000
_MOST_DIGITS = 18
"""A number with more digits was never given out, and might not fit SQLite."""


class Entry(NamedTuple):
    """One entry: `n` its number, `data` the JSON of the event. Number 0 stands for what is not in the log."""

    n: int
    device: str
    event: str
    data: bytes


def device_stream(device: str) -> str:
    """The name of a device's stream."""
    return f"device:{device}"


class Journal:
    """Reads the log for replays, and publishes what is new to `fanout`, topic by stream."""

    def __init__(self, store: Store, keyring: Keyring, fanout: Fanout[Entry]) -> None:
        self._store, self._keyring, self._fanout = store, keyring, fanout
        self._told = 0
        # The largest number given out, committed or not: while it is not above `_told` there is nothing to read.
        self._given = 0
        self._turn = asyncio.Lock()
        # Added to on the writer's thread: each change of it is one call, which no thread sees half done.
        self._grown: set[str] = set()

    async def open(self) -> None:
        """Start after what earlier lives told."""
        self._told = self._given = await self._store.read(_newest)
        self._grown = set(await self._store.read(_streams))

    def append(
        self, connection: sqlite3.Connection, stream: str, device: str, event: str, data: bytes | Mapping[str, Any]
    ) -> int:
        """Add an entry within the caller's transaction; its number. Whoever called `store.write` then calls `pump`."""
        written = data if isinstance(data, bytes) else orjson.dumps(data)
        cursor = connection.execute(
            "INSERT INTO journal_entry (stream, device, event, data) VALUES (?, ?, ?, ?)",
            (stream, device, event, written),
        )
        number = cursor.lastrowid
        assert number is not None
        self._grown.add(stream)
        self._given = max(self._given, number)
        return number

    def tell(self, connection: sqlite3.Connection, device: str, event: str, data: Mapping[str, Any]) -> int:
        """Add an event for viewers, with its device as a member; like `append`."""
        return self.append(connection, EVENTS, device, event, {**data, "device": device})

    @property
    def newest(self) -> str:
        """The id of what was published last."""
        return self.id_of(self._told)

    def id_of(self, n: int) -> str:
        """An entry's id on the wire."""
        return f"{self._keyring.epoch}-{n}"

    async def pump(self) -> None:
        """Publish what was committed since the last time."""
        async with self._turn:
            while self._told < self._given:
                rows = await self._store.read(lambda connection: _after(connection, self._told))
                for n, stream, device, event, data in rows:
                    self._fanout.publish(stream, Entry(n, device, event, data))
                if not rows:
                    return
                self._told = rows[-1][0]

    async def replay(self, stream: str, last_id: str) -> Sequence[Entry] | None:
        """What came on the stream after this id; None when that cannot be told whole."""
        epoch, dash, written = last_id.partition("-")
        if epoch != self._keyring.epoch or not dash or not written.isascii() or not written.isdigit():
            return None
        if len(written) > _MOST_DIGITS:
            return None
        return await self._store.read(lambda connection: _since(connection, stream, int(written)))

    async def trim(self) -> None:
        """Remove what is older than each stream keeps; StoreFull and StoreBroken leave it for the next time."""
        while self._grown:
            streams = sorted(self._grown)[:_TRIMMED_AT_ONCE]
            self._grown.difference_update(streams)
            try:
                await self._store.write(partial(_trim, streams=streams))
            except (StoreFull, StoreBroken):
                self._grown.update(streams)
                raise


def _newest(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal_entry'").fetchone()
    return int(row[0]) if row else 0


def _after(connection: sqlite3.Connection, n: int) -> list[tuple[int, str, str, str, bytes]]:
    return connection.execute(
        "SELECT n, stream, device, event, data FROM journal_entry WHERE n > ? ORDER BY n LIMIT ?", (n, _PUMPED_AT_ONCE)
    ).fetchall()


def _since(connection: sqlite3.Connection, stream: str, n: int) -> list[Entry] | None:
    floor = connection.execute("SELECT n FROM journal_floor WHERE stream = ?", (stream,)).fetchone()
    if n > _newest(connection) or (floor is not None and n < floor[0]):
        return None
    rows = connection.execute(
        "SELECT n, device, event, data FROM journal_entry WHERE stream = ? AND n > ? ORDER BY n", (stream, n)
    )
    return [Entry(*row) for row in rows]


def _streams(connection: sqlite3.Connection) -> list[str]:
    return [stream for (stream,) in connection.execute("SELECT DISTINCT stream FROM journal_entry")]


def _trim(connection: sqlite3.Connection, streams: Sequence[str]) -> None:
    for stream in streams:
        edge = _edge(connection, stream, *(_MOST_OF_EVENTS if stream == EVENTS else _MOST_OF_A_DEVICE))
        if edge is None:
            continue
        connection.execute("DELETE FROM journal_entry WHERE stream = ? AND n <= ?", (stream, edge))
        connection.execute(
            "INSERT INTO journal_floor VALUES (?, ?) ON CONFLICT (stream) DO UPDATE SET n = excluded.n", (stream, edge)
        )


def _edge(connection: sqlite3.Connection, stream: str, most: int, most_bytes: int) -> int | None:
    """The newest entry that a stream keeps no more."""
    rows = connection.execute("SELECT n, length(data) FROM journal_entry WHERE stream = ? ORDER BY n DESC", (stream,))
    size = 0
    for index, (n, length) in enumerate(rows):
        size += length
        if index == most or size > most_bytes:
            return int(n)
    return None
