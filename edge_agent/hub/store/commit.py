"""The group: writes that wait are taken together into one transaction.

A write is a function of its own, under a savepoint of its own; or it is an item for a clerk, who enters all items of
the group at once, so that a hundred deposits are as many rows in a few statements. Should that fail each item is
entered alone, under a savepoint: so one that cannot be stored never takes another along.

Invariants: a write is answered only after COMMIT; one that raises is rolled back alone and raises to its own caller;
when the transaction itself fails (no room, a failed disk) every write in it fails and nothing of them is stored.
SQLite may end the transaction by itself in the middle of a write: that fails the whole group too, since what the others
did is gone. Whatever is undone, a clerk is told to forget what it learnt. Constraint errors (IntegrityError) stay what
they are: they are between a write and its tables.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeVar

from edge_agent.hub.store.failure import mapped

Item_contra = TypeVar("Item_contra", contravariant=True)
Entered_co = TypeVar("Entered_co", covariant=True)


class Clerk(Protocol[Item_contra, Entered_co]):
    """Enters many items at once, on the writer's thread, and may remember what the tables say."""

    def enter(self, connection: sqlite3.Connection, items: Sequence[Item_contra], /) -> Sequence[Entered_co]:
        """Enter items in order, within a transaction; what came of each."""

    def forget(self) -> None:
        """Something that was entered is undone."""


class Write:
    """One write: a function alone, or an item for a clerk. Once `done` it has its result or what it raised.

    `call` wakes whoever waits: when it is done, or when it is their turn to send a group.
    """

    def __init__(
        self,
        call: asyncio.Future[None],
        function: Callable[[sqlite3.Connection], Any] | None = None,
        clerk: Clerk[Any, Any] | None = None,
        item: object = None,
    ) -> None:
        self.call, self.function, self.clerk, self.item = call, function, clerk, item
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        """Do it, alone."""
        if self.clerk is not None:
            (self.result,) = self.clerk.enter(connection, [self.item])
        elif self.function is not None:
            self.result = self.function(connection)


class _Savepoint:
    """Keeps what its block did, or undoes it and hands what was raised to the writes it belongs to."""

    def __init__(self, connection: sqlite3.Connection, writes: Sequence[Write], where: str) -> None:
        self._connection, self._writes, self._where = connection, writes, where

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
        if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
            error = mapped(error, self._where)
        for write in self._writes:
            write.result, write.error = None, error
            if write.clerk is not None:
                write.clerk.forget()
        return True


def commit(connection: sqlite3.Connection, group: Sequence[Write], where: str) -> bool:
    """Run the writes in one transaction and commit it: False when the transaction itself failed.

    What is for a clerk comes after the rest; apart from that they run in order.
    """
    clerks: dict[Clerk[Any, Any], list[Write]] = {}
    stands = False
    try:
        connection.execute("BEGIN IMMEDIATE")
        for write in group:
            if write.clerk is not None:
                clerks.setdefault(write.clerk, []).append(write)
                continue
            with _Savepoint(connection, [write], where):
                write.run(connection)
        for clerk, writes in clerks.items():
            _enter(connection, clerk, writes, where)
        connection.execute("COMMIT")
        stands = True
    except sqlite3.Error as error:
        failure = mapped(error, where)
        for write in group:
            write.result, write.error = None, failure
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    finally:
        if not stands:
            for clerk in clerks:
                clerk.forget()
    for write in group:
        write.done = True
    return stands


def _enter(connection: sqlite3.Connection, clerk: Clerk[Any, Any], writes: Sequence[Write], where: str) -> None:
    with _Savepoint(connection, writes, where):
        for write, result in zip(writes, clerk.enter(connection, [write.item for write in writes]), strict=True):
            write.result = result
    if len(writes) == 1 or writes[0].error is None:
        return
    for write in writes:
        write.error = None
        with _Savepoint(connection, [write], where):
            write.run(connection)
