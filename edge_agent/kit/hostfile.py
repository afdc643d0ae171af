"""Files of the machine that is read: read whole below its root, with short stable words for what goes wrong.

`source` is the path as the machine itself knows it, so that a recorded tree gives the same readings as the machine it
was recorded on. `read` opens, reads and closes: no descriptor outlives it.

`reread` is for files of `/proc` and `/sys` that are read beat by beat. From the second read on it keeps the descriptor
where the kernel makes the file anew at each read from its start (Documentation/filesystems/sysfs.rst): the file has no
blocks, and another size than what it holds. When its device goes, such a descriptor fails (ENODEV), and what is in its
place then is opened at once: a sensor that was unplugged and came back is found again. Files of a recorded tree are
opened at each read, since one that was replaced would not be noticed. A descriptor is closed with its `HostFile`, and
none of a number of `_MOST_KEPT` or more is kept, so that most of those that a process may have are left to others.

Whatever a name leads to, a read ends: opening and reading never wait (a pipe is empty, or EAGAIN), and what never ends
is cut off. `read` is called for many files a second and does not ask what they are; `read_head` is for files that
others put there, and takes regular ones only.

Below a foreign root links are followed as the machine itself would, with that root as theirs: `/proc/device-tree` is an
absolute link, and would lead to the files of this machine. What no file of a recorded tree can be, an error, stands in
its `errors.toml`, paths (shell patterns within a folder) with the names of errnos; a folder's holds for all below it:

    "sys/class/thermal/thermal_zone2/temp" = "EAGAIN"
    "sys/kernel/debug" = "EACCES"

Not handled: devices and mounts whose driver hangs (whoever calls this from a worker has a time limit).
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge_agent.model.failure import ConfigError
from edge_agent.model.ports import Host

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST = 4 * 1024 * 1024
"""Bytes of the largest file that is read whole."""

_CHUNK = 64 * 1024
_SHORT = 2048
"""The kernel hands lines out in pages: what is shorter than half a page is all, where no line is as long as that."""
_MOST_KEPT = 256
"""A quarter of what a process may have open where nobody says otherwise."""
_OFTEN = 2
"""Good reads that make a file one that is read again and again."""
_DEBUG = "/sys/kernel/debug/"
"""An open file there keeps its driver from being unloaded."""
_MOST_LINKS = 40
"""As many as the kernel follows."""
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class HostFile:
    """One file below the host's root; `name` has no leading slash."""

    __slots__ = ("_above", "_host", "_kept", "_path", "_reads", "source")

    def __init__(self, host: Host, name: str) -> None:
        self._kept: int | None = None
        self._reads = 0
        """Good ones by `reread`, to the one at which it is decided whether to keep it."""
        self._host = host
        self._path: str | None = os.fspath(host.root / name) if host.live else None
        self._above: frozenset[str] = frozenset()
        """The paths at which an error may be told of it."""
        self.source = f"/{name}"

    def __del__(self) -> None:
        """Give up what was kept."""
        if self._kept is not None:
            os.close(self._kept)

    def read(self) -> bytes:
        """All of it, or OSError; EFBIG beyond `MOST` bytes."""
        descriptor = self._open()
        try:
            return _whole(descriptor)
        finally:
            os.close(descriptor)

    def reread(self) -> bytes:
        """The same, for a file of `/proc` or `/sys` that is read again and again and whose lines are short."""
        if self._kept is not None:
            try:
                os.lseek(self._kept, 0, os.SEEK_SET)
                return _whole(self._kept, _SHORT)
            except BlockingIOError:
                raise
            except OSError:  # something else may be in its place
                os.close(self._kept)
                self._kept, self._reads = None, _OFTEN - 1
        descriptor = self._open()
        try:
            content = _whole(descriptor, _SHORT)
            if self._reads < _OFTEN:
                self._reads += 1
                if self._reads == _OFTEN and self._may_keep(descriptor, content):
                    self._kept = descriptor
            return content
        finally:
            if self._kept is None:
                os.close(descriptor)

    def read_head(self, most: int) -> bytes:
        """The first `most` bytes, or fewer where it has no more; OSError, EINVAL when it is not a regular file."""
        descriptor = self._open()
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            return _read(descriptor, most)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        if self._host.live and self._path is not None:
            return os.open(self._path, _FLAGS)
        if self._path is not None:
            self._fail_as_told(self._path)
            try:
                return os.open(self._path, _FLAGS | os.O_NOFOLLOW)
            except OSError:
                self._path = None  # it may lead to another file than before
        # On a foreign root: what it leads to now.
        path = _followed(os.fspath(self._host.root), self.source[1:])
        self._path, self._above = path, frozenset()
        self._fail_as_told(path)
        return os.open(path, _FLAGS | os.O_NOFOLLOW)

    def _fail_as_told(self, path: str) -> None:
        if self._host.errors:
            self._above = self._above or frozenset(_above(self._host, self.source[1:], path))
            if not self._above.isdisjoint(self._host.errors):
                _fail_as_told(self._host, self.source[1:], path)

    def _may_keep(self, descriptor: int, content: bytes) -> bool:
        """Whether this may stay open: the kernel makes it anew at each read, and nothing says that it fails."""
        if descriptor >= _MOST_KEPT or self._host.errors or self.source.startswith(_DEBUG):
            return False
        status = os.fstat(descriptor)
        return stat.S_ISREG(status.st_mode) and not status.st_blocks and status.st_size != len(content)


def listed(host: Host, folder: str) -> list[str]:
    """The names in a folder below the host's root, in no order; OSError where there is none."""
    if host.live:
        return os.listdir(host.root / folder)  # noqa: PTH208 - names alone, no path for each
    path = _followed(os.fspath(host.root), folder)
    _fail_as_told(host, folder, path)
    return os.listdir(path)  # noqa: PTH208 - the same


def resolved(host: Host, name: str) -> str:
    """Where a name below the host's root leads, as another one without links; whether there is anything is not asked.

    OSError ELOOP when the links never end. On a live host, too, an absolute link is one from the host's root.
    """
    return _led(os.fspath(host.root), name).lstrip("/")


def _fail_as_told(host: Host, name: str, path: str) -> None:
    """OSError when a file is said to fail, or a folder above it, by its name or by where that leads."""
    if host.errors:
        for one in _above(host, name, path):
            if number := host.errors.get(one):
                raise OSError(number, os.strerror(number))


def _above(host: Host, name: str, path: str) -> Iterator[str]:
    """A file below the root and the folders above it, by its name, then by where that leads."""
    for one in (name, path[len(os.fspath(host.root)) :].lstrip("/")):
        while one:
            yield one
            one = one.rpartition("/")[0]  # noqa: PLW2901 - upwards


def recorded_errors(root: Path) -> dict[str, int]:
    """The errors of a recorded tree, by path below it, as it is written and as links lead; none where none are told.

    ConfigError when the file cannot be understood.
    """
    file, found = root / "errors.toml", {}
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
        for pattern, name in told.items():
            number = getattr(errno, name)
            for path in [pattern, *(os.path.relpath(one, root) for one in root.glob(pattern))]:
                found[path] = number
                with suppress(OSError):  # links in circles lead nowhere else
                    found[os.path.relpath(_followed(os.fspath(root), path), root)] = number
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise ConfigError(f"{file}: {error}", hint='write lines as "sys/path/of/a/file" = "EAGAIN"') from error
    return found


def _followed(root: str, name: str) -> str:
    """Where a name below the root leads, as a path of this machine; OSError as `_led`."""
    return root + _led(root, name)


def _led(root: str, name: str) -> str:
    """Where a name below the root leads, links taken as from that root; OSError ELOOP when they never end."""
    left, at, links = name.split("/")[::-1], "", 0
    while left:
        part = left.pop()
        if part == "..":
            at = at.rpartition("/")[0]
        elif part not in {"", "."}:
            path = f"{at}/{part}"
            try:
                target = os.readlink(root + path)  # noqa: PTH115 - read for every part of many paths
            except OSError:
                at = path
                continue
            if (links := links + 1) > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if target.startswith("/"):
                at = ""
            left.extend(target.split("/")[::-1])
    return at


def _whole(descriptor: int, short: int = 0) -> bytes:
    """All of it, or OSError EFBIG; what the first read gives is all where it is shorter than `short`."""
    content = os.read(descriptor, _CHUNK)
    if content and len(content) >= short:
        content += _read(descriptor, MOST + 1 - len(content))
    if len(content) > MOST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


def _read(descriptor: int, most: int) -> bytes:
    chunk = os.read(descriptor, min(most, _CHUNK))
    chunks, left = [chunk], most - len(chunk)
    while chunk and left:
        chunk = os.read(descriptor, min(left, _CHUNK))
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def absence(error: OSError) -> str:
    """Why nothing was read: `missing`, `EAGAIN`, or `unreadable: ` and the errno's name."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return "missing"
    name = errno.errorcode.get(error.errno or 0, "unknown")
    return name if error.errno == errno.EAGAIN else f"unreadable: {name}"
