"""Files of the machine that is read: read whole below its root, with short stable words for what goes wrong.

The files of `/proc` and `/sys` are made anew at each opening and are small, so each read opens, reads and closes: no
descriptor outlives it, and a sensor that was unplugged and came back is found again. `source` is the path as the
machine itself knows it, so that a recorded tree gives the same readings as the machine it was recorded on.

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
_MOST_LINKS = 40
"""As many as the kernel follows."""
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class HostFile:
    """One file below the host's root; `name` has no leading slash."""

    __slots__ = ("_host", "_path", "source")

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self._path: str | None = os.fspath(host.root / name) if host.live else None
        self.source = f"/{name}"

    def read(self) -> bytes:
        """All of it, or OSError; EFBIG beyond `MOST` bytes."""
        descriptor = self._open()
        try:
            content = _read(descriptor, MOST + 1)
        finally:
            os.close(descriptor)
        if len(content) > MOST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return content

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
            self._fail_as_told()
            with suppress(OSError):
                return os.open(self._path, _FLAGS | os.O_NOFOLLOW)
        # On a foreign root: what it leads to now, which may be another file than before.
        self._path = None
        self._path = _followed(os.fspath(self._host.root), self.source[1:])
        self._fail_as_told()
        return os.open(self._path, _FLAGS | os.O_NOFOLLOW)

    def _fail_as_told(self) -> None:
        if self._host.errors and self._path is not None:
            _fail_as_told(self._host, self.source[1:], self._path)


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
    if not host.errors:
        return
    told = tuple(host.errors)
    for one in (name, path[len(os.fspath(host.root)) :].lstrip("/")):
        if one.startswith(told):  # hardly any does: this is asked at each opening
            while one:
                if number := host.errors.get(one):
                    raise OSError(number, os.strerror(number))
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
