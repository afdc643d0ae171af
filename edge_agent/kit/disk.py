"""The real disk behind `model.ports.Disk`: plain system calls, each failure an OSError.

A file is created with mode 0600, never taken over (`O_EXCL`), never inherited by a child, and written at its end only
(`O_APPEND`). What must be durable is synced where the port says so, and nowhere else.

`replace` writes `<name>.new` beside the file, syncs it, renames it and syncs the folder. A crash in between may leave
that `.new` file behind; the next `replace` of the same name takes it over.

Not handled: two writers of one path (whoever holds the lock is alone), and undoing a move of a folder.
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from edge_agent.model.ports import Entry, OpenFile, Space

UNFINISHED = ".new"
"""What the name of a replacement ends with until it is in place."""

_KEEP_SIZE = 1
"""FALLOC_FL_KEEP_SIZE of linux/falloc.h; `os.posix_fallocate` has no such mode."""

_PLENTY = 2**63 - 1
"""Free inodes of file systems that do not count them."""


class SystemDisk:
    """`model.ports.Disk` on the running system."""

    def entries(self, folder: Path) -> list[Entry]:
        """The names in a folder, sorted; empty when it does not exist."""
        found = []
        try:
            with os.scandir(folder) as names:
                for name in names:
                    with suppress(FileNotFoundError):  # it went while the folder was read
                        plain = name.is_file(follow_symlinks=False)
                        found.append(Entry(name.name, name.stat(follow_symlinks=False).st_size if plain else None))
        except FileNotFoundError:
            return []
        return sorted(found)

    def make_folder(self, folder: Path) -> None:
        """Make it and its parents, each synced into its parent."""
        if folder.is_dir():
            return
        if folder.parent != folder:
            self.make_folder(folder.parent)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():
                raise
        self.sync_folder(folder.parent)

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        """So many bytes from an offset, fewer at the end."""
        with path.open("rb", buffering=0) as file:
            if size is None:
                size = max(0, os.fstat(file.fileno()).st_size - offset)
            parts = []
            while size > 0 and (part := os.pread(file.fileno(), size, offset)):
                parts.append(part)
                offset += len(part)
                size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def create(self, path: Path, room: int = 0) -> OpenFile:
        """A new file; FileExistsError when the name is taken. What is set aside for it saves writes, no more."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if room:
            _set_aside(descriptor, room)
        return _SystemFile(descriptor)

    def replace(self, path: Path, data: bytes) -> None:
        """Whole new content, atomically and synced."""
        new = path.with_name(path.name + UNFINISHED)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            _fill(os.open(new, flags, 0o600), data)
            new.replace(path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise
        self.sync_folder(path.parent)

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        """Write over bytes that are there, and sync. A file system that copies on write may need space all the same."""
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if offset + len(data) > os.fstat(descriptor).st_size:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
            left = memoryview(data)
            while left:
                done = os.pwrite(descriptor, left, offset)
                left, offset = left[done:], offset + done
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def move(self, path: Path, to: Path) -> None:
        """Rename within one file system."""
        path.rename(to)

    def unlink(self, path: Path) -> None:
        """Remove a file; nothing when it is gone already."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Fsync of a folder."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def space(self, folder: Path) -> Space:
        """What is left where this folder is, for a user who is not root."""
        left = os.statvfs(folder)
        # btrfs, vfat and others count no inodes: they report none in all, which is not the same as none free.
        return Space(left.f_bavail * left.f_frsize, left.f_favail if left.f_files else _PLENTY)

    def lock(self, path: Path) -> OpenFile | None:
        """An exclusive flock, held until the file is closed; None when somebody else holds it."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        return _SystemFile(descriptor)


class _SystemFile:
    """`model.ports.OpenFile` over one descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._failed = False

    def append(self, data: bytes) -> None:
        """Write all of it at the end; after a failure some of it may stand there."""
        try:
            _write(self._opened(), data)
        except OSError:
            self._failed = True
            raise

    def sync(self) -> None:
        """Fdatasync. Its failure is final: the kernel forgets the pages that it could not write."""
        try:
            os.fdatasync(self._opened())
        except OSError:
            self._failed = True
            raise

    def close(self, size: int | None = None) -> None:
        """Close, cut to `size` first when given; a second close does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            if size is not None:
                os.ftruncate(descriptor, size)
        except OSError:
            if not self._failed:
                raise
        finally:
            # Data that close could not keep was never synced, so nobody counts on it.
            with suppress(OSError):
                os.close(descriptor)

    def _opened(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the file is closed")
        return self._descriptor


def _set_aside(descriptor: int, room: int) -> None:
    """Blocks for so many bytes, the size unchanged, where the C library and the file system know how."""
    import ctypes  # noqa: PLC0415 - a hundredth of a second, not spent before the first push

    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if fallocate is not None:
        fallocate(descriptor, _KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(room))


def _write(descriptor: int, data: bytes) -> None:
    """All of it, over as many writes as it takes."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _fill(descriptor: int, data: bytes) -> None:
    """Write, sync and close a new file."""
    try:
        _write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
