"""The segment that is being written: appended and synced, and never touched again after a failure.

After a failed sync the kernel may have dropped the pages it could not write and call the next sync good, so nothing is
retried on a descriptor: it is closed, cut back to its last synced frame, and the frames go to a new segment. A name
that is taken (a failed segment that could not be removed, a folder that somebody made) raises the generation by one,
which keeps the order.

A segment's blocks are set aside when it is made, so that a seal changes no table of free blocks: paced seals of 8 KiB
then write a third less. Closing gives back what is left; what a kill leaves, the next life (`rack`).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from edge_agent.model.frame import Frame
from edge_agent.model.ports import Disk, OpenFile
from edge_agent.model.ranges import ranges_of, union
from edge_agent.spool.segment import Name, Opening, Segment, next_generation, opening_frame
from edge_agent.wire.frame import encode

_NAMES_TRIED = 4


class Writer:
    """Writes one lane's segments of at most `most_bytes`, one open at a time; `generation` as of this life."""

    def __init__(self, disk: Disk, folder: Path, opening: Callable[[], Opening], most_bytes: int) -> None:
        self._disk = disk
        self._folder = folder
        self._opening = opening
        self._most_bytes = most_bytes
        self._file: OpenFile | None = None
        self.generation = 0
        self.segment: Segment | None = None
        """The segment that is open."""

    def write(self, frames: Sequence[Frame]) -> Segment:
        """Append frames of one epoch with rising numbers and sync them; the segment that holds them now.

        OSError when the disk does not take them; then none of them counts.
        """
        segment = self._append(b"".join(map(encode, frames)), *frames[0].identity)
        segment.held = union((*(segment.held or ()), *ranges_of(frame.identity.seq for frame in frames)))
        segment.end = frames[-1].identity.seq + 1
        return segment

    def stands(self) -> bool:
        """Whether what is written still has its names: a file that was removed takes bytes that nobody sees again."""
        try:
            if self.segment is None:
                self._disk.space(self._folder)
            else:
                self._disk.read(self.segment.path, 0, 0)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # the disk failed, which is another matter
        return True

    def close(self) -> None:
        """Close the open segment, cut to its last synced frame."""
        if self._file is not None and self.segment is not None:
            with suppress(OSError):
                self._file.close(self.segment.size)
        self._file = self.segment = None

    def _append(self, data: bytes, epoch: int, first: int) -> Segment:
        segment = self.segment
        if segment is not None and (
            segment.name.epoch != epoch or first < segment.end or segment.size + len(data) > self._most_bytes
        ):
            self.close()
        if self._file is None or self.segment is None:
            return self._begin(epoch, first, data)
        segment = self.segment
        try:
            self._file.append(data)
            self._file.sync()
        except OSError:
            self.close()
            raise
        segment.size += len(data)
        return segment

    def _begin(self, epoch: int, first: int, data: bytes) -> Segment:
        """A new segment that opens with these bytes, its name synced too."""
        name, file = self._create(epoch, first)
        path = self._folder / name.file
        opening = self._opening()
        start = encode(opening_frame(name, opening, self._folder.name))
        try:
            file.append(start + data)
            file.sync()
            self._disk.sync_folder(self._folder)
        except OSError:
            for give_up in (partial(file.close, 0), partial(self._disk.unlink, path)):
                with suppress(OSError):
                    give_up()
            raise
        self._file = file
        self.segment = Segment(name, path, len(start) + len(data), first, (), opening.powered)
        return self.segment

    def _create(self, epoch: int, first: int) -> tuple[Name, OpenFile]:
        for _ in range(_NAMES_TRIED - 1):
            name = Name(self.generation, first, epoch)
            try:
                return name, self._disk.create(self._folder / name.file, self._most_bytes)
            except FileExistsError:
                self.generation = next_generation(self.generation)
        name = Name(self.generation, first, epoch)
        return name, self._disk.create(self._folder / name.file, self._most_bytes)
