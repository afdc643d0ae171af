r"""The bookmark: the id of the last event that was heard, kept over restarts.

One line in one file, replaced atomically: `<crc32 of the id, 8 hex digits> <id as UTF-8>\n`. It is a hint: a hub
replays from it, and what is heard twice is recognised further on. So it is written at most once a minute, to spare the
flash, and once more at the end; a file that is missing, damaged or unreadable is no bookmark.
"""

import zlib
from pathlib import Path

from edge_agent.model.ports import Clock, Disk, Offload, Worker

MOST_ID_BYTES = 1024
"""A longer id is not kept, neither here nor for the next request: no server takes such a header for sure."""

_BETWEEN_MS = 60_000


class Bookmark:
    """Reads and keeps one event id; `""` is none. `read` comes first, `keep` with `at_once` last."""

    def __init__(self, path: Path, disk: Disk, offload: Offload, clock: Clock) -> None:
        self._path = path
        self._disk = disk
        self._offload = offload
        self._clock = clock
        self._worker: Worker
        self._written = ""
        self._written_at: int | None = None

    async def read(self) -> str:
        """The id that an earlier life kept."""
        self._worker = self._offload.worker("bookmark")
        try:
            content = await self._worker.run(self._disk.read, self._path, 0, MOST_ID_BYTES + 16)
        except OSError:
            return ""
        self._written = _parsed(content)
        return self._written

    async def keep(self, event_id: str, *, at_once: bool = False) -> None:
        """Keep this id if a minute has passed since the last was written; a failed write is let go.

        `at_once` is for the end: it is written whatever was written when, and the thread ends.
        """
        try:
            await self._keep(event_id, at_once=at_once)
        finally:
            if at_once:
                self._offload.release(self._worker)

    async def _keep(self, event_id: str, *, at_once: bool) -> None:
        if event_id == self._written:
            return
        now = self._clock.now()
        if not at_once and self._written_at is not None and now - self._written_at < _BETWEEN_MS:
            return
        self._written_at = now
        written = event_id.encode()
        try:
            await self._worker.run(self._write, b"%08x %s\n" % (zlib.crc32(written), written))
        except OSError:
            return
        self._written = event_id

    def _write(self, content: bytes) -> None:
        self._disk.make_folder(self._path.parent)
        self._disk.replace(self._path, content)


def _parsed(content: bytes) -> str:
    checksum, _, rest = content.partition(b" ")
    if not rest.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(rest[:-1]):
        return ""
    try:
        return rest[:-1].decode()
    except UnicodeDecodeError:
        return ""
