"""What may be wrong with a disk queue: disks that keep less than they say, and methods that do what they should not."""

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from anyio import CancelScope

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, Identity
from edge_agent.model.ports import OpenFile
from edge_agent.model.ranges import difference, ranges_of, total
from edge_agent.spool.lane import Lane
from edge_agent.spool.rack import Rack
from edge_agent.spool.scan import Scan
from edge_agent.spool.segment import Name, Segment
from edge_agent.spool.thinner import Thinner
from edge_agent.spool.writer import Writer
from edge_agent.uplink.open_batch import OpenBatch, Opened
from edge_agent.uplink.sealer import Sealer
from edge_agent.wire.frame import HEADER_SIZE, decode, decode_header
from tests.sim.disk import MemoryDisk

Decode = Callable[..., tuple[Frame, int]]


class _Standing:
    """Stands before a disk or an open file, and passes on what it does not do itself."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


class _Files(_Standing):
    """A disk whose new files are of another kind."""

    def __init__(self, disk: MemoryDisk, kind: type[_Standing]) -> None:
        super().__init__(disk)
        self._kind = kind

    def create(self, path: Path, room: int = 0) -> Any:
        return self._kind(self._behind.create(path, room))


class _NeverSynced(_Standing):
    def sync(self) -> None:
        """Say so, and do nothing."""


class _SyncedLate(_Standing):
    def append(self, data: bytes) -> None:
        self._behind.sync()
        self._behind.append(data)

    def sync(self) -> None:
        """The next append does it."""


class _SyncedAgain(_Standing):
    def sync(self) -> None:
        try:
            self._behind.sync()
        except OSError:
            self._behind.sync()


def never_synced(disk: MemoryDisk) -> Any:
    return _Files(disk, _NeverSynced)


def synced_late(disk: MemoryDisk) -> Any:
    return _Files(disk, _SyncedLate)


def synced_again(disk: MemoryDisk) -> Any:
    return _Files(disk, _SyncedAgain)


class FoldersUnsynced(_Standing):
    """A disk that syncs no folder."""

    def sync_folder(self, folder: Path) -> None:
        """Say so, and do nothing."""


class ReplacedUnsynced(_Standing):
    """A disk whose replacements are not synced."""

    def replace(self, path: Path, data: bytes) -> None:
        new = path.with_name(path.name + ".new")
        self._behind.unlink(new)
        self._behind.create(new).append(data)
        self._behind.move(new, path)


class OverwrittenUnsynced(_Standing):
    """A disk that syncs nothing that is overwritten."""

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        """As a write without a sync, which a crash may lose."""
        self._behind._file(path).lay(offset, data)


async def adopt_as_new(lane: Lane, frame: Frame) -> bool:
    """A batch that a killed life left gets a number of this one."""
    return await lane.append(replace(frame, identity=lane.draw()))


async def drop_then_tell(lane: Lane, need: int) -> None:
    """The file goes, then its loss is declared."""
    segments, losses = await lane._work(lane._victims, need)
    await lane._work(lane._rack.drop, segments)
    if losses:
        await lane._tell(losses)


async def reseal_as_new(lane: Lane, frame: Frame) -> None:
    """What the hub refused for its number gets a drawn one."""
    lane._renew()
    await lane._adopt(replace(frame, identity=lane.draw()))


def durable_at_once(_lane: Lane, _frame: Frame) -> bool:
    """What only memory has counts as durable."""
    return True


def settle_all(segment: Segment, gone: Any) -> None:
    """A segment goes with the first of its frames."""
    if segment.name.epoch in gone:
        segment.held = ()


def settle_first(segment: Segment, gone: Any) -> None:
    """As many are let go as were settled, but from the front."""
    held = segment.held or ()
    count = total(held) - total(difference(held, gone.get(segment.name.epoch, ())))
    numbers = [number for pair in held for number in range(*pair)]
    segment.held = ranges_of(numbers[count:])


def drop_beaten_at_once(rack: Rack) -> None:
    """The name of what stands in their place may not be durable."""
    rack.stock.doomed += rack._beaten
    rack._beaten = []


def none_outdated(_names: Any) -> set[Name]:
    """Both a segment and its thinned form count."""
    return set()


def close_short(close: Callable[[Writer], None]) -> Callable[[Writer], None]:
    """A segment is cut below what was synced."""

    def closed(writer: Writer) -> None:
        if writer.segment is not None:
            writer.segment.size -= 1
        close(writer)

    return closed


def put_over(put: Callable[..., Segment | None]) -> Callable[..., Segment | None]:
    """A segment goes before its thinned form is there."""

    def over(thinner: Thinner, name: Name, *given: Any) -> Segment | None:
        thinner._disk.unlink(thinner._folder / Name(name.generation, name.first, name.epoch).file)
        return put(thinner, name, *given)

    return over


def up_to_damage(scan: Callable[..., Scan]) -> Callable[..., Scan]:
    """Nothing is looked for behind the first bad bytes."""

    def scanned(data: bytes, *given: Any) -> Scan:
        found = scan(data, *given)
        stop = min((start for start, _end in found.damage), default=len(data))
        return replace(found, places=tuple(place for place in found.places if place.offset < stop))

    return scanned


def only_whole(scan: Callable[..., Scan]) -> Callable[..., Scan]:
    """A segment with bad bytes goes to quarantine, whatever else is in it."""

    def scanned(*given: Any) -> Scan:
        found = scan(*given)
        return replace(found, places=()) if found.damage else found

    return scanned


def payload_unlooked(data: bytes, offset: int = 0) -> tuple[Frame, int]:
    """A frame is what its header says."""
    header = decode_header(data, offset)
    if offset + header.frame_size > len(data):
        raise Malformed("frame_truncated", "the data ends within a frame's payload")
    payload = bytes(data[offset + HEADER_SIZE : offset + HEADER_SIZE + header.payload_size])
    return Frame(header.kind, header.identity, header.sealed_at, payload), offset + header.frame_size


def header_unlooked(data: bytes, offset: int = 0) -> tuple[Frame, int]:
    """Only the payload's CRC is looked at."""
    with suppress(Malformed):
        return decode(data, offset)
    if len(data) - offset < HEADER_SIZE + 4 or data[offset : offset + 4] != b"EDGF":
        raise Malformed("frame_magic", "no frame starts here")
    _magic, _version, kind, _size, size, epoch, seq, at, seed = struct.unpack_from(">4sBBHIQQqI", data, offset)
    payload = bytes(data[offset + HEADER_SIZE : offset + HEADER_SIZE + size])
    after = offset + HEADER_SIZE + size + 4
    if after > len(data) or struct.unpack_from(">I", data, after - 4)[0] != zlib.crc32(payload, seed):
        raise Malformed("frame_payload_crc", "the payload is damaged")
    return Frame(kind, Identity(epoch, seq), at, payload), after


async def remove_then_give(sealer: Sealer, frame: Frame, way: CancelScope) -> bool:
    """The open batch's file goes before the batch is durable."""
    epoch, seq = frame.identity
    sealer._remove(sealer._folder / f"{epoch:016x}-{seq}.open")
    with way:
        return await sealer._buffer.append(frame)
    return False


def read_as_new(read: Callable[[bytes], Opened]) -> Callable[[bytes], Opened]:
    """What was left open gets another number."""

    def another(data: bytes) -> Opened:
        opened = read(data)
        return replace(opened, identity=Identity(opened.identity.epoch ^ 1, opened.identity.seq))

    return another


def write_late(write: Callable[[OpenBatch, OpenFile, bytes], None]) -> Callable[[OpenBatch, OpenFile, bytes], None]:
    """A tick is in the open batch's file once the next one comes."""
    waiting: dict[OpenBatch, bytes] = {}

    def written(batch: OpenBatch, file: OpenFile, data: bytes) -> None:
        before, waiting[batch] = waiting.get(batch, b""), data
        if before:
            write(batch, file, before)

    return written
