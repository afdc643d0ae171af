"""What is remembered of one lane's segments, oldest first, and the figures that are made of it.

Changed on the spool's worker only. The loop may ask for the figures at any time: what they are made of is replaced as a
whole, never changed in place.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from edge_agent.model.frame import Identity, LaneName, Loss
from edge_agent.model.ports import Disk
from edge_agent.model.ranges import Ranges, difference, ranges_of, union
from edge_agent.spool.places import Places
from edge_agent.spool.segment import Segment
from edge_agent.spool.writer import Writer


class Stock:
    """The segments of one lane; a file that is to go is unlinked here."""

    def __init__(self, lane: LaneName, disk: Disk, writer: Writer) -> None:
        self.segments: list[Segment] = []
        self.losses: list[Loss] = []
        """What reading found lost; whoever declares it empties the list."""
        self.doomed = list[Path]()
        """Files to unlink, tried again at each sweep."""
        self.places = Places()
        self._lane: LaneName = lane
        self._disk = disk
        self._writer = writer

    # Figures, for the loop.

    def frames(self) -> int:
        """Frames held; of segments not read yet, as many as their names tell, at least one each."""
        return sum(segment.frames for segment in tuple(self.segments))

    def bytes_held(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in tuple(self.segments))

    def readable(self, now: int) -> bool:
        """Whether something may be found at this axis time."""
        return any(segment.held != () and segment.asleep_until <= now for segment in tuple(self.segments))

    def unreadable(self) -> int:
        """How many segments the disk did not give when they were read last."""
        return sum(segment.failures > 0 for segment in tuple(self.segments))

    def next_look(self) -> int | None:
        """When (axis ms) a segment that is left alone is read again; None when none is."""
        return min((segment.asleep_until for segment in tuple(self.segments) if segment.held != ()), default=None)

    # For the worker.

    def kin(self, epoch: int) -> list[Segment]:
        """The segments that stand for numbers of this epoch."""
        return [segment for segment in self.segments if segment.name.epoch == epoch]

    def holder(self, identity: Identity) -> Segment | None:
        """The segment in which a frame of this identity has something unsettled; None when none was read that has."""
        for segment in tuple(self.segments):
            if segment.written_under == identity.epoch and segment.owes(identity.seq):
                return segment
        return None

    def settle(self, identities: Iterable[Identity]) -> None:
        """Let these frames go, and the numbers that they stand for."""
        numbers: dict[int, list[int]] = {}
        for epoch, seq in identities:
            numbers.setdefault(epoch, []).append(seq)
        gone = {epoch: ranges_of(seqs) for epoch, seqs in numbers.items()}
        for segment in self.segments:
            segment.settle(gone)

    def elsewhere(self, segment: Segment) -> Ranges:
        """The numbers that others of its epoch are known to hold."""
        return union(*(other.held or () for other in self.kin(segment.name.epoch) if other is not segment))

    def is_open(self, segment: Segment) -> bool:
        """Whether it is the one that is being written."""
        return segment is self._writer.segment

    def exchange(self, segment: Segment, thinned: Segment) -> None:
        """Put a thinned segment in the place of another, whose file goes."""
        position = self.segments.index(segment)
        self.places.forget(segment)
        self.segments[position] = thinned
        self.doomed.append(segment.path)
        self.sweep()

    def lose(self, segment: Segment, numbers: Ranges) -> None:
        """Note numbers as damaged."""
        if numbers:
            self.losses.append(Loss(self._lane, segment.name.epoch, numbers, "damaged"))

    def miss(self, segment: Segment) -> None:
        """A file went, and what no other file has with it."""
        self.forget(segment)
        self.lose(segment, difference(segment.claim, self.elsewhere(segment)))
        segment.held, segment.kept = (), ""

    def release(self) -> None:
        """Remove what is settled, but for the open segment."""
        for segment in tuple(self.segments):
            if segment.held == () and not segment.kept and segment is not self._writer.segment:
                self.remove(segment)
        self.sweep()

    def remove(self, segment: Segment) -> None:
        """A segment goes, and its file with the next sweep."""
        self.forget(segment)
        self.doomed.append(segment.path)

    def forget(self, segment: Segment) -> None:
        """Know nothing of a segment any more; closed if it is open."""
        if segment is self._writer.segment:
            self._writer.close()
        self.places.forget(segment)
        with suppress(ValueError):
            self.segments.remove(segment)

    def sweep(self) -> None:
        """Unlink what is to go; what the disk does not let go is tried again the next time."""
        doomed, self.doomed = self.doomed, []
        for path in doomed:
            try:
                self._disk.unlink(path)
            except OSError:  # noqa: PERF203 - each by itself, or one would hold up the rest
                self.doomed.append(path)  # a disk that keeps it now may let it go later
