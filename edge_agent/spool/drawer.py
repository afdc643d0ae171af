"""Bounded folders of files kept for people: dead letters and quarantined segments.

Names sort by age, so the first names go when the folder passes its size. A file larger than the folder may be goes at
once. Nothing here is worth a failure: what the disk does not take is not kept.
"""

from contextlib import suppress
from pathlib import Path

from edge_agent.model.ports import Disk
from edge_agent.spool.home import Home


class Drawer:
    """The folder `name` of a spool, of at most `most_bytes`."""

    def __init__(self, disk: Disk, home: Home, name: str, most_bytes: int) -> None:
        self._disk = disk
        self._home = home
        self._folder = home.folder / name
        self._most_bytes = most_bytes

    def put(self, name: str, data: bytes) -> None:
        """Keep these bytes, synced, under this name."""
        with suppress(OSError):
            self._home.make_folder(self._folder)
            self._disk.replace(self._folder / name, data)
            self._trim()

    def take(self, path: Path, name: str) -> bool:
        """Move a file in here; False when it stays where it was."""
        try:
            self._home.make_folder(self._folder)
            self._disk.move(path, self._folder / name)
        except OSError:
            return False
        with suppress(OSError):
            self._trim()
        return True

    def _trim(self) -> None:
        entries = [entry for entry in self._disk.entries(self._folder) if entry.size is not None]
        used = sum(entry.size or 0 for entry in entries)
        for entry in entries:
            if used <= self._most_bytes:
                return
            self._disk.unlink(self._folder / entry.name)
            used -= entry.size or 0
