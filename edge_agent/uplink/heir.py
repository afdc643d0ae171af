"""The heir: gives the buffer the batches that earlier lives left open on tmpfs, each under its own number.

A file that holds nothing readable goes; one of a later version stays, since a roll-back must not destroy it. What the
disk does not give just now is looked for again a minute later, and so on: nobody but the file knows its number, so a
batch that is forgotten here is missed by no audit.
"""

from collections.abc import AsyncIterator, Callable, Container, Mapping
from contextlib import suppress
from pathlib import Path

from edge_agent.model.buffers import Buffer
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, Identity
from edge_agent.model.lamp import Lamps
from edge_agent.model.ports import Clock, Disk
from edge_agent.uplink.open_batch import SUFFIX, BatchFile, Seal, read, unsealed
from edge_agent.wire.batch import BatchBuilder

_AGAIN_MS = 60_000

Make = Callable[[Identity, Seal, BatchBuilder, str, Mapping[str, str]], Frame]
"""A frame of a number, its seal, its readings, its axis and its resource."""


class Heir:
    """Looks in one folder."""

    def __init__(self, buffer: Buffer, clock: Clock, disk: Disk, folder: Path, lamps: Lamps, make: Make) -> None:
        self._buffer = buffer
        self._clock = clock
        self._disk = disk
        self._folder = folder
        self._lamps = lamps
        self._make = make
        self._again_at: int | None = None

    def is_due(self) -> bool:
        """Whether something could not be read a while ago and should be looked for again."""
        return self._again_at is not None and self._clock.now() >= self._again_at

    async def inherit(self, own: Container[Path]) -> AsyncIterator[tuple[BatchFile, bool]]:
        """Each file whose batch the buffer has now, and whether it is durable there; `own` files are this life's."""
        self._again_at = None
        try:
            entries = self._disk.entries(self._folder)
        except OSError as error:
            self._put_off(self._folder, error)
            return
        for entry in sorted(entries, key=lambda entry: (len(entry.name), entry.name)):  # numbers have no leading zeros
            path = self._folder / entry.name
            if entry.size is not None and entry.name.endswith(SUFFIX) and path not in own:
                frame = self._frame_in(path)
                if frame is not None:
                    yield BatchFile(path, entry.size), await self._buffer.adopt(frame)

    def _frame_in(self, path: Path) -> Frame | None:
        """What one file holds, as a frame; None when there is none to give."""
        try:
            opened = read(self._disk.read(path))
        except OSError as error:
            self._put_off(path, error)
            return None
        except Malformed as error:
            if error.code == "unsupported_version":
                self._lamps.light("sealer", "warn", f"{path} is of a later version and stays: {error}")
            else:
                self._lamps.light("sealer", "warn", f"{path} held nothing that can be read: {error}")
                self._remove(path)
            return None
        if not opened.ticks:
            self._remove(path)
            return None
        builder = BatchBuilder(opened.axis, opened.resource)
        for tick in opened.ticks:
            builder.add(tick)
        # Without its seal a batch ends with its last tick: the same bytes again, should this start not come to its end.
        seal = opened.seal or unsealed(max(tick.at for tick in opened.ticks), opened.missed)
        return self._make(opened.identity, seal, builder, opened.axis, opened.resource)

    def _put_off(self, path: Path, error: OSError) -> None:
        self._lamps.light("sealer", "warn", f"{path} cannot be read: {error}")
        self._again_at = self._clock.now() + _AGAIN_MS

    def _remove(self, path: Path) -> None:
        with suppress(OSError):  # one that stays is found again at the next start, and changes nothing
            self._disk.unlink(path)
