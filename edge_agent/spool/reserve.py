"""A standing reserve on the disk for losses that no frame of the reports lane can hold just now.

    <spool>/reserve     64 KiB of its own blocks: two slots, written in turn, in place; a full disk takes them

A slot is a frame (`wire.frame`: CRCs, and in its number which of the two is newer) of records, as reports are. A write
that is cut leaves the other slot as it was. What stands in the newer one waits for a durable frame; once that is there,
a slot without losses follows.

What does not fit is left out, the shortest ranges first; nothing is joined over a gap, since what lies between may be
held or stored. If the power goes then, the hub finds what was left out unaccounted, with no reason but the right sum.

Made when the disk has room. It may be absent, damaged, or of another size: then it holds nothing, and is made anew when
that works. A file system that copies on write, or packs zeros, may need space to write over what is there: on such a
disk the reserve can fail when it is full, and only the hub's sum tells.
"""

from collections.abc import Sequence
from pathlib import Path

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, FrameKind, Identity, Loss
from edge_agent.model.ports import Disk
from edge_agent.spool.losses import Losses, losses_in
from edge_agent.wire import record
from edge_agent.wire.frame import decode, encode, encoded_size

FILE = "reserve"

_SLOT = 2**15


class Reserve:
    """The reserve below a spool's folder. All calls are made on the spool's worker."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._path = folder / FILE
        self._turn = 0

    def read(self) -> list[Loss]:
        """The losses that an earlier life left in it; none when it cannot be read."""
        try:
            data = self._disk.read(self._path, 0, 2 * _SLOT)
        except OSError:
            return []
        slots = [frame for slot in range(2) if (frame := _frame_at(data, slot * _SLOT)) is not None]
        newest = max(slots, key=lambda frame: frame.identity.seq, default=None)
        if newest is None:
            return []
        self._turn = newest.identity.seq + 1
        return losses_in(newest)

    def make(self) -> None:
        """Have it on the disk; OSError when that has no room."""
        try:
            sizes = {entry.name: entry.size for entry in self._disk.entries(self._path.parent)}
        except OSError:
            sizes = {}
        if sizes.get(FILE) != 2 * _SLOT:
            self._disk.replace(self._path, bytes(2 * _SLOT))

    def keep(self, losses: Sequence[Loss]) -> None:
        """Hold these losses in place of all before, synced; OSError when the disk does not take them."""
        slot = encode(_slot_of(losses, self._turn))
        offset = self._turn % 2 * _SLOT
        try:
            self._disk.overwrite(self._path, offset, slot)
        except OSError:
            fresh = bytearray(2 * _SLOT)
            fresh[offset : offset + len(slot)] = slot
            self._disk.replace(self._path, bytes(fresh))
        self._turn += 1


def _frame_at(data: bytes, offset: int) -> Frame | None:
    try:
        return decode(data, offset)[0]
    except Malformed:
        return None


def _slot_of(losses: Sequence[Loss], turn: int) -> Frame:
    """A frame of as many of these losses as fit, the longest ranges first."""
    pairs = [(pair, loss) for loss in losses for pair in loss.ranges]
    pairs.sort(key=lambda one: one[0][0] - one[0][1])
    while True:
        kept = Losses()
        kept.carry(Loss(loss.lane, loss.epoch, (pair,), loss.reason) for pair, loss in pairs)
        records = [{"at": 0, **loss.report()} for loss in kept.all()]
        frame = Frame(FrameKind.REPORTS, Identity(0, turn), 0, record.pack(FILE, None, {}, records))
        if encoded_size(frame) <= _SLOT:
            return frame
        pairs = pairs[: len(pairs) // 2]
