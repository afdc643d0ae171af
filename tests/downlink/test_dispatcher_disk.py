"""A ledger whose folder cannot be written for a while, or goes: the lamp recovers by itself, and nothing runs twice."""

import errno
from pathlib import Path

import anyio
import pytest

from edge_agent.kit.scopes import running
from tests.downlink.issuer import FOLDER, NOW, Device, issue
from tests.sim.disk import MemoryDisk
from tests.sim.loop import run
from tests.spool.site import put_back, razed

STATE = Path("/state")


def test_a_ledger_that_cannot_be_begun_is_tried_again_until_it_works() -> None:
    async def main() -> None:
        disk = MemoryDisk()
        disk.plant(STATE, b"in the way")
        device = Device(disk)
        async with running(device.dispatcher):
            await anyio.sleep(55)
            assert device.board.lights[-1][1] == "fail"
            tries = disk.calls["make_folder"]
            assert tries == pytest.approx(6, abs=1)
            disk.unlink(STATE)
            await anyio.sleep(10)
            assert device.board.lights[-1] == ("instructions", "ok", "")
            assert (FOLDER / "base") in disk.paths()
            await anyio.sleep(100)
            assert disk.calls["make_folder"] == tries + 1
            await device.dispatcher.hear(issue(issued_at=NOW + 10_000, not_before=NOW))
            await anyio.sleep(1)
        assert device.ends() == [("i-1", "done", None)]

    run(main())


def test_a_read_only_disk_refuses_and_recovers_without_a_further_word() -> None:
    async def main() -> None:
        disk = MemoryDisk()
        device = Device(disk)
        async with running(device.dispatcher):
            await anyio.sleep(1)
            for call in ("create", "append", "replace", "make_folder"):
                disk.fail(call, errno.EROFS, times=None)
            await device.dispatcher.hear(issue("a", issued_at=NOW + 500))
            await anyio.sleep(30)
            assert device.ends() == [("a", "refused", "ledger_unwritable")]
            assert device.board.lights[-1][1] == "fail"
            disk.heal()
            await anyio.sleep(10)
            assert device.board.lights[-1][1] == "ok"
            await device.dispatcher.hear(issue("b", issued_at=NOW + 500))
            await anyio.sleep(1)
        assert device.ends()[1:] == [("b", "done", None)]
        assert len(device.started) == 1

    run(main())


@pytest.mark.parametrize("gone", [STATE, FOLDER])
def test_a_ledger_whose_folder_went_is_written_anew_before_the_next_instruction_runs(gone: Path) -> None:
    async def life(disk: MemoryDisk, *, raze: bool) -> Device:
        device = Device(disk)
        async with running(device.dispatcher):
            await anyio.sleep(0.1)
            await device.dispatcher.hear(issue("a", issued_at=NOW + 50))
            await anyio.sleep(1)
            if raze:
                razed(disk, gone)
            await device.dispatcher.hear(issue("b", issued_at=NOW + 50))
            await anyio.sleep(1)
        return device

    disk = MemoryDisk()
    first = run(life(disk, raze=True))
    disk.crash()
    again = run(life(disk, raze=False))
    assert first.ends() == [("a", "done", None), ("b", "done", None)]
    assert set(again.ends()) == set(first.ends()), "told again, and not run again"
    assert len(first.started) == 2
    assert not again.started
    assert first.board.states()[-1] == "ok"


def test_a_file_in_place_of_a_running_ledger_refuses_until_it_goes() -> None:
    async def main() -> None:
        disk = MemoryDisk()
        device = Device(disk)
        async with running(device.dispatcher):
            await anyio.sleep(0.1)
            await device.dispatcher.hear(issue("a", issued_at=NOW + 50))
            await anyio.sleep(1)
            disk.plant(STATE, b"in the way")
            await device.dispatcher.hear(issue("b", issued_at=NOW + 50))
            await anyio.sleep(1)
            assert device.ends() == [("a", "done", None), ("b", "refused", "ledger_unwritable")]
            disk.unlink(STATE)
            await anyio.sleep(10)
            assert device.board.lights[-1][1] == "ok"
        disk.crash()
        assert b'"a"' in disk.content(FOLDER / "base")

    run(main())


def test_an_older_ledger_that_comes_back_takes_no_numbers_and_what_it_ran_runs_not_again() -> None:
    async def life(disk: MemoryDisk, names: tuple[str, ...], before: float = 0.1) -> Device:
        device = Device(disk)
        async with running(device.dispatcher):
            await anyio.sleep(before)
            if before > 1:
                disk.unlink(STATE)
                put_back(disk, STATE, real)
                await anyio.sleep(15)
            for name in names:
                await device.dispatcher.hear(issue(name, issued_at=NOW + 10 * int(before)))
                await anyio.sleep(1)
        return device

    real = None
    disk = MemoryDisk()
    assert [end[2] for end in run(life(disk, ("a", "b"))).ends()] == [None, None]
    real = razed(disk, STATE)
    disk.plant(STATE, b"in the way")
    device = run(life(disk, ("c", "d", "e"), before=5))
    assert [(name, state) for name, state, _code in device.ends()] == [("c", "done"), ("d", "done"), ("e", "done")]
    assert sorted(path.name for path in disk.paths(FOLDER)) == ["2.log", "base"]
