"""A disk in memory that loses what a real one may lose.

    append          is seen by readers at once, survives a kill, and a crash for certain only once `sync` returned
    create, move,   are seen at once, survive a kill, and a crash for certain only once `sync_folder` returned
    unlink          (a file whose name is lost is gone; one whose removal is lost is back)
    replace,        survive a crash once they returned; a crash inside `overwrite` leaves old and new sectors
    overwrite,
    make_folder
    a failed sync   loses what it should have kept, for ever: a later sync that succeeds leaves zeros in its place
    a failed append leaves half of its bytes behind, or what still fits on a full disk
    a cut replace   leaves its unfinished file behind

`kill()` is the end of the process: files close, locks are free. `crash()` is the end of the power: that, and nothing
that was not synced is left; `crash(chance)` leaves some of it (`platter` says what may be left). `images` goes through
all that a crash may leave just now, and `MemoryDisk.of` makes a disk from one of them.

`fail` lets a call fail; `cut_at` stops the world at the k-th call with `PowerCut`, which no handler of OSError catches;
the scene catches it and calls `crash()` or `kill()`. `watch` is called wherever the world may stop: before each call
that changes something, and within those that take several steps; so one run shows what a crash leaves anywhere in it.

Sizes are exact: there are no blocks. Not handled: links, permissions, several processes at once.
"""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.kit.disk import UNFINISHED
from edge_agent.model.ports import Chance, Entry, OpenFile, Space
from tests.sim.platter import SECTOR, File, Folder, Image, drawn, files, grown, images, seen, worst

_PLENTY = 2**40
_MANY = 2**20
_LOOKS = frozenset({"entries", "read", "space"})


class PowerCut(BaseException):
    """The world stops in the middle of a call."""


@dataclass
class _Fault:
    call: str
    code: int
    where: str
    skip: int
    times: int | None


class MemoryDisk:
    """`model.ports.Disk`; without limits it holds what it is given."""

    def __init__(self, max_bytes: int = _PLENTY, max_inodes: int = _MANY, sector: int = SECTOR) -> None:
        """`sector` is how many bytes a crash keeps or loses together: 512, or the 4096 of a page."""
        self.max_bytes = max_bytes
        self.max_inodes = max_inodes
        self.calls: Counter[str] = Counter()
        """How often each call was made, the failed ones too."""
        self.written = 0
        """Bytes that were appended or put in place: what went to flash."""
        self.watch: Callable[[], None] | None = None
        """Called wherever the world may stop."""
        self._sector = sector
        self._root = Folder()
        self._faults: list[_Fault] = []
        self._left: int | None = None
        self._life = 0

    @classmethod
    def of(cls, image: Image, sector: int = SECTOR) -> "MemoryDisk":
        """A disk as a crash left it."""
        disk = cls(sector=sector)
        disk.become(image)
        return disk

    # What a scene does to it.

    def fail(self, call: str, code: int, at: int = 1, times: int | None = 1, where: str = "") -> None:
        """Let the `at`-th such call from now on fail with this errno, `times` times (None: until `heal`).

        `call` is a method of the disk, or `append` or `sync` of an open file; `where` is a part of the path.
        """
        self._faults.append(_Fault(call, code, where, at - 1, times))

    def heal(self) -> None:
        """No fault and no cut is set any more."""
        self._faults.clear()
        self._left = None

    def cut_at(self, call: int) -> None:
        """Stop the world at this call from now on (1 is the next) and at each after it, until `crash` or `kill`."""
        self._left = call - 1

    def kill(self) -> None:
        """The process ended: open files are closed, locks are free; what was written is there."""
        self._life += 1
        self._left = None
        for file in files(self._root):
            file.locked = False

    def crash(self, chance: Chance | None = None) -> None:
        """The power went: `kill`, and what was not synced is gone, or with `chance` some of it."""
        self.kill()
        if chance is None:
            worst(self._root)
        else:
            self.become(drawn(self._root, self._sector, chance))

    def images(self, most: int, chance: Chance) -> Iterator[Image]:
        """What a crash may leave just now: every image where they are few, else about `most`, drawn."""
        return images(self._root, self._sector, most, chance)

    def become(self, image: Image) -> None:
        """Hold this and nothing else: what a crash left, or what damage made of it."""
        self.kill()
        self._root = grown(image)

    def image(self) -> Image:
        """What is seen just now."""
        return seen(self._root)

    def content(self, path: Path) -> bytes:
        """The bytes of a file, past all faults."""
        return bytes(self._file(path).cache)

    def plant(self, path: Path, data: bytes) -> None:
        """Put these bytes on the platter, past all faults: damage, a leftover, a file from outside."""
        self._grown(path.parent).put(path.name, File(bytes(data), bytes(data)))

    def paths(self, folder: Path = Path("/")) -> list[Path]:
        """Every file below a folder, sorted."""
        node = self._node(folder)
        if isinstance(node, File):
            return [folder]
        return [path for name in sorted(node.names) for path in self.paths(folder / name)]

    # The port.

    def entries(self, folder: Path) -> list[Entry]:
        self.called("entries", folder)
        try:
            names = self._folder(folder).names
        except FileNotFoundError:
            return []
        return [
            Entry(name, len(node.cache) if isinstance(node, File) else None) for name, node in sorted(names.items())
        ]

    def make_folder(self, folder: Path) -> None:
        self.called("make_folder", folder)
        self._grown(folder)

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        self.called("read", path)
        end = None if size is None else offset + size
        return bytes(self._file(path).cache[offset:end])

    def create(self, path: Path, room: int = 0) -> OpenFile:
        del room  # sizes are exact here: nothing is set aside
        self.called("create", path)
        folder = self._folder(path.parent)
        if path.name in folder.names:
            raise _error(errno.EEXIST, path)
        self._need(0, 1, path)
        file = File()
        folder.add(path.name, file)
        return _MemoryFile(self, path, file)

    def replace(self, path: Path, data: bytes) -> None:
        folder = self._folder(path.parent)
        try:
            self.called("replace", path)
        except PowerCut:
            half = data[: len(data) // 2]
            self.plant(path.with_name(path.name + UNFINISHED), half)
            raise
        if isinstance(folder.names.get(path.name), Folder):
            raise _error(errno.EISDIR, path)
        # Old and new stand side by side for a moment, as on a real disk.
        self._need(len(data), 1, path)
        self.written += len(data)
        new, unfinished = File(), path.name + UNFINISHED
        folder.add(unfinished, new)
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            self.stops()
            new.grow(half)
        self.stops()
        new.keep()
        folder.move(unfinished, folder, path.name)
        self.stops()
        folder.sync()

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        file = self._file(path)
        end = offset + len(data)
        if end > len(file.cache):
            raise _error(errno.EINVAL, path)
        file.lay(offset, data)
        self.called("overwrite", path)
        self.written += len(data)
        file.keep_part(offset, len(data))

    def move(self, path: Path, to: Path) -> None:
        self.called("move", path)
        node, target = self._node(path), self._folder(to.parent)
        there = target.names.get(to.name)
        if isinstance(there, Folder) and (isinstance(node, File) or there.names):
            raise _error(errno.EISDIR if isinstance(node, File) else errno.ENOTEMPTY, to)
        if isinstance(there, File) and isinstance(node, Folder):
            raise _error(errno.ENOTDIR, to)
        self._folder(path.parent).move(path.name, target, to.name)

    def unlink(self, path: Path) -> None:
        self.called("unlink", path)
        try:
            self._file(path)
        except FileNotFoundError:
            return
        self._folder(path.parent).remove(path.name)

    def sync_folder(self, folder: Path) -> None:
        self.called("sync_folder", folder)
        self._folder(folder).sync()

    def space(self, folder: Path) -> Space:
        self.called("space", folder)
        self._folder(folder)
        return self._space()

    def lock(self, path: Path) -> OpenFile | None:
        self.called("lock", path)
        folder = self._folder(path.parent)
        if path.name not in folder.names:
            self._need(0, 1, path)
            folder.add(path.name, File())
        file = self._file(path)
        if file.locked:
            return None
        file.locked = True
        return _MemoryFile(self, path, file)

    # Inside.

    def called(self, call: str, path: Path) -> None:
        """Count a call, and fail it where a fault is set for it."""
        self.calls[call] += 1
        if call not in _LOOKS:
            self.stops()
        if self._left is not None:
            if self._left <= 0:
                raise PowerCut
            self._left -= 1
        for fault in self._faults:
            if fault.call != call or fault.where not in str(path) or fault.times == 0:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            raise _error(fault.code, path)

    def stops(self) -> None:
        """The world may stop here."""
        if self.watch is not None:
            self.watch()

    def room(self, need: int) -> int:
        """How many of so many bytes there is room for."""
        return need if self.max_bytes == _PLENTY else min(need, self._space().bytes)

    @property
    def life(self) -> int:
        """Which process this is: open files of earlier ones are closed."""
        return self._life

    def _space(self) -> Space:
        sizes = [len(file.cache) for file in files(self._root)]
        return Space(max(0, self.max_bytes - sum(sizes)), max(0, self.max_inodes - len(sizes)))

    def _need(self, size: int, inodes: int, path: Path) -> None:
        if (self.max_bytes, self.max_inodes) == (_PLENTY, _MANY):
            return
        space = self._space()
        if size > space.bytes or inodes > space.inodes:
            raise _error(errno.ENOSPC, path)

    def _node(self, path: Path) -> "File | Folder":
        node: File | Folder = self._root
        for name in path.parts[1:]:
            if isinstance(node, File):
                raise _error(errno.ENOTDIR, path)
            if name not in node.names:
                raise _error(errno.ENOENT, path)
            node = node.names[name]
        return node

    def _file(self, path: Path) -> File:
        node = self._node(path)
        if isinstance(node, Folder):
            raise _error(errno.EISDIR, path)
        return node

    def _folder(self, path: Path) -> Folder:
        node = self._node(path)
        if isinstance(node, File):
            raise _error(errno.ENOTDIR, path)
        return node

    def _grown(self, path: Path) -> Folder:
        node = self._root
        for name in path.parts[1:]:
            if name not in node.names:
                # Only this name is synced into the parent: what else is new there stays at risk.
                self.stops()
                node.put(name, Folder())
            below = node.names[name]
            if isinstance(below, File):
                raise _error(errno.EEXIST, path)
            node = below
        return node


class _MemoryFile:
    """`model.ports.OpenFile`; like a descriptor it works on when its name is gone."""

    def __init__(self, disk: MemoryDisk, path: Path, file: File) -> None:
        self._disk = disk
        self._path = path
        self._file = file
        self._life = disk.life
        self._open = True

    def append(self, data: bytes) -> None:
        self._alive()
        fits = len(data)
        try:
            self._disk.called("append", self._path)
        except OSError:
            self._write(data[: fits // 2])
            raise
        fits = self._disk.room(fits)
        self._write(data[: fits // 2])
        self._disk.stops()
        self._write(data[fits // 2 : fits], more=True)
        if fits < len(data):
            raise _error(errno.ENOSPC, self._path)

    def sync(self) -> None:
        self._alive()
        try:
            self._disk.called("sync", self._path)
        except OSError:
            self._file.doom()
            raise
        self._file.keep()

    def close(self, size: int | None = None) -> None:
        if not self._open or self._life != self._disk.life:
            return
        self._open = False
        self._file.locked = False
        if size is not None:
            self._file.cut(size)

    def _write(self, data: bytes, *, more: bool = False) -> None:
        if data:
            self._file.grow(data, more=more)
        self._disk.written += len(data)

    def _alive(self) -> None:
        if not self._open or self._life != self._disk.life:
            raise _error(errno.EBADF, self._path)


def _error(code: int, path: Path) -> OSError:
    return OSError(code, os.strerror(code), str(path))
