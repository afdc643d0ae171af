"""Connections to SQLite: what is set on each, and the schema that they find.

Invariants: a file is in WAL mode with `synchronous=FULL`, so that what COMMIT returned survives a power cut;
transactions are begun and ended by hand; a reader cannot write; what SQLite sorts or sets aside stays in memory, so
that a full `/tmp` stops nothing. `user_version` is the version of the whole schema: a file of a newer hub is refused by
name, never touched, and so is every file where SQLite is too old for the tables. Each hub module declares its own
`SCHEMA`, a script of `CREATE ... IF NOT EXISTS`, so that a module's tables appear in an older file of the same version.
A file
of an older version is brought up by steps, in the same transaction. A file that has all of them is not written to, so
that a hub can begin where the disk is full.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edge_agent.hub.store.failure import StoreBroken, mapped
from edge_agent.model.failure import DeviceError

VERSION = 3
"""The version of the schema, raised when a table that stands must change."""

_STEPS: Sequence[tuple[int, str, str]] = (
    (
        1,
        "epoch",
        """
        ALTER TABLE epoch ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE epoch ADD COLUMN thinned_readings INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE epoch ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
        """,
    ),
    (
        2,
        "epoch",
        """
        ALTER TABLE epoch ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE epoch ADD COLUMN axis INTEGER NOT NULL DEFAULT 0;
        """,
    ),
    (2, "axis", "ALTER TABLE axis ADD COLUMN era INTEGER NOT NULL DEFAULT 0;"),
    (
        2,
        "anchor",
        """
        CREATE TABLE claim (
            axis INTEGER NOT NULL, at INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL,
            PRIMARY KEY (axis, at, lo, hi)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO claim SELECT axis, at, lo, hi FROM anchor;
        DROP TABLE anchor;
        """,
    ),
)
"""A version, a table that the next one changed, and what changes one that stands."""

OLDEST = (3, 37, 0)
"""The first SQLite that knows STRICT tables."""

MEMORY = ":memory:"
LONG_LOG_BYTES = 64 * 2**20
"""A write-ahead log that is longer was kept from its end by readers without a pause: it is 16 MB otherwise."""

_CHECKPOINT_PAGES = 4000
_BUSY_SECONDS = 5.0
_MOST_KEPT_FREE = 32 * 2**20
_KEPT_SHARE = 8


class Room(NamedTuple):
    """Bytes: `used` by what is stored, and `free` for more, inside the file and as far as it may still grow."""

    used: int
    free: int


def connect(path: Path | None, most_bytes: int | None) -> sqlite3.Connection:
    """The writer's connection; None is one that lives in memory. `most_bytes` caps the database's size."""
    # Workers are threads, each call in order: the connection is never used by two at once.
    connection = sqlite3.connect(
        MEMORY if path is None else path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA journal_size_limit = {LONG_LOG_BYTES}").fetchone()
    pages = _CHECKPOINT_PAGES
    if most_bytes is not None:
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {max(1, most_bytes // page)}").fetchone()
        # What is in the log is written once more: that must find room where the log was all that fitted.
        pages = min(pages, max(1, kept_free(most_bytes) // 2 // page))
    connection.execute(f"PRAGMA wal_autocheckpoint = {pages}").fetchone()
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def kept_free(most_bytes: int | None) -> int:
    """How much of a capped database's room is kept for small writes, in bytes."""
    return 0 if most_bytes is None else min(_MOST_KEPT_FREE, most_bytes // _KEPT_SHARE)


def measure(connection: sqlite3.Connection, path: Path | None) -> Room:
    """The room of the writer's database: what its cap leaves, and its file system; `path` None is one in memory."""
    pages, unused, page, most = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size", "max_page_count")
    )
    growth = (most - pages) * page
    if path is not None:
        left = os.statvfs(path.parent)
        growth = min(growth, left.f_bavail * left.f_frsize)
    return Room((pages - unused) * page, unused * page + growth)


def log_size(path: Path) -> int:
    """How long the write-ahead log of a database is, in bytes."""
    try:
        return os.stat(f"{path}-wal").st_size  # noqa: PTH116 - a name that is made here
    except OSError:
        return 0


def empty_log(connection: sqlite3.Connection) -> None:
    """Bring all of the log into the database and cut it to nothing, if no reader stands in the way just now."""
    connection.execute("PRAGMA busy_timeout = 0").fetchone()
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}").fetchone()


def check_version(version: tuple[int, int, int]) -> None:
    """DeviceError when SQLite is too old for the tables."""
    if version < OLDEST:
        needed, found = (".".join(map(str, numbers)) for numbers in (OLDEST, version))
        raise DeviceError(
            f"the hub needs SQLite {needed}, and this Python has {found}",
            hint="use a Python with a newer SQLite: its own installer, a newer distribution, or the hub's container",
        )


def prepare(connection: sqlite3.Connection, schemas: Sequence[str], where: str) -> None:
    """Bring the tables to what this version needs, whole or not at all."""
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreBroken(
                f"{where}: written by a newer hub (schema {version}, this one knows {VERSION})",
                hint="install the newer version again, or restore the backup made before the upgrade",
            )
        script = "\n".join((*_steps(connection, version), *schemas))
        marked = "" if version == VERSION else f"PRAGMA user_version = {VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n{marked}\nCOMMIT;")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise mapped(error, where) from error


def _steps(connection: sqlite3.Connection, version: int) -> list[str]:
    """What changes the tables of an older version that stand; a file that is new has none."""
    standing = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [change for older, table, change in _STEPS if version <= older and table in standing]
