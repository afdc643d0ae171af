"""Reads the segments of one lane and lends their frames.

read        a segment's bytes are scanned when they are first wanted; afterwards only its ranges of unsettled
            numbers are remembered, and where the frames of the segments read last stand (`places`)
bad bytes   numbers that damage took are noted in the stock's `losses`; a file without a single frame goes to
            quarantine; one with frames of a later version, or of another device, stays where it is, unsent, until
            the quota needs its place: then it goes in its turn, and another device's is no loss of ours
thinned     each frame's payload names the numbers that it stands for. Where bytes are bad, all numbers of the
            file's name that no frame here and no other file has are noted: settled ones among them are stored at
            the hub, which counts first
a failing   reading goes on around blocks that the disk cannot give; a segment that it cannot give at all is left
disk        alone for a minute, then for two, four, eight; when it fails the fifth time it goes to quarantine
            and its numbers are noted as damaged, if the disk moves it: a disk that does nothing at all costs none
"""

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, LaneName
from edge_agent.model.ports import Clock, Disk
from edge_agent.model.ranges import difference, union
from edge_agent.spool.drawer import Drawer
from edge_agent.spool.reader import frames_at, read_around
from edge_agent.spool.scan import Place, Scan, scan
from edge_agent.spool.segment import MOST_BYTES, Segment, read_opening
from edge_agent.spool.stock import Stock
from edge_agent.spool.thins import stood_for

_SLEEP_MS = 60_000
_MOST_FAILURES = 5


class Lender:
    """Lends what a stock holds; `device` is whose frames are sent."""

    def __init__(self, lane: LaneName, stock: Stock, device: str, disk: Disk, clock: Clock, quarantine: Drawer) -> None:
        self._lane: LaneName = lane
        self._stock = stock
        self._device = device
        self._disk = disk
        self._clock = clock
        self._quarantine = quarantine

    def lend(self, segment: Segment, room: int, slots: int, *, at_least_one: bool) -> tuple[list[Frame], bool]:
        """Frames of one segment that fit, and whether the next would not."""
        for _ in range(2):
            chosen: list[Place] = []
            left, full = room, False
            for place in self.placed(segment):
                full = (place.size > left or len(chosen) >= slots) and not (at_least_one and not chosen)
                if full:
                    break
                chosen.append(place)
                left -= place.size
            try:
                frames = frames_at(self._disk, segment.path, chosen)
            except (OSError, Malformed):
                self._stock.places.forget(segment)  # it was damaged after it was scanned
            else:
                if frames:
                    segment.failures = 0
                return frames, full
        self._leave(segment)
        return [], False

    def all_of(self, segment: Segment) -> list[Frame]:
        """All unsettled frames of one segment; none when it cannot be read."""
        return self.lend(segment, MOST_BYTES, MOST_BYTES, at_least_one=True)[0]

    def placed(self, segment: Segment) -> tuple[Place, ...]:
        """Where the unsettled frames of a segment stand."""
        known = self._stock.places.find(segment)
        if known is not None:
            return known
        places = self.look(segment)
        return () if places is None else self._stock.places.keep(segment, places)

    def look(self, segment: Segment) -> tuple[Place, ...] | None:
        """Scan a segment as the disk has it now, and note what is found; None when it cannot be read."""
        try:
            data = read_around(self._disk, segment.path, segment.size)
        except FileNotFoundError:
            self._stock.miss(segment)
            return None
        except OSError:
            self._leave(segment)
            return None
        kin = [other.name.first for other in self._stock.kin(segment.name.epoch) if other is not segment]
        until = min((first for first in kin if first > segment.name.first), default=None)
        found = scan(data, segment.written_under, segment.name.first, until)
        opening = read_opening(found.opening)
        if opening is not None and opening.device != self._device:
            segment.kept, segment.held = "device", ()
            return None
        if found.unknown:
            segment.kept = "version"
        self._note(segment, found, data, until)
        if not found.places and not segment.kept:
            self._shelve(segment, blank=found.blank)
        return found.places

    def _note(self, segment: Segment, found: Scan, data: bytes, until: int | None) -> None:
        """What a segment holds now, and what it lost."""
        if segment.name.window:
            segment.stands, lost = stood_for(segment.name, data, found)
            numbers = union(*segment.stands.values())
        else:
            numbers, lost = found.numbers, found.lost
            segment.end = max(found.end, until or 0, segment.name.first)
        if segment.held is None:
            if lost:
                segment.held = numbers  # what is looked at now must not look back
                self._look_at_kin(segment)
            elsewhere = self._stock.elsewhere(segment)
            lost = difference(lost, elsewhere)
            segment.held = difference(numbers, elsewhere)
        else:
            lost = difference(segment.held, numbers)
            segment.held = difference(segment.held, lost)
        self._stock.lose(segment, lost)

    def _look_at_kin(self, segment: Segment) -> None:
        """Read what may have the lost numbers too: a later life wrote them again, or files changed their names."""
        for other in self._stock.kin(segment.name.epoch):
            if other.held is None:
                self.look(other)

    def _leave(self, segment: Segment) -> None:
        """Leave a segment alone that the disk did not give; to quarantine with it when that goes on."""
        segment.failures += 1
        if segment.failures >= _MOST_FAILURES and self._put_away(segment):
            self._stock.miss(segment)
        pause = _SLEEP_MS << min(segment.failures, _MOST_FAILURES) - 1
        segment.asleep_until = self._clock.now() + pause

    def _shelve(self, segment: Segment, *, blank: bool) -> None:
        """A file without a frame: away with it when it is blank, else to the quarantine."""
        self._stock.forget(segment)
        if blank:
            self._stock.doomed.append(segment.path)
            self._stock.sweep()
        else:
            self._put_away(segment)

    def _put_away(self, segment: Segment) -> bool:
        name = f"{segment.name.generation:08d}-{self._lane}-{segment.name.file}"
        return self._quarantine.take(segment.path, name)
