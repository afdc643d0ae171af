"""What the ledger still knows after wounds."""

import asyncio
import errno
from collections.abc import Callable
from dataclasses import replace

import anyio
import pytest

from edge_agent.downlink.ledger import MOST_ENTRIES, Entry, Ledger
from edge_agent.model.word import Outcome
from tests.downlink.issuer import DAY, FOLDER, NOW
from tests.sim.disk import MemoryDisk
from tests.sim.loop import run
from tests.sim.offload import InlineOffload

BIRTH = NOW - DAY


async def opened(disk: MemoryDisk, now: int = NOW) -> Ledger:
    ledger = Ledger(FOLDER, disk, InlineOffload())
    await ledger.open()
    await ledger.begin(now, now)
    return ledger


def entry(name: str, expires_at: int = NOW + DAY) -> Entry:
    return Entry(name, "d", expires_at)


def lived(*names: str) -> MemoryDisk:
    """A disk with a base of the first entry and a log of the rest."""
    disk = MemoryDisk()

    async def main() -> None:
        ledger = await opened(disk, BIRTH)
        await ledger.take(entry("base"), BIRTH)
        await ledger.close()
        ledger = await opened(disk, BIRTH)
        for name in names:
            await ledger.take(entry(name), BIRTH)
            await ledger.finish(Outcome(name, "done", result={"n": 1}))
        await ledger.close()

    run(main())
    return disk


def reopened(disk: MemoryDisk, now: int = NOW) -> Ledger:
    async def main() -> Ledger:
        ledger = await opened(disk, now)
        await ledger.close()
        return ledger

    return run(main())


def test_everything_is_there_after_a_crash() -> None:
    disk = lived("a", "b")
    disk.crash()
    ledger = reopened(disk)
    assert ledger.birth == BIRTH
    assert [kept.id for kept in ledger.entries()] == ["base", "a", "b"]
    assert ledger.find("a") == replace(entry("a"), outcome=Outcome("a", "done", result={"n": 1}))


def test_a_start_without_news_writes_nothing() -> None:
    disk = lived("a")
    reopened(disk)
    written = disk.written
    assert [kept.id for kept in reopened(disk).entries()] == ["base", "a"]
    assert disk.written == written


@pytest.mark.parametrize(
    ("wound", "sound", "known"),
    [
        (lambda base, log: (base, log), True, {"base", "a", "b"}),
        (lambda base, log: (base, log[:-20]), True, {"base", "a", "b"}),
        (lambda base, log: (base, log + b"1234"), True, {"base", "a", "b"}),
        (lambda base, log: (base, log + bytes(512)), True, {"base", "a", "b"}),
        (lambda base, _log: (base, bytes(512)), True, {"base"}),
        (lambda base, _log: (base, b""), True, {"base"}),
        (lambda base, log: (base, log[30:]), False, {"base", "a", "b"}),
        (lambda base, log: (base, log.replace(b'"a"', b'"z"')), False, {"base", "b"}),
        (lambda base, log: (base, b"\xff\n" + log), False, {"base", "a", "b"}),
        (lambda base, log: (base, log[:100] + bytes(100) + log[200:]), False, {"base", "b"}),
        (lambda base, log: (base[:-1], log), False, {"a", "b"}),
        (lambda base, log: (base[: base.index(b"\n") + 1], log), False, {"a", "b"}),
        (lambda _base, log: (b"", log), False, {"a", "b"}),
        (lambda base, log: (bytes(len(base)), log), False, {"a", "b"}),
        (lambda base, log: (base.replace(b"birth", b"death"), log), False, {"base", "a", "b"}),
    ],
)
def test_a_wound_gives_a_new_birth_unless_it_is_a_torn_end(
    wound: Callable[[bytes, bytes], tuple[bytes, bytes]], *, sound: bool, known: set[str]
) -> None:
    disk = lived("a", "b")
    name = next(path for path in disk.paths(FOLDER) if path.suffix == ".log")
    base, log = wound(disk.content(FOLDER / "base"), disk.content(name))
    disk.plant(FOLDER / "base", base)
    disk.plant(name, log)
    ledger = reopened(disk)
    assert ledger.birth == (BIRTH if sound else NOW)
    assert {kept.id for kept in ledger.entries()} == known
    again = reopened(disk, NOW + 1000)
    assert again.birth == ledger.birth
    assert {kept.id for kept in again.entries()} == known


@pytest.mark.parametrize("call", ["entries", "read"])
def test_what_cannot_be_read_is_as_if_damaged(call: str) -> None:
    disk = lived("a")
    disk.fail(call, errno.EIO, times=None)
    assert reopened(disk).birth == NOW


def test_a_floor_that_was_reached_holds_in_the_next_life() -> None:
    disk = lived("a")
    reopened(disk, NOW + DAY // 2)

    async def main() -> None:
        ledger = Ledger(FOLDER, disk, InlineOffload())
        await ledger.open()
        assert ledger.floor >= BIRTH
        await ledger.begin(BIRTH, BIRTH)
        await ledger.take(entry("x"), NOW + 5)
        await ledger.close()

    run(main())
    assert reopened(disk, BIRTH).floor == NOW + DAY // 2


def test_an_id_is_kept_until_it_expired_and_was_told() -> None:
    async def main() -> None:
        disk = MemoryDisk()
        ledger = await opened(disk, BIRTH)
        for name in ("told", "untold", "running"):
            await ledger.take(entry(name, NOW), BIRTH)
        for name in ("told", "untold"):
            await ledger.finish(Outcome(name, "done"))
        await ledger.tell("told")
        await ledger.take(entry("last"), NOW)
        assert {kept.id for kept in ledger.entries()} == {"told", "untold", "running", "last"}
        await ledger.take(entry("later"), NOW + 1)
        assert {kept.id for kept in ledger.entries()} == {"untold", "running", "last", "later"}
        await ledger.close()

    run(main())


def test_a_long_life_keeps_its_files_small() -> None:
    async def main() -> None:
        disk = MemoryDisk()
        ledger = await opened(disk, BIRTH)
        for n in range(3000):
            now = BIRTH + n * 1000
            await ledger.take(entry(f"i-{n}", now + 5000), now)
            await ledger.finish(Outcome(f"i-{n}", "done"))
            await ledger.tell(f"i-{n}")
        assert len(ledger.entries()) < 10
        assert sum(len(disk.content(path)) for path in disk.paths(FOLDER)) < 400_000
        assert len(disk.paths(FOLDER)) <= 2
        await ledger.close()

    run(main())


def test_a_ledger_has_room_for_a_bounded_number_of_ids() -> None:
    async def main() -> None:
        ledger = await opened(MemoryDisk(), BIRTH)
        ledger._entries = {str(n): entry(str(n)) for n in range(MOST_ENTRIES)}
        assert ledger.full
        await ledger.close()

    run(main())


@pytest.mark.parametrize("call", ["append", "sync", "create", "sync_folder"])
def test_after_a_failed_write_the_next_replaces_the_base_with_all_that_is_known(call: str) -> None:
    disk = lived("a")

    async def main() -> None:
        ledger = await opened(disk, BIRTH)
        disk.fail(call, errno.EIO)
        with pytest.raises(OSError, match="error"):
            await ledger.take(entry("b"), BIRTH)
        await ledger.take(entry("c"), BIRTH)
        await ledger.close()
        disk.crash()
        assert {kept.id for kept in (await opened(disk)).entries()} == {"base", "a", "c"}

    run(main())


def test_a_large_result_is_not_kept() -> None:
    async def main() -> None:
        ledger = await opened(MemoryDisk(), BIRTH)
        await ledger.take(entry("a"), BIRTH)
        await ledger.finish(Outcome("a", "done", result={"text": "x" * 5000}))
        assert ledger.find("a") == replace(entry("a"), outcome=Outcome("a", "done"))
        await ledger.close()

    run(main())


@pytest.mark.parametrize("damaged", [False, True])
def test_a_log_that_stays_behind_says_nothing_against_the_newer_base(*, damaged: bool) -> None:
    async def main() -> None:
        disk = MemoryDisk()
        ledger = await opened(disk, BIRTH)
        await ledger.take(entry("a"), BIRTH)
        disk.fail("append", errno.EIO, where=".log")
        with pytest.raises(OSError, match="error"):
            await ledger.finish(Outcome("a", "done"))
        disk.fail("unlink", errno.EIO, where=".log")
        await ledger.tell("a")
        await ledger.take(entry("b"), BIRTH)
        await ledger.close()
        assert [path.name for path in disk.paths(FOLDER)] == ["1.log", "2.log", "base"]
        if damaged:
            disk.plant(FOLDER / "1.log", b"junk\n")
        ledger = await opened(disk)
        assert ledger.find("a") == replace(entry("a"), outcome=Outcome("a", "done"), told=True)
        assert ledger.find("b") == entry("b")
        assert ledger.birth == BIRTH
        await ledger.take(entry("c"), NOW)
        await ledger.close()
        assert {kept.id for kept in (await opened(disk)).entries()} == {"a", "b", "c"}

    run(main())


def test_closing_waits_for_the_call_that_still_runs_but_not_for_ever() -> None:
    async def main() -> None:
        disk, offload = MemoryDisk(), InlineOffload()
        ledger = Ledger(FOLDER, disk, offload)
        await ledger.open()
        await ledger.begin(NOW, NOW)
        loop = asyncio.get_running_loop()
        for hung, waited in ((1.0, 1.0), (100.0, 2.0)):
            began = loop.time()
            offload.hang("ledger")
            loop.call_later(hung, offload.free, "ledger")
            with anyio.move_on_after(0):
                await ledger.take(entry(f"a-{hung}"), NOW)
            await ledger.close()
            assert loop.time() - began == pytest.approx(waited, abs=0.1)
            assert not offload.workers
            await asyncio.sleep(200)
            ledger = Ledger(FOLDER, disk, offload)
            await ledger.open()
            await ledger.begin(NOW, NOW)
            assert ledger.find(f"a-{hung}") == entry(f"a-{hung}")
        await ledger.close()

    run(main())
