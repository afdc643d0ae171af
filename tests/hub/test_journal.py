"""The replay log and the fan-out: nothing is told twice, nothing is missed unknowingly."""

import random
import sqlite3

import pytest

from edge_agent.hub import fanout as fanout_module
from edge_agent.hub import journal as journal_module
from edge_agent.hub import keys
from edge_agent.hub.fanout import Fanout
from edge_agent.hub.journal import EVENTS, Entry, Journal
from edge_agent.hub.keys import Keyring
from edge_agent.hub.store import Store, StoreBroken
from tests.sim.loop import run
from tests.sim.offload import InlineOffload


class Log:
    """A journal in memory with one reader of `a`."""

    def __init__(self, room: int = 100) -> None:
        self.store = Store(None, (keys.SCHEMA, journal_module.SCHEMA), InlineOffload())
        self.keyring = Keyring(self.store, random.Random(3))
        self.fanout: Fanout[Entry] = Fanout(room)
        self.journal = Journal(self.store, self.keyring, self.fanout)

    async def open(self) -> None:
        await self.store.open()
        await self.keyring.open()
        await self.journal.open()

    async def add(self, stream: str, *events: str) -> list[int]:
        """Commit entries without telling them."""
        return await self.store.write(
            lambda connection: [
                self.journal.append(connection, stream, "car-1", event, {"event": event}) for event in events
            ]
        )


LAST = Entry(0, "", "bye", b"{}")


def test_what_is_committed_is_told_in_order_and_once() -> None:
    async def scene() -> None:
        log = Log()
        await log.open()
        with log.fanout.subscribed("a", LAST) as reader, log.fanout.subscribed("b", LAST) as other:
            await log.add("a", "one", "two")
            await log.add("b", "three")
            await log.journal.pump()
            await log.journal.pump()
            await log.add("a", "four")
            await log.journal.pump()
            reader.finish(LAST)
            other.finish(LAST)
            assert [entry.event async for entry in reader] == ["one", "two", "four", "bye"]
            assert [entry.event async for entry in other] == ["three", "bye"]
        await log.store.close()

    run(scene())


def test_what_was_rolled_back_is_not_told() -> None:
    async def scene() -> None:
        log = Log()
        await log.open()

        def fails(connection: object) -> None:
            log.journal.append(connection, "a", "car-1", "lost", {})  # type: ignore[arg-type]
            raise ValueError("undone")

        with log.fanout.subscribed("a", LAST) as reader:
            with pytest.raises(ValueError, match="undone"):
                await log.store.write(fails)
            await log.journal.pump()
            await log.add("a", "kept")
            await log.journal.pump()
            reader.finish(LAST)
            assert [entry.event async for entry in reader] == ["kept", "bye"]
        await log.store.close()

    run(scene())


def test_a_replay_brings_what_came_after_an_id() -> None:
    async def scene() -> None:
        log = Log()
        await log.open()
        numbers = await log.add("a", "one", "two", "three")
        await log.add("b", "other")
        replayed = await log.journal.replay("a", log.journal.id_of(numbers[0]))
        assert replayed is not None
        assert [entry.event for entry in replayed] == ["two", "three"]
        assert await log.journal.replay("a", log.journal.id_of(numbers[2] + 1)) == []
        await log.store.close()

    run(scene())


@pytest.mark.parametrize(
    "wrong",
    ["", "1", "-", "-1", "{epoch}", "{epoch}-", "{epoch}--1", "{epoch}-x", "{epoch}-1 ", "{epoch}-²", "{epoch}-99",
     "{epoch}-" + "9" * 40, "0000000000000000-1"],
)  # fmt: skip
def test_an_id_that_was_never_given_cannot_be_replayed(wrong: str) -> None:
    async def scene() -> None:
        log = Log()
        await log.open()
        await log.add("a", "one")
        assert await log.journal.replay("a", wrong.format(epoch=log.keyring.epoch)) is None
        await log.store.close()

    run(scene())


def test_a_stream_keeps_its_newest_and_says_when_it_forgot() -> None:
    async def scene() -> None:
        log = Log()
        await log.open()
        numbers = await log.add("device:a", *(str(n) for n in range(510)))
        others = await log.add("device:b", "b")
        await log.add(EVENTS, *(str(n) for n in range(600)))
        await log.journal.trim()
        assert await log.journal.replay("device:a", log.journal.id_of(numbers[8])) is None
        kept = await log.journal.replay("device:a", log.journal.id_of(numbers[9]))
        assert kept is not None
        assert len(kept) == 500
        events = await log.journal.replay(EVENTS, log.journal.id_of(others[0]))
        assert events is not None
        assert len(events) == 600
        await log.store.close()

    run(scene())


def test_a_stream_is_bounded_in_bytes_and_others_keep_what_they_have() -> None:
    async def scene() -> None:
        log = Log()
        await log.open()
        body = b'"' + b"x" * 40_000 + b'"'

        def added(connection: sqlite3.Connection) -> list[int]:
            small = log.journal.append(connection, "device:b", "car-2", "config", {})
            return [
                small,
                *(log.journal.append(connection, "device:a", "car-1", "instruction", body) for _ in range(60)),
            ]

        _small, *numbers = await log.store.write(added)
        await log.journal.trim()
        kept = await log.store.read(lambda db: db.execute("SELECT stream, n FROM journal_entry ORDER BY n").fetchall())
        assert kept[0][0] == "device:b"
        assert [n for stream, n in kept if stream == "device:a"] == numbers[-26:], "as many as 1 MiB holds"
        assert await log.journal.replay("device:a", log.journal.id_of(numbers[-28])) is None
        replayed = await log.journal.replay("device:a", log.journal.id_of(numbers[-27]))
        assert replayed is not None
        assert [entry.n for entry in replayed] == numbers[-26:]
        await log.store.close()

    run(scene())


def test_what_could_not_be_trimmed_is_trimmed_later_and_by_a_later_life() -> None:
    async def scene() -> None:
        log = Log()
        await log.open()
        await log.add("device:a", *(str(n) for n in range(600)))
        await log.store.write(
            lambda db: db.execute("CREATE TRIGGER stop BEFORE DELETE ON journal_entry BEGIN SELECT no(); END")
        )
        with pytest.raises(StoreBroken):
            await log.journal.trim()
        await log.store.write(lambda db: db.execute("DROP TRIGGER stop"))
        for journal in (log.journal, Journal(log.store, log.keyring, log.fanout)):
            await journal.open()
            await journal.trim()
            assert await log.store.read(lambda db: db.execute("SELECT count(*) FROM journal_entry").fetchone()) == (
                500,
            )
            await log.add("device:a", *(str(n) for n in range(30)))
        await log.store.close()

    run(scene())


def test_a_later_life_tells_only_what_is_new() -> None:
    async def scene() -> None:
        log = Log()
        await log.open()
        await log.add("a", "old")
        later = Journal(log.store, log.keyring, log.fanout)
        await later.open()
        with log.fanout.subscribed("a", LAST) as reader:
            await log.store.write(lambda connection: later.append(connection, "a", "", "new", {}))
            await later.pump()
            reader.finish(LAST)
            assert [entry.event async for entry in reader] == ["new", "bye"]
        await log.store.close()

    run(scene())


def test_a_reader_that_does_not_drain_is_cut_and_blocks_nobody() -> None:
    async def scene() -> None:
        fanout: fanout_module.Fanout[str] = Fanout(2)
        with fanout.subscribed("t", "cut") as slow, fanout.subscribed("t", "cut") as quick:
            got = []
            for item in "abcd":
                fanout.publish("t", item)
                got.append(await anext(quick))
            assert got == list("abcd")
            assert [item async for item in slow] == ["a", "b", "cut"]
            assert slow.over
            assert not quick.over
        assert fanout.topics() == ()

    run(scene())


def test_the_same_entry_reaches_a_replay_and_a_waiting_reader_under_one_number() -> None:
    async def scene() -> None:
        log = Log()
        await log.open()
        (first,) = await log.add("a", "one")
        with log.fanout.subscribed("a", LAST) as reader:
            await log.add("a", "two")
            replayed = await log.journal.replay("a", log.journal.id_of(first))
            await log.journal.pump()
            assert replayed is not None
            told = [await anext(reader), await anext(reader)]
            assert [entry.n for entry in replayed] == [told[1].n]
        await log.store.close()

    run(scene())
