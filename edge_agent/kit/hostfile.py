"""Files of the machine that is read: read whole below its root, with short stable words for what goes wrong.

The files of `/proc` and `/sys` are made anew at each opening and are small, so each read opens, reads and closes: no
descriptor outlives it, and a sensor that was unplugged and came back is found again. `source` is the path as the
machine itself knows it, so that a recorded tree gives the same readings as the machine it was recorded on.

Whatever a name leads to, a read ends: opening and reading never wait (a pipe is empty, or EAGAIN), and what never ends
is cut off. `read` is called for many files a second and does not ask what they are; `read_head` is for files that
others put there, and takes regular ones only.

Not handled: devices and mounts whose driver hangs (whoever calls this from a worker has a time limit).
"""

import errno
import os
import stat

from edge_agent.model.ports import Host

MOST = 4 * 1024 * 1024
"""Bytes of the largest file that is read whole."""

_CHUNK = 64 * 1024
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class HostFile:
    """One file below the host's root; `name` has no leading slash."""

    __slots__ = ("_path", "source")

    def __init__(self, host: Host, name: str) -> None:
        self._path = os.fspath(host.root / name)
        self.source = f"/{name}"

    def read(self) -> bytes:
        """All of it, or OSError; EFBIG beyond `MOST` bytes."""
        descriptor = os.open(self._path, _FLAGS)
        try:
            content = _read(descriptor, MOST + 1)
        finally:
            os.close(descriptor)
        if len(content) > MOST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return content

    def read_head(self, most: int) -> bytes:
        """The first `most` bytes, or fewer where it has no more; OSError, EINVAL when it is not a regular file."""
        descriptor = os.open(self._path, _FLAGS)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            return _read(descriptor, most)
        finally:
            os.close(descriptor)


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
