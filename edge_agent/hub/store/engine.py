"""Connections to SQLite: what is set on each, and the schema that they find.

Invariants: a file is in WAL mode with `synchronous=FULL`, so that what COMMIT returned survives a power cut;
transactions are begun and ended by hand; a reader cannot write. `user_version` is the version of the whole schema: a
file of a newer hub is refused by name, never touched, and so is every file where SQLite is too old for the tables. Each
hub module declares its own `SCHEMA`, a script of `CREATE ... IF NOT EXISTS`, so that a module's tables appear in an
older file of the same version.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from edge_agent.hub.store.failure import StoreBroken, mapped
from edge_agent.model.failure import DeviceError

VERSION = 1
"""The version of the schema, raised when a table that stands must change."""

OLDEST = (3, 37, 0)
"""The first SQLite that knows STRICT tables."""

MEMORY = ":memory:"
_CHECKPOINT_PAGES = 4000
_BUSY_SECONDS = 5.0


def connect(path: Path | None, most_bytes: int | None) -> sqlite3.Connection:
    """The writer's connection; None is one that lives in memory. `most_bytes` caps the database's size."""
    # Workers are threads, each call in order: the connection is never used by two at once.
    connection = sqlite3.connect(
        MEMORY if path is None else path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}").fetchone()
    if most_bytes is not None:
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {max(1, most_bytes // page)}").fetchone()
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


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
    script = "\n".join(schemas)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreBroken(
                f"{where}: written by a newer hub (schema {version}, this one knows {VERSION})",
                hint="install the newer version again, or restore the backup made before the upgrade",
            )
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {VERSION};\nCOMMIT;")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise mapped(error, where) from error
