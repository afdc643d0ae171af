"""The simulated ports keep what the real ones promise, and lose what they may lose."""

import asyncio
import errno
import random
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from edge_agent.kit.disk import UNFINISHED
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk, PowerCut
from tests.sim.loop import Deadlock, LeftBehind, run
from tests.sim.offload import InlineOffload

ROOM = Path("/state/spool")
FILE = ROOM / "one.seg"


def a_disk() -> MemoryDisk:
    """A disk with an empty folder."""
    disk = MemoryDisk()
    disk.make_folder(ROOM)
    return disk


# The loop.


def test_a_year_passes_at_once_and_to_the_millisecond() -> None:
    async def scene() -> int:
        clock = SimClock(start=0)
        for _ in range(1000):
            await clock.sleep(0.1)
        await clock.sleep(365 * 86_400)
        return clock.now()

    assert run(scene()) == 100_000 + 365 * 86_400_000


def order(seed: int | None) -> list[int]:
    """The order in which eight tasks wake that all wait for the same instant."""

    async def scene() -> list[int]:
        clock, woken = SimClock(), list[int]()

        async def wake(number: int) -> None:
            await clock.sleep_until(1_005_000)
            woken.append(number)

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(wake, number)
        return woken

    return run(scene(), seed)


def test_timers_of_one_instant_run_in_the_order_they_were_set() -> None:
    assert order(None) == list(range(8))


def test_a_seed_draws_the_order_of_one_instant_and_draws_it_again() -> None:
    assert order(7) == order(7)
    assert len({tuple(order(seed)) for seed in range(20)}) > 10


def test_tasks_are_cancelled_in_the_same_order_wherever_they_lie_in_memory() -> None:
    async def scene(held: int) -> list[int]:
        ended: list[int] = []
        ballast = [asyncio.get_running_loop().create_future() for _ in range(held)][::2]

        async def live(number: int) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(number)

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(live, number)
            await asyncio.sleep(1)
            group.cancel_scope.cancel()
        assert len(ballast) == held // 2
        return ended

    assert run(scene(1024)) == run(scene(1024))
    assert sorted(run(scene(0))) == list(range(50))


def test_a_scene_that_cannot_go_on_says_who_waits_where() -> None:
    async def scene() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match=r"test_ports\.py:\d+"):
        run(scene())
    with pytest.raises(Deadlock):
        run(anyio.sleep_forever())


def test_a_task_that_outlives_its_scene_is_an_error() -> None:
    async def scene() -> None:
        scene.kept = asyncio.ensure_future(asyncio.sleep(10))  # type: ignore[attr-defined]
        await asyncio.sleep(1)

    with pytest.raises(LeftBehind, match="Task-"):
        run(scene())


def test_a_time_limit_of_anyio_ends_a_wait() -> None:
    async def scene() -> int:
        clock = SimClock(start=0)
        with anyio.move_on_after(90):
            await anyio.sleep_forever()
        return clock.now()

    assert run(scene()) == 90_000


# The clock.


def test_stepping_the_wall_leaves_the_axis_alone() -> None:
    async def scene() -> tuple[int, int, int]:
        clock = SimClock(start=5_000, wall=0)
        clock.set_wall(1_900_000_000_000)
        await clock.sleep(2)
        return clock.now(), clock.wall(), clock.wall() - clock.now()

    assert run(scene()) == (7_000, 1_900_000_002_000, 1_899_999_995_000)


def test_a_suspend_moves_the_axis_but_no_timer() -> None:
    async def scene() -> tuple[int, int]:
        clock = SimClock(start=0)
        clock.suspend(3600)
        await clock.sleep_until(1_000)
        before = clock.now()
        await clock.sleep_until(3_601_000)
        return before, clock.now()

    assert run(scene()) == (3_600_000, 3_601_000)


# The disk.


def test_a_kill_keeps_what_was_written_and_a_crash_only_what_was_synced() -> None:
    disk = a_disk()
    file = disk.create(FILE)
    disk.sync_folder(ROOM)
    file.append(b"synced ")
    file.sync()
    file.append(b"open")
    disk.kill()
    assert disk.read(FILE) == b"synced open"
    with pytest.raises(OSError, match=os_error(errno.EBADF)):
        file.append(b"!")
    disk.crash()
    assert disk.read(FILE) == b"synced "


def test_a_name_that_was_not_synced_is_lost_by_a_crash() -> None:
    disk = a_disk()
    file = disk.create(FILE)
    file.append(b"all")
    file.sync()
    disk.crash()
    assert disk.entries(ROOM) == []


def test_a_removal_and_a_move_that_were_not_synced_come_back() -> None:
    disk = a_disk()
    disk.plant(FILE, b"1")
    disk.plant(ROOM / "two.seg", b"2")
    disk.unlink(FILE)
    disk.move(ROOM / "two.seg", ROOM / "moved.seg")
    assert [entry.name for entry in disk.entries(ROOM)] == ["moved.seg"]
    disk.crash()
    assert [entry.name for entry in disk.entries(ROOM)] == ["one.seg", "two.seg"]
    disk.unlink(FILE)
    disk.sync_folder(ROOM)
    disk.crash()
    assert [entry.name for entry in disk.entries(ROOM)] == ["two.seg"]


def test_a_replacement_survives_a_crash_and_a_cut_one_leaves_the_old() -> None:
    disk = a_disk()
    disk.replace(FILE, b"old")
    disk.crash()
    assert disk.read(FILE) == b"old"
    disk.cut_at(1)
    with pytest.raises(PowerCut):
        disk.replace(FILE, b"newer")
    disk.crash()
    assert [entry.name for entry in disk.entries(ROOM)] == ["one.seg", "one.seg" + UNFINISHED]
    assert disk.read(FILE) == b"old"


def test_what_a_failed_sync_lost_a_later_one_does_not_bring_back() -> None:
    disk = a_disk()
    file = disk.create(FILE)
    disk.sync_folder(ROOM)
    file.append(b"one")
    disk.fail("sync", errno.EIO)
    with pytest.raises(OSError, match=os_error(errno.EIO)):
        file.sync()
    file.append(b"two")
    file.sync()
    disk.crash()
    assert disk.read(FILE) == b"\0\0\0two"


def test_a_full_disk_takes_what_fits_and_grows_room_by_unlinking() -> None:
    disk = MemoryDisk(max_bytes=10, max_inodes=2)
    disk.make_folder(ROOM)
    file = disk.create(FILE)
    disk.create(ROOM / "two.seg")
    with pytest.raises(OSError, match=os_error(errno.ENOSPC)):
        disk.create(ROOM / "three.seg")
    with pytest.raises(OSError, match=os_error(errno.ENOSPC)):
        file.append(b"twelve bytes")
    assert (disk.read(FILE), disk.space(ROOM)) == (b"twelve byt", (0, 0))
    disk.unlink(FILE)
    assert disk.space(ROOM) == (10, 1)


@pytest.mark.parametrize(
    ("call", "act"),
    [
        ("entries", lambda disk: disk.entries(ROOM)),
        ("make_folder", lambda disk: disk.make_folder(ROOM / "deep")),
        ("read", lambda disk: disk.read(FILE)),
        ("create", lambda disk: disk.create(ROOM / "two.seg")),
        ("replace", lambda disk: disk.replace(FILE, b"")),
        ("move", lambda disk: disk.move(FILE, ROOM / "two.seg")),
        ("unlink", lambda disk: disk.unlink(FILE)),
        ("sync_folder", lambda disk: disk.sync_folder(ROOM)),
        ("space", lambda disk: disk.space(ROOM)),
        ("lock", lambda disk: disk.lock(ROOM / "lock")),
    ],
)
def test_a_fault_hits_the_call_that_was_named_when_it_was_named(call: str, act: Callable[[MemoryDisk], object]) -> None:
    disk = a_disk()
    disk.plant(FILE, b"12345678")
    disk.fail(call, errno.EIO, where="elsewhere")
    disk.fail(call, errno.EIO, at=1, where=str(ROOM))
    with pytest.raises(OSError, match=os_error(errno.EIO)):
        act(disk)
    act(disk)


def test_a_fault_waits_for_its_turn_and_lasts_until_healed() -> None:
    disk = a_disk()
    file = disk.create(FILE)
    disk.fail("append", errno.EIO, at=2, times=None)
    file.append(b"1234")
    for _ in range(2):
        with pytest.raises(OSError, match=os_error(errno.EIO)):
            file.append(b"5678")
    disk.heal()
    file.append(b"9")
    assert disk.read(FILE) == b"123456569"


def test_the_world_stops_at_each_call_in_turn() -> None:
    def act(disk: MemoryDisk) -> None:
        file = disk.create(FILE)
        file.append(b"12")
        file.sync()
        disk.sync_folder(ROOM)

    left = []
    for call in range(1, 6):
        disk = a_disk()
        disk.cut_at(call)
        try:
            act(disk)
        except PowerCut:
            disk.crash()
        disk.heal()
        left.append(disk.entries(ROOM))
    assert left == [[], [], [], [], [("one.seg", 2)]]


def test_a_lock_is_held_until_it_is_closed_or_its_process_ends() -> None:
    disk = a_disk()
    held = disk.lock(ROOM / "lock")
    assert held is not None
    assert disk.lock(ROOM / "lock") is None
    held.close()
    assert disk.lock(ROOM / "lock") is not None
    disk.kill()
    assert disk.lock(ROOM / "lock") is not None


def test_closing_cuts_a_file_to_its_size() -> None:
    disk = a_disk()
    file = disk.create(FILE)
    file.append(b"kept, not kept")
    file.close(4)
    assert disk.read(FILE) == b"kept"
    assert disk.read(FILE, 1, 2) == b"ep"
    assert disk.paths() == [FILE]


# The workers.


def test_calls_of_a_worker_run_in_order_and_those_of_others_between() -> None:
    async def scene(seed: int) -> list[str]:
        offload, ran = InlineOffload(random.Random(seed), most=1.0), list[str]()

        async with anyio.create_task_group() as group:
            for name in "ab":
                worker = offload.worker(name)
                for number in range(3):
                    group.start_soon(worker.run, ran.append, f"{name}{number}")
        return ran

    for seed in range(5):
        ran = run(scene(seed))
        assert sorted(ran) == ["a0", "a1", "a2", "b0", "b1", "b2"]
        assert [call for call in ran if call[0] == "a"] == ["a0", "a1", "a2"]


def test_a_hung_worker_is_stuck_until_it_returns() -> None:
    async def scene() -> None:
        offload, ran = InlineOffload(), list[int]()
        worker = offload.worker("sensor")
        offload.hang("sensor")
        with anyio.move_on_after(5):
            await worker.run(ran.append, 1)
        assert (worker.stuck, ran) == (True, [])
        offload.free("sensor")
        await asyncio.sleep(0.1)
        assert (worker.stuck, ran) == (False, [1])
        assert await worker.run(len, ran) == 1
        offload.release(worker)
        assert offload.workers == []

    run(scene())


def test_what_a_call_raises_is_raised_where_it_is_awaited() -> None:
    async def scene() -> None:
        worker = InlineOffload().worker("disk")
        with pytest.raises(FileNotFoundError):
            await worker.run(a_disk().read, ROOM / "none")

    run(scene())


def os_error(code: int) -> str:
    """How the message of an OSError begins."""
    return rf"\[Errno {code}\]"
