"""Reading segments from a disk that may not give every block."""

import errno
from collections.abc import Sequence
from pathlib import Path

from edge_agent.model.frame import Frame
from edge_agent.model.ports import Disk
from edge_agent.spool.scan import Place
from edge_agent.spool.segment import MOST_BYTES, OPENING_BYTES, Opening, read_opening
from edge_agent.wire.frame import decode

_BLOCK = 4096


def read_around(disk: Disk, path: Path, size: int) -> bytes:
    """A file of about this size, with junk in place of each block that the disk cannot give.

    OSError when it gives none, or for any reason but EIO.
    """
    try:
        return disk.read(path, 0, MOST_BYTES)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        blocks = [_block_or_none(disk, path, offset) for offset in range(0, size, _BLOCK)]
        if not any(blocks):
            raise
    junk = b"\xff" * _BLOCK
    return b"".join(junk if block is None else block for block in blocks)[:size]


def frames_at(disk: Disk, path: Path, places: Sequence[Place]) -> list[Frame]:
    """The frames at these places, in one read where the disk gives it, else each by itself.

    Malformed or OSError when one of them is not there any more.
    """
    if not places:
        return []
    start = min(place.offset for place in places)
    end = max(place.offset + place.size for place in places)
    try:
        data = disk.read(path, start, end - start)
    except OSError:
        return [decode(disk.read(path, place.offset, place.size))[0] for place in places]
    return [decode(data, place.offset - start)[0] for place in places]


def opening_of(disk: Disk, path: Path) -> Opening | None:
    """What a segment's first frame says; Malformed or OSError when it cannot be read."""
    frame, _after = decode(disk.read(path, 0, OPENING_BYTES))
    return read_opening(frame)


def _block_or_none(disk: Disk, path: Path, offset: int) -> bytes | None:
    try:
        return disk.read(path, offset, _BLOCK)
    except OSError:
        return None
