"""The store's write-ahead log: bounded whatever readers do."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent.hub.store import engine
from tests.hub.test_store import adds, opened, words
from tests.sim.loop import run
from tests.sim.offload import InlineOffload


def test_a_log_that_a_reader_kept_long_is_emptied_once_that_reader_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"

    async def scene() -> None:
        async with opened(path) as store:
            await store.write(adds("one"))
            with closing(sqlite3.connect(path, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                assert words(reader) == ["one"]
                for number in range(9):
                    await store.write(adds(str(number), 8 * 2**20))
                await store.tend()
                assert engine.log_size(path) > engine.LONG_LOG_BYTES, "somebody looks"
                assert words(reader) == ["one"]
                assert len(await store.read(words)) == 10
            await store.tend()
            assert engine.log_size(path) == 0
            assert len(await store.read(words)) == 10

    run(scene())


def test_readers_wait_while_a_long_log_is_emptied_but_not_for_one_that_hangs(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"

    async def scene() -> None:
        offload = InlineOffload()
        async with opened(path, offload) as store:
            with closing(sqlite3.connect(path, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                words(reader)
                for number in range(9):
                    await store.write(adds(str(number), 8 * 2**20))
            offload.hang("hub-reader-0")
            hung = asyncio.ensure_future(store.read(words))
            await asyncio.sleep(0)
            tended = asyncio.ensure_future(store.tend())
            await asyncio.sleep(1)
            later = asyncio.ensure_future(store.read(words))
            await asyncio.sleep(0.5)
            assert (tended.done(), later.done()) == (False, False)
            await tended
            assert len(await later) == 9
            assert engine.log_size(path) == 0
            offload.free("hub-reader-0")
            assert len(await hung) == 9

    run(scene())


def test_a_store_that_has_its_tables_is_opened_without_a_write(tmp_path: Path) -> None:
    async def scene() -> None:
        for _ in range(2):
            async with opened(tmp_path / "hub.db"):
                size = engine.log_size(tmp_path / "hub.db")
        assert size == 0

    run(scene())
