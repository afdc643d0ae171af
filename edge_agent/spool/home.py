"""The spool's own folder: made when it is needed, cleared of what stands in the way, locked for one process.

What is no folder where one must be, or no file where the lock must be, is renamed aside (`<name>.foreign-<n>`), never
removed. A disk that does not let us in is asked again by whoever wants to write; reading needs no lock, so a file
system that came up read-only still gives its backlog.

A folder that went under us is left and entered again by whoever finds that out: the lock is on a file that nobody else
can see any more.
"""

import errno
from pathlib import Path

from edge_agent.model.ports import Disk, OpenFile

_IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
_ASIDES = 1000


class Home:
    """The folder of one spool. All calls are made on the spool's worker."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self.folder = folder
        self._disk = disk
        self._lock: OpenFile | None = None

    def enter(self) -> None:
        """Be the one that writes here. BlockingIOError when another process is, another OSError when it cannot be."""
        if self._lock is not None:
            return
        self.make_folder(self.folder)
        path = self.folder / "lock"
        try:
            lock = self._disk.lock(path)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            self._put_aside(path)
            lock = self._disk.lock(path)
        if lock is None:
            raise BlockingIOError(errno.EWOULDBLOCK, "another process holds the spool", str(path))
        self._lock = lock

    def make_folder(self, folder: Path) -> None:
        """Make a folder in or above this one, and put aside what stands in its place."""
        try:
            self._disk.make_folder(folder)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            self._put_aside(folder)
            self._disk.make_folder(folder)

    def leave(self) -> None:
        """Let others in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _put_aside(self, path: Path) -> None:
        taken = {entry.name for entry in self._disk.entries(path.parent)}
        for number in range(_ASIDES):
            aside = f"{path.name}.foreign-{number}"
            if aside not in taken:
                self._disk.move(path, path.with_name(aside))
                return
