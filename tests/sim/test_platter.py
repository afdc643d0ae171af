"""What a power cut may leave on the simulated disk: every part of what was not synced, and nothing else."""

import errno
import random
from pathlib import Path

import pytest

from edge_agent.model.ports import OpenFile
from tests.sim.disk import MemoryDisk
from tests.sim.test_ports import FILE, ROOM, a_disk, os_error


def left_by(disk: MemoryDisk, path: Path = FILE) -> set[bytes | None]:
    """What a crash may leave of a file; None where its name is lost."""
    left = (MemoryDisk.of(image) for image in disk.images(10**6, random.Random(1)))
    return {one.content(path) if path in one.paths() else None for one in left}


def a_file(disk: MemoryDisk, data: bytes) -> OpenFile:
    """A file that is synced, with its name."""
    file = disk.create(FILE)
    file.append(data)
    file.sync()
    disk.sync_folder(ROOM)
    return file


def test_a_crash_may_leave_any_sectors_and_any_size_that_a_file_had() -> None:
    disk = a_disk()
    one, two, three = b"1" * 100, b"2" * 612, b"3" * 312
    a_file(disk, one).append(two + three)
    first, second = one + two[:412], (two + three)[412:]
    none, nil = one + bytes(412), bytes(512)
    assert left_by(disk) == {one, first, none, first + second, first + nil, none + second, none + nil}


def test_a_crash_may_keep_or_lose_each_change_of_names_by_itself() -> None:
    disk = a_disk()
    disk.plant(FILE, b"1")
    disk.plant(ROOM / "two.seg", b"2")
    disk.unlink(FILE)
    disk.move(ROOM / "two.seg", ROOM / "moved.seg")
    left = {
        tuple(entry.name for entry in MemoryDisk.of(image).entries(ROOM)) for image in disk.images(99, random.Random(1))
    }
    assert left == {("one.seg", "two.seg"), ("two.seg",), ("moved.seg", "one.seg"), ("moved.seg",)}


def test_what_a_failed_sync_lost_may_be_there_all_the_same() -> None:
    disk = a_disk()
    file = a_file(disk, b"")
    file.append(b"1" * 512)
    disk.fail("sync", errno.EIO)
    with pytest.raises(OSError, match=os_error(errno.EIO)):
        file.sync()
    file.append(b"2")
    file.sync()
    assert left_by(disk) == {bytes(512) + b"2", b"1" * 512 + b"2"}


def test_what_was_cut_off_may_come_back() -> None:
    disk = a_disk()
    file = a_file(disk, b"kept")
    file.append(b", not kept")
    file.close(4)
    assert left_by(disk) == {b"kept", b"kept" + bytes(10), b"kept, not kept"}


def test_a_crash_inside_an_overwrite_leaves_old_and_new_sectors() -> None:
    disk = a_disk()
    disk.plant(FILE, bytes(1024))
    disk.fail("overwrite", errno.EIO)
    with pytest.raises(OSError, match=os_error(errno.EIO)):
        disk.overwrite(FILE, 0, b"1" * 1024)
    halves = (bytes(512), b"1" * 512)
    assert left_by(disk) == {one + other for one in halves for other in halves}
    disk.overwrite(FILE, 0, b"2" * 1024)
    assert left_by(disk) == {b"2" * 1024}


def test_a_replacement_is_old_or_new_wherever_the_world_stops() -> None:
    disk, seen = a_disk(), set[bytes | None]()
    disk.replace(FILE, b"old")
    disk.watch = lambda: seen.update(left_by(disk))
    disk.replace(FILE, b"newer")
    assert seen == {b"old", b"newer"}
    assert left_by(disk) == {b"newer"}


def test_a_drawn_crash_leaves_one_of_what_it_may_leave() -> None:
    def ready() -> MemoryDisk:
        disk = a_disk()
        a_file(disk, b"1" * 300).append(b"2" * 900)
        disk.create(ROOM / "two.seg").append(b"3" * 600)
        return disk

    possible = set(ready().images(10**6, random.Random(1)))
    drawn = set()
    for seed in range(300):
        disk = ready()
        disk.crash(random.Random(seed))
        drawn.add(disk.image())
    assert drawn <= possible
    assert len(drawn) > len(possible) // 2
