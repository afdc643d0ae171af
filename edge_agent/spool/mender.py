"""The mender: writes a damaged segment anew from its good frames, so that the disk gives it fresh sectors.

By hand only. A running agent needs no repair: it reads around damage and declares what is lost. But the bad sectors
stay under the file until it is delivered, and each life reads around them again.

The file as it was is copied to the quarantine first, for people; then the new one takes its name in one step. A segment
without a good frame is dealt with as it is read (`lender`). One of a later version, or of another device, stays as it
is, and so does one that the disk does not give.
"""

from edge_agent.model.ports import Clock, Disk
from edge_agent.spool.ages import Ages
from edge_agent.spool.drawer import Drawer
from edge_agent.spool.lender import Lender
from edge_agent.spool.reader import read_around
from edge_agent.spool.scan import scan
from edge_agent.spool.segment import Opening, Segment, opening_frame, read_opening
from edge_agent.spool.stock import Stock
from edge_agent.wire.frame import encode


class Mender:
    """Mends segments of one lane; `device` is whose they are."""

    def __init__(
        self, disk: Disk, device: str, clock: Clock, ages: Ages, stock: Stock, lender: Lender, quarantine: Drawer
    ) -> None:
        self._disk = disk
        self._device = device
        self._clock = clock
        self._ages = ages
        self._stock = stock
        self._lender = lender
        self._quarantine = quarantine

    def mend(self, segment: Segment) -> bool:
        """Read a segment, which notes what it lost, and write it anew if it is damaged; whether it was.

        OSError when the disk does not take the new file; the old one stands then.
        """
        frames = self._lender.all_of(segment)
        if not frames or segment.kept or self._stock.is_open(segment):
            return False
        data = read_around(self._disk, segment.path, segment.size)
        found = scan(data, segment.written_under, segment.name.first, None)
        if not found.damage:
            return False
        lane = segment.path.parent.name
        opening = read_opening(found.opening) or Opening(
            self._device, self._clock.axis, self._ages.born(segment), frames[0].sealed_at
        )
        fresh = b"".join(map(encode, (opening_frame(segment.name, opening, lane), *frames)))
        self._quarantine.put(f"{segment.name.generation:08d}-{lane}-{segment.name.file}", data)
        self._disk.replace(segment.path, fresh)
        self._stock.places.forget(segment)
        segment.size = len(fresh)
        return True
