"""The store: group commit, failures that take nothing along, and readers."""

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.hub.store import Store, StoreBroken, StoreFull, engine, refusal
from edge_agent.kit.offload import Threads
from edge_agent.model.failure import DeviceError
from edge_agent.model.ports import Offload
from tests.sim.loop import run
from tests.sim.offload import InlineOffload

SCHEMA = "CREATE TABLE IF NOT EXISTS word (word TEXT NOT NULL UNIQUE, body BLOB) STRICT;"


@asynccontextmanager
async def opened(
    path: Path | None, offload: Offload | None = None, most_bytes: int | None = None
) -> AsyncIterator[Store]:
    store = Store(path, [SCHEMA], offload or InlineOffload(), most_bytes=most_bytes)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def adds(word: str | None, size: int = 0) -> Callable[[sqlite3.Connection], int]:
    def add(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO word VALUES (?, zeroblob(?))", (word, size))
        return len(word or "")

    return add


class Scribe:
    """A clerk who adds words; a word that is no word is a bug."""

    def __init__(self) -> None:
        self.entered: list[int] = []
        self.forgot = 0

    def enter(self, connection: sqlite3.Connection, items: Sequence[str], /) -> list[int]:
        self.entered.append(len(items))
        connection.executemany("INSERT INTO word VALUES (?, NULL)", [(item,) for item in items])
        if "bug" in items:
            raise KeyError("a bug in a clerk")
        return [len(item) for item in items]

    def forget(self) -> None:
        self.forgot += 1


def words(connection: sqlite3.Connection) -> list[str]:
    return [word for (word,) in connection.execute("SELECT word FROM word ORDER BY rowid")]


def raises(_: sqlite3.Connection) -> None:
    raise KeyError("a bug in a write")


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return None if request.param == "memory" else tmp_path / "hub.db"


def test_what_was_written_is_read_and_answered(path: Path | None) -> None:
    async def scene() -> None:
        async with opened(path) as store:
            assert await store.write(adds("three")) == 5
            assert await store.read(words) == ["three"]

    run(scene())


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        for word in ("one", "two"):
            async with opened(tmp_path / "hub.db") as store:
                await store.write(adds(word))
        async with opened(tmp_path / "hub.db") as store:
            assert await store.read(words) == ["one", "two"]

    run(scene())


def test_a_write_that_raises_undoes_only_itself(path: Path | None) -> None:
    def half(connection: sqlite3.Connection) -> None:
        adds("half")(connection)
        raises(connection)

    async def scene() -> None:
        async with opened(path) as store:
            outcomes = await asyncio.gather(
                store.write(adds("one")),
                store.write(half),
                store.write(adds(None)),
                store.write(adds("two")),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [int, KeyError, sqlite3.IntegrityError, int]
            assert await store.read(words) == ["one", "two"]

    run(scene())


def test_writes_that_wait_share_one_transaction(tmp_path: Path) -> None:
    transactions: list[int] = []

    def begun(statement: str) -> None:
        transactions.extend([1] if statement.startswith("BEGIN") else [])

    async def scene() -> None:
        entered, go = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def slow(connection: sqlite3.Connection) -> None:
            connection.set_trace_callback(begun)
            loop.call_soon_threadsafe(entered.set)
            assert go.wait(10)

        async with opened(tmp_path / "hub.db", Threads()) as store:
            first = asyncio.ensure_future(store.write(slow))
            await entered.wait()
            others = [asyncio.ensure_future(store.write(adds(str(number)))) for number in range(20)]
            await asyncio.sleep(0)
            go.set()
            await asyncio.gather(first, *others)
            assert transactions == [1]
            assert len(await store.read(words)) == 20

    asyncio.run(scene())


def test_a_caller_that_gives_up_leaves_no_other_waiting() -> None:
    async def scene() -> None:
        offload = InlineOffload()
        async with opened(None, offload) as store:
            offload.hang("hub-store")
            writes = [asyncio.ensure_future(store.write(adds(word))) for word in ("one", "two", "three")]
            await asyncio.sleep(0)
            writes[0].cancel()
            await asyncio.sleep(0)
            offload.free("hub-store")
            assert await asyncio.gather(*writes[1:]) == [3, 5]
            assert await store.read(words) == ["one", "two", "three"]

    run(scene())


def test_a_clerk_enters_all_that_waits_at_once(path: Path | None) -> None:
    async def scene() -> None:
        scribe = Scribe()
        async with opened(path) as store:
            items = ["one", "two", "three"]
            found = await asyncio.gather(*(store.enter(scribe, item) for item in items), store.write(adds("four")))
            assert found == [3, 3, 5, 4]
            assert (scribe.entered, scribe.forgot) == ([3], 0)
            assert sorted(await store.read(words)) == ["four", "one", "three", "two"]

    run(scene())


@pytest.mark.parametrize("wrong", ["bug", "taken"])
def test_an_item_that_cannot_be_entered_fails_alone(path: Path | None, wrong: str) -> None:
    async def scene() -> None:
        scribe = Scribe()
        async with opened(path) as store:
            await store.write(adds("taken"))
            outcomes = await asyncio.gather(
                *(store.enter(scribe, item) for item in ("one", wrong, "two")), return_exceptions=True
            )
            assert outcomes[::2] == [3, 3]
            assert isinstance(outcomes[1], KeyError if wrong == "bug" else sqlite3.IntegrityError)
            assert scribe.entered == [3, 1, 1, 1]
            assert scribe.forgot >= 2, "what was learnt in what is undone is forgotten"
            assert await store.read(words) == ["taken", "one", "two"]

    run(scene())


def test_a_clerk_forgets_when_the_transaction_fails(tmp_path: Path) -> None:
    def late(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute("INSERT INTO leaf VALUES (7)")  # fails at COMMIT

    async def scene() -> None:
        scribe = Scribe()
        async with opened(tmp_path / "hub.db") as store:
            await store.write(lambda db: db.execute("CREATE TABLE leaf (of INTEGER REFERENCES tree (id))"))
            await store.write(lambda db: db.execute("CREATE TABLE tree (id INTEGER PRIMARY KEY)"))
            outcomes = await asyncio.gather(store.enter(scribe, "one"), store.write(late), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [StoreBroken] * 2
            assert scribe.forgot > 0
            assert await store.read(words) == []
            assert await store.enter(scribe, "one") == 3

    run(scene())


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("leaves", [(0,), (1,), (0, 1), (0, 2), (1, 2)])
def test_whoever_leaves_at_whatever_moment_all_others_are_answered(turns: int, leaves: tuple[int, ...]) -> None:
    async def scene() -> None:
        async with opened(None, InlineOffload(random.Random(turns))) as store:
            writes = [asyncio.ensure_future(store.write(adds(str(number)))) for number in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            writes += [asyncio.ensure_future(store.write(adds(str(number)))) for number in range(3, 6)]
            await asyncio.sleep(0)
            for index in leaves:
                writes[index].cancel()
            outcomes = await asyncio.gather(*writes, return_exceptions=True)
            assert [outcome for index, outcome in enumerate(outcomes) if index not in leaves] == [1] * (6 - len(leaves))
            assert await store.write(adds("last")) == 4

    run(scene())


def test_what_was_asked_before_is_done_before_it_closes(path: Path | None) -> None:
    async def scene() -> None:
        async with opened(path, InlineOffload(random.Random(3))) as store:
            writes = [asyncio.ensure_future(store.write(adds(str(number)))) for number in range(600)]
            await asyncio.sleep(0)
        assert await asyncio.gather(*writes) == [len(str(number)) for number in range(600)]

    run(scene())


def test_a_sqlite_that_is_too_old_is_told_to_people() -> None:
    engine.check_version((3, 37, 0))
    with pytest.raises(DeviceError, match=r"needs SQLite 3\.37\.0, and this Python has 3\.34\.1") as found:
        engine.check_version((3, 34, 1))
    assert "SQLite" in found.value.hint


def test_a_reader_sees_what_is_committed_while_a_write_is_open(tmp_path: Path) -> None:
    async def scene() -> None:
        entered, go = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def slow(connection: sqlite3.Connection) -> None:
            adds("two")(connection)
            loop.call_soon_threadsafe(entered.set)
            assert go.wait(10)

        async with opened(tmp_path / "hub.db", Threads()) as store:
            await store.write(adds("one"))
            write = asyncio.ensure_future(store.write(slow))
            await entered.wait()
            assert await store.read(words) == ["one"]
            go.set()
            await write
            assert await store.read(words) == ["one", "two"]

    asyncio.run(scene())


def test_a_read_cannot_write(path: Path | None) -> None:
    async def scene() -> None:
        async with opened(path) as store:
            try:
                await store.read(adds("one"))
            except StoreBroken:
                assert path is not None
            assert await store.read(words) == []

    run(scene())


def test_a_full_store_stores_nothing_by_halves_and_serves_readers(path: Path | None) -> None:
    async def scene() -> None:
        async with opened(path, most_bytes=64 * 1024) as store:

            def two(connection: sqlite3.Connection) -> None:
                adds("small")(connection)
                adds("large", 200_000)(connection)

            await store.write(adds("before"))
            with pytest.raises(StoreFull) as full:
                await store.write(two)
            assert "limits.store" in full.value.hint
            assert await store.read(words) == ["before"]
            await store.write(adds("after"))
            assert await store.read(words) == ["before", "after"]

    run(scene())


def test_a_transaction_that_ends_by_itself_fails_the_whole_group(tmp_path: Path) -> None:
    def ends(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # what SQLite does by itself after some I/O errors
        raise sqlite3.OperationalError("disk I/O error")

    async def scene() -> None:
        offload = InlineOffload()
        async with opened(tmp_path / "hub.db", offload) as store:
            offload.hang("hub-store")
            group = [asyncio.ensure_future(store.write(write)) for write in (adds("one"), ends, adds("two"))]
            await asyncio.sleep(0)
            offload.free("hub-store")
            outcomes = await asyncio.gather(*group, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [StoreBroken] * 3
            assert await store.read(words) == []
            await store.write(adds("three"))
            assert await store.read(words) == ["three"]

    run(scene())


def test_a_file_of_a_newer_hub_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    async def scene() -> None:
        with pytest.raises(StoreBroken, match="newer hub"):
            async with opened(path):
                pass

    run(scene())
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    connection.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"not a database, but long enough to be looked at" * 100)

    async def scene() -> None:
        with pytest.raises(StoreBroken):
            async with opened(tmp_path / "hub.db"):
                pass

    run(scene())
    assert (tmp_path / "hub.db").read_bytes().startswith(b"not a database")


def test_what_is_committed_is_synced_before_it_is_answered(tmp_path: Path) -> None:
    def modes(connection: sqlite3.Connection) -> tuple[object, ...]:
        names = ("journal_mode", "synchronous")
        return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)

    async def scene() -> None:
        async with opened(tmp_path / "hub.db") as store:
            assert await store.write(modes) == ("wal", 2)

    run(scene())


def test_a_refusal_asks_to_come_back() -> None:
    for error, code in ((StoreFull("full"), b"store_full"), (StoreBroken("broken"), b"unavailable")):
        reply = refusal(error)
        assert reply.status == 503
        assert int(reply.headers["retry-after"]) > 0
        assert code in reply.body
