"""The real disk, and the one in memory: both keep the same promises."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.kit.disk import UNFINISHED, SystemDisk
from edge_agent.model.ports import Disk
from tests.sim.disk import MemoryDisk


def sim(folder: Path) -> Disk:
    """A disk in memory with this folder in it."""
    disk = MemoryDisk()
    disk.make_folder(folder)
    return disk


@pytest.fixture(params=[lambda _folder: SystemDisk(), sim], ids=["system", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    """Each of the two disks in turn."""
    make: Callable[[Path], Disk] = request.param
    return make(tmp_path)


def test_a_new_file_takes_appends_and_refuses_a_taken_name(disk: Disk, tmp_path: Path) -> None:
    file = disk.create(tmp_path / "a")
    file.append(b"one ")
    file.append(b"two")
    file.sync()
    disk.sync_folder(tmp_path)
    file.close()
    file.close()
    assert disk.read(tmp_path / "a") == b"one two"
    with pytest.raises(FileExistsError):
        disk.create(tmp_path / "a")


@pytest.mark.parametrize(
    ("offset", "size", "want"), [(0, None, b"0123456789"), (4, 3, b"456"), (8, 5, b"89"), (12, 3, b""), (3, 0, b"")]
)
def test_a_part_of_a_file_is_read(disk: Disk, tmp_path: Path, offset: int, size: int | None, want: bytes) -> None:
    disk.replace(tmp_path / "a", b"0123456789")
    assert disk.read(tmp_path / "a", offset, size) == want


def test_closing_cuts_a_file(disk: Disk, tmp_path: Path) -> None:
    file = disk.create(tmp_path / "a")
    file.append(b"kept, not kept")
    file.close(4)
    assert disk.read(tmp_path / "a") == b"kept"
    with pytest.raises(OSError, match="9"):
        file.append(b"more")


def test_entries_are_sorted_and_only_plain_files_have_a_size(disk: Disk, tmp_path: Path) -> None:
    disk.replace(tmp_path / "b", b"12")
    disk.make_folder(tmp_path / "c" / "deep")
    disk.replace(tmp_path / "a", b"1")
    disk.make_folder(tmp_path / "c" / "deep")
    assert disk.entries(tmp_path) == [("a", 1), ("b", 2), ("c", None)]
    assert disk.entries(tmp_path / "none") == []
    with pytest.raises(NotADirectoryError):
        disk.entries(tmp_path / "a")


def test_a_replacement_leaves_one_file_with_new_content(disk: Disk, tmp_path: Path) -> None:
    disk.replace(tmp_path / "a", b"a long old text")
    disk.replace(tmp_path / "a", b"new")
    assert disk.entries(tmp_path) == [("a", 3)]


def test_moving_and_removing(disk: Disk, tmp_path: Path) -> None:
    disk.replace(tmp_path / "a", b"1")
    disk.move(tmp_path / "a", tmp_path / "b")
    disk.unlink(tmp_path / "a")
    assert disk.entries(tmp_path) == [("b", 1)]
    disk.unlink(tmp_path / "b")
    assert disk.entries(tmp_path) == []


def test_space_is_told(disk: Disk, tmp_path: Path) -> None:
    space = disk.space(tmp_path)
    assert space.bytes > 0
    assert space.inodes > 0


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to("/nowhere/at/all")
    with pytest.raises(OSError, match=rf"\[Errno {errno.ELOOP}\]"):
        SystemDisk().lock(tmp_path / "lock")


def test_a_lock_is_held_by_one(disk: Disk, tmp_path: Path) -> None:
    held = disk.lock(tmp_path / "lock")
    assert held is not None
    assert disk.lock(tmp_path / "lock") is None
    held.close()
    again = disk.lock(tmp_path / "lock")
    assert again is not None
    again.close()


@pytest.mark.parametrize(
    ("kind", "act"),
    [
        (FileNotFoundError, lambda disk, folder: disk.read(folder / "none")),
        (IsADirectoryError, lambda disk, folder: disk.read(folder)),
        (FileNotFoundError, lambda disk, folder: disk.create(folder / "none" / "a")),
        (FileNotFoundError, lambda disk, folder: disk.replace(folder / "none" / "a", b"")),
        (FileNotFoundError, lambda disk, folder: disk.move(folder / "none", folder / "a")),
        (FileNotFoundError, lambda disk, folder: disk.sync_folder(folder / "none")),
        (FileNotFoundError, lambda disk, folder: disk.space(folder / "none")),
        (FileNotFoundError, lambda disk, folder: disk.lock(folder / "none" / "lock")),
        (FileExistsError, lambda disk, folder: disk.make_folder(folder / "file")),
        (FileExistsError, lambda disk, folder: disk.make_folder(folder / "file" / "deep")),
        (NotADirectoryError, lambda disk, folder: disk.create(folder / "file" / "a")),
    ],
)
def test_each_failure_is_an_os_error(
    disk: Disk, tmp_path: Path, kind: type[OSError], act: Callable[[Disk, Path], object]
) -> None:
    disk.replace(tmp_path / "file", b"")
    with pytest.raises(kind):
        act(disk, tmp_path)


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    disk = SystemDisk()
    disk.make_folder(tmp_path / "a" / "b")
    file = disk.create(tmp_path / "a" / "new")
    file.close()
    disk.replace(tmp_path / "a" / "placed", b"")
    lock = disk.lock(tmp_path / "a" / "lock")
    assert lock is not None
    lock.close()
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]
    assert [mode(tmp_path / "a" / name) for name in ("new", "placed", "lock")] == [0o600] * 3


def test_no_child_inherits_an_open_file(tmp_path: Path) -> None:
    file, lock = SystemDisk().create(tmp_path / "a"), SystemDisk().lock(tmp_path / "lock")
    assert lock is not None
    held = [int(name.name) for name in Path("/proc/self/fd").iterdir() if tmp_path in name.resolve().parents]
    assert len(held) == 2
    assert not any(os.get_inheritable(number) for number in held)
    file.close()
    lock.close()


def test_a_replacement_takes_over_what_a_crash_left(tmp_path: Path) -> None:
    left = tmp_path / ("a" + UNFINISHED)
    left.write_bytes(b"half of something longer")
    SystemDisk().replace(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not left.exists()


def test_a_replacement_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        SystemDisk().replace(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_write_that_cannot_be_whole_is_an_error_and_closing_after_it_is_none() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    file = SystemDisk().lock(full)
    assert file is not None
    with pytest.raises(OSError, match=rf"\[Errno {errno.ENOSPC}\]"):
        file.append(b"anything")
    file.close(4)
