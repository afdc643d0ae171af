"""The group: writes that wait are taken together into one transaction, each under its own savepoint.

Invariants: a write is answered only after COMMIT; one that raises is rolled back alone and raises to its own caller;
when the transaction itself fails (no room, a failed disk) every write in it fails and nothing of them is stored.
SQLite may end the transaction by itself in the middle of a write: that fails the whole group too, since what the others
did is gone. Constraint errors (IntegrityError) stay what they are: they are between a write and its tables.
"""

import sqlite3
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from edge_agent.hub.store.failure import mapped


class Write:
    """One write and, once `done`, its result or what it raised."""

    def __init__(self, function: Callable[[sqlite3.Connection], Any]) -> None:
        self.function = function
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None


class _Savepoint:
    """Keeps what its block did, or undoes it and hands what was raised to the write it belongs to."""

    def __init__(self, connection: sqlite3.Connection, write: Write, where: str) -> None:
        self._connection, self._write, self._where = connection, write, where

    def __enter__(self) -> None:
        self._connection.execute("SAVEPOINT write")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._connection.execute("RELEASE write")
            return True
        if not isinstance(error, Exception) or not self._connection.in_transaction:
            return False
        self._connection.execute("ROLLBACK TO write")
        self._connection.execute("RELEASE write")
        self._write.error = error
        if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
            self._write.error = mapped(error, self._where)
        return True


def commit(connection: sqlite3.Connection, group: Sequence[Write], where: str) -> bool:
    """Run the writes in order in one transaction and commit it. False when the transaction itself failed."""
    stands = False
    try:
        connection.execute("BEGIN IMMEDIATE")
        for write in group:
            with _Savepoint(connection, write, where):
                write.result = write.function(connection)
        connection.execute("COMMIT")
        stands = True
    except sqlite3.Error as error:
        failure = mapped(error, where)
        for write in group:
            write.result, write.error = None, failure
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    for write in group:
        write.done = True
    return stands
