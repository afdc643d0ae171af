"""Files of the machine that is read: read whole below its root, with short stable words for what goes wrong.

The files of `/proc` and `/sys` are made anew at each opening and are small, so each read opens, reads and closes: no
descriptor outlives it, and a sensor that was unplugged and came back is found again. `source` is the path as the
machine itself knows it, so that a recorded tree gives the same readings as the machine it was recorded on.

Not handled: files that never end, and reads that hang (whoever calls this from a worker has a time limit).
"""

import errno
import os

from edge_agent.model.ports import Host

_CHUNK = 64 * 1024


class HostFile:
    """One file below the host's root; `name` has no leading slash."""

    __slots__ = ("_path", "source")

    def __init__(self, host: Host, name: str) -> None:
        self._path = os.fspath(host.root / name)
        self.source = f"/{name}"

    def read(self) -> bytes:
        """All of it, or OSError."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            chunk = os.read(descriptor, _CHUNK)
            chunks = [chunk]
            while chunk:
                chunk = os.read(descriptor, _CHUNK)
                chunks.append(chunk)
        finally:
            os.close(descriptor)
        return b"".join(chunks)


def absence(error: OSError) -> str:
    """Why nothing was read: `missing`, `EAGAIN`, or `unreadable: ` and the errno's name."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return "missing"
    name = errno.errorcode.get(error.errno or 0, "unknown")
    return name if error.errno == errno.EAGAIN else f"unreadable: {name}"
