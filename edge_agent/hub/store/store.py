"""The store: `await store.write(fn)` returns after COMMIT, `await store.read(fn)` sees one consistent moment.

Group commit needs no task: a write joins the queue, and one of the callers leads. It sends the writer's worker a turn,
which commits all that waits and wakes every caller of the group at once; then the first of those who came
meanwhile leads. So a group costs one way to the thread and back however many share it. A leader that is cancelled
leaves no other waiting: its turn ends on the thread, and one that was not sent yet is passed on. With no path there is
one connection in memory, which reads share: a simulation's hub.

After a transaction failed, the writer's connection is opened anew: what a failed sync left in it is not trusted.

What is full: a store that has a cap keeps an eighth of it, at most 32 MiB, for small writes. Once the free room, in the
file and on the disk, is less than that, what clerks would enter is refused as StoreFull before it is tried, so that
people still log in, instructions still go out, and retention can still delete. It is taken again as soon as there
is room. `trouble` is what kept the last write from being stored, until one that changed something was.

The write-ahead log grows while a reader looks, and begins anew once it is all in the database and nobody reads it.
Where readers leave no pause, or the log takes room that is needed, `tend` makes one. Does not handle: two hubs on one
file.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio

from edge_agent.hub.store import engine
from edge_agent.hub.store.commit import Clerk, Write, commit
from edge_agent.hub.store.failure import StoreBroken, StoreFull, mapped, no_room
from edge_agent.model.ports import Offload, Worker

T = TypeVar("T")
Item = TypeVar("Item")

_GROUP = 256
_READERS = 2
_LONGEST_PAUSE = 2.0
_NEAR = 32
"""So many times the room that is kept free: where more is left, it is measured by `tend` alone."""


class _Reader:
    """A worker and the connection that only it uses."""

    def __init__(self, worker: Worker, connection: sqlite3.Connection, where: str) -> None:
        self.worker, self._connection, self._where = worker, connection, where

    def look(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run the function on one snapshot of the database."""
        try:
            self._connection.execute("BEGIN")
            return function(self._connection)
        except sqlite3.Error as error:
            raise mapped(error, self._where) from error
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection; twice does no harm."""
        self._connection.close()


class Store:
    """SQLite with one writer, and two readers that never wait for it.

    `schemas` are scripts of `CREATE ... IF NOT EXISTS`; `most_bytes` caps the size of the database. What is given to
    `write` and `read` runs on a worker's thread, uses the connection only, and neither begins nor ends a transaction.
    """

    def __init__(
        self, path: Path | None, schemas: Sequence[str], offload: Offload, *, most_bytes: int | None = None
    ) -> None:
        self._path, self._schemas, self._offload, self._most_bytes = path, tuple(schemas), offload, most_bytes
        self.where = engine.MEMORY if path is None else str(path)
        self._kept_free = engine.kept_free(most_bytes)
        self.room = engine.Room(0, 0)
        self.trouble: StoreFull | StoreBroken | None = None
        self._reads = 0
        self._pause: anyio.Event | None = None
        self._quiet = anyio.Event()
        self._waiting: deque[Write] = deque()
        self._led = False
        self._writer: Worker | None = None
        self._connection: sqlite3.Connection | None = None
        self._readers: deque[_Reader] = deque()

    async def open(self) -> None:
        """Open the file and bring its tables up to date; StoreFull, StoreBroken or DeviceError when that cannot be.

        One that is open stays as it is: whoever fills a store in memory opens it first.
        """
        if self._writer is not None:
            return
        engine.check_version(sqlite3.sqlite_version_info)
        self._writer = self._offload.worker("hub-store")
        try:
            await self._writer.run(self._prepare)
        except (StoreFull, StoreBroken):
            await self.close()
            raise
        if self._path is None:
            assert self._connection is not None
            self._readers.append(_Reader(self._writer, self._connection, self.where))
            return
        for number in range(_READERS):
            worker = self._offload.worker(f"hub-reader-{number}")
            connection = await worker.run(engine.connect_reader, self._path)
            self._readers.append(_Reader(worker, connection, self.where))

    async def write(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run the function in the next transaction; its result, once committed.

        What it raises undoes only what it did. StoreFull and StoreBroken mean that nothing of it is stored. When the
        wait is cancelled the write may still happen.
        """
        result: T = await self._written(Write(asyncio.get_running_loop().create_future(), function))
        return result

    async def enter(self, clerk: Clerk[Item, T], item: Item) -> T:
        """Have a clerk enter an item in the next transaction, with all others that wait for it; like `write`."""
        write = Write(asyncio.get_running_loop().create_future(), clerk=clerk, item=item)
        result: T = await self._written(write)
        return result

    async def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run the function on one snapshot of what is committed; StoreBroken when the file cannot be read."""
        while self._pause is not None:
            await self._pause.wait()
        reader = self._readers[0]
        self._readers.rotate(1)
        self._reads += 1
        try:
            return await reader.worker.run(reader.look, function)
        finally:
            self._reads -= 1
            if not self._reads:
                self._quiet.set()

    @property
    def is_full(self) -> bool:
        """Whether there is no room but for small writes."""
        return self.room.free < self._kept_free

    @property
    def is_tight(self) -> bool:
        """Whether it is about to be full."""
        return self.room.free < 2 * self._kept_free

    async def tend(self) -> None:
        """Measure the room; where the log has grown long, or room is short, let readers wait until it is emptied.

        StoreFull and StoreBroken when the file cannot be opened or read.
        """
        assert self._writer is not None, "the store is not open"
        await self._writer.run(self._measure)
        if self._path is None or engine.log_size(self._path) <= (0 if self.is_tight else engine.LONG_LOG_BYTES):
            return
        self._pause = anyio.Event()
        try:
            if self._reads:
                self._quiet = anyio.Event()
                with anyio.move_on_after(_LONGEST_PAUSE):
                    await self._quiet.wait()
            await self._writer.run(self._empty_log)
        finally:
            self._pause.set()
            self._pause = None

    async def close(self) -> None:
        """Close every connection, once what was asked before is done."""
        while self._waiting and self._writer is not None:
            await self._writer.run(self._turn, asyncio.get_running_loop())
        while self._readers:
            reader = self._readers.popleft()
            await reader.worker.run(reader.close)
            if reader.worker is not self._writer:
                self._offload.release(reader.worker)
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.run(self._disconnect)
            self._offload.release(writer)

    async def _written(self, write: Write) -> Any:
        assert self._writer is not None, "the store is not open"
        leads, self._led = not self._led, True
        self._waiting.append(write)
        try:
            if not leads:
                await write.call
            if not write.done:
                await asyncio.sleep(0)  # whoever is ready now comes along
        except asyncio.CancelledError:
            leads = leads or (write.call.done() and not write.call.cancelled() and not write.done)
            write.call.cancel()
            if leads:
                self._pass_on()
            raise
        while not write.done:  # more than a group may stand before it
            await self._writer.run(self._turn, asyncio.get_running_loop())
        if write.error is not None:
            raise write.error
        return write.result

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Commit all that waits; on the writer's thread."""
        group = [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]
        try:
            self._commit(group)
        finally:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._answer, group)

    def _commit(self, group: Sequence[Write]) -> None:
        group = self._admitted(group)
        if not group:
            return  # another turn took all
        stands = False
        failure: Exception = StoreBroken(f"{self.where}: a write broke its transaction", hint="report this as a bug")
        try:
            connection = self._connected()
            changed = connection.total_changes
            stands = commit(connection, group, self.where)
            if stands and connection.total_changes != changed:
                self.trouble = None
                if self.room.free < _NEAR * self._kept_free:
                    self.room = engine.measure(connection, self._path)
        except (StoreFull, StoreBroken) as error:
            failure = error
        except (sqlite3.Error, OSError):
            pass  # what was committed stands: its room could not be measured, and the next write meets the reason
        finally:
            for write in group:
                if not write.done:
                    write.done, write.error = True, failure
                if isinstance(write.error, StoreFull | StoreBroken):
                    self.trouble = write.error
            if not stands and self._path is not None:
                self._disconnect()

    def _admitted(self, group: Sequence[Write]) -> Sequence[Write]:
        """What may be tried: while the store is full, nothing that is for a clerk."""
        if not self.is_full:
            return group
        for write in group:
            if write.clerk is not None:
                write.done, write.error = True, no_room(self.where)
        return [write for write in group if not write.done]

    def _measure(self) -> None:
        try:
            self.room = engine.measure(self._connected(), self._path)
        except (sqlite3.Error, OSError) as error:
            self.trouble = mapped(error, self.where)
            raise self.trouble from error

    def _empty_log(self) -> None:
        try:
            engine.empty_log(self._connected())
            self.room = engine.measure(self._connected(), self._path)
        except (sqlite3.Error, OSError) as error:
            raise mapped(error, self.where) from error

    def _answer(self, group: Sequence[Write]) -> None:
        for write in group:
            if not write.call.done():
                write.call.set_result(None)
        self._pass_on()

    def _pass_on(self) -> None:
        """Have the first that still waits lead."""
        for write in self._waiting:
            if not write.call.done():
                write.call.set_result(None)
                return
        self._led = False

    def _prepare(self) -> None:
        engine.prepare(self._connected(), self._schemas, self.where)
        self._measure()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = engine.connect(self._path, self._most_bytes)
            except sqlite3.Error as error:
                raise mapped(error, self.where) from error
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
