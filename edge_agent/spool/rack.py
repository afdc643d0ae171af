"""One lane's segments on disk: found at a start, written, read, thinned, let go.

Synchronous: every call is made on the spool's worker, one at a time; `stock` has the figures for the loop.

    start       names and sizes only; but for the first KiB of the newest and of the oldest segment, for their ages.
                Of a segment and its thinned form the wider holds, by the names alone; the other file goes. Blocks that
                a life that was killed had set aside for its newest segment are given back
    read        `lender` says how, and what happens to bytes that are bad and to a disk that fails
    settle      a segment whose numbers are all settled is unlinked; nothing is synced for it
    thin        `thinner` makes the file; it is put in place whole, under its own name, before the other goes. What is
                written after that is of another generation
    gone        before each write it is seen whether the folder and the open file still have their names. If not, the
                folder is made again and locked anew, and the numbers of files that went are noted as damaged

Whoever reads these segments next may find settled frames again, and the bytes of a failed write twice: both are sent
again and settled again.
"""

import errno
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, Identity, LaneName
from edge_agent.model.ports import Clock, Disk
from edge_agent.model.ranges import Ranges, difference, holds, ranges_of, union
from edge_agent.spool.ages import Ages
from edge_agent.spool.drawer import Drawer
from edge_agent.spool.home import Home
from edge_agent.spool.lender import Lender
from edge_agent.spool.mender import Mender
from edge_agent.spool.reader import frames_at
from edge_agent.spool.segment import (
    MOST_BYTES,
    PROBE,
    SEGMENT_BYTES,
    Name,
    Opening,
    Segment,
    is_unfinished,
    next_generation,
    outdated,
    parse_name,
    successors,
)
from edge_agent.spool.stock import Stock
from edge_agent.spool.thinner import WINDOWS, Thinner
from edge_agent.spool.writer import Writer
from edge_agent.wire.frame import encoded_size
from edge_agent.wire.thins import Thins

_PROBE_BYTES = 4096
_SPENT_BYTES = SEGMENT_BYTES // 4
"""A settled open segment of this size is let go, so that little comes back after a crash."""


class Rack:
    """The segments of one lane, oldest first."""

    def __init__(
        self, lane: LaneName, home: Home, device: str, disk: Disk, clock: Clock, quarantine: Drawer, most_bytes: int
    ) -> None:
        self.folder = home.folder / lane
        """Where the segments are."""
        self.ages = Ages(disk, clock)
        self._lane: LaneName = lane
        self._home = home
        self._device = device
        self._disk = disk
        self._clock = clock
        self.segment_bytes = min(SEGMENT_BYTES, most_bytes // 8)
        """Of a segment at most, unless one frame is larger."""
        self._writer = Writer(disk, self.folder, self._opening, self.segment_bytes)
        self.stock = Stock(lane, disk, self._writer)
        self.lender = Lender(lane, self.stock, device, disk, clock, quarantine)
        self.mender = Mender(disk, device, clock, self.ages, self.stock, self.lender, quarantine)
        self._thinner = Thinner(disk, self.folder, self.stock, self.lender)
        self._first = 0
        self._found = False
        self._entered = False
        self._gone = False
        self._left_open: list[Segment] = []
        self._beaten = list[Path]()

    @property
    def generation(self) -> int:
        """The generation of this life."""
        return self._writer.generation

    def recover(self) -> None:
        """Find what earlier lives left; OSError when the folder cannot be read."""
        if self._found:
            return
        try:
            entries = self._disk.entries(self.folder)
        except NotADirectoryError:
            return  # whoever enters puts it aside, or waits until it goes
        sizes: dict[Name, int] = {}
        files: dict[Name, str] = {}
        for entry in entries:
            name = parse_name(entry.name)
            if name is not None and entry.size is not None and entry.size <= MOST_BYTES:
                sizes[name], files[name] = entry.size, entry.name
            elif entry.size is not None and is_unfinished(entry.name):
                self.stock.doomed.append(self.folder / entry.name)
        beaten = outdated(sizes)
        self._beaten = [self.folder / files[name] for name in sorted(beaten)]
        segments = [
            Segment(name, self.folder / files[name], sizes[name], name.end) for name in sorted(sizes.keys() - beaten)
        ]
        following = successors(segments)
        for segment in segments:
            segment.end = segment.name.after or following.get(segment.name, segment.end)
        self.stock.segments = segments
        largest = max((name.generation for name in sizes), default=0)
        last = {segment.name.epoch: segment for segment in segments if segment.name.generation == largest}
        self._left_open = [segment for segment in last.values() if not segment.name.window]
        self._writer.generation = next_generation(largest)
        self._first = self._writer.generation
        self._found = True
        self.ages.recall(segments)
        self._date_oldest()

    def enter(self) -> None:
        """Be ready to write, before each; OSError when the disk does not let us."""
        self._gone = self._gone or (self._entered and not self._writer.stands())
        if self._gone:
            self._entered = False
            self._home.leave()
        if not self._entered:
            self._home.enter()
            self._home.make_folder(self.folder)
            self.recover()
            if self._gone:
                self._miss_what_went()
            self._give_back()
            self._drop_beaten()
            self.stock.sweep()
            self._entered, self._gone = True, False

    def write(self, frames: Sequence[Frame]) -> None:
        """Keep frames of one epoch with rising numbers, synced; OSError when two segments did not take them."""
        try:
            self._write(frames)
        except OSError:
            self._gone = self._gone or not self._writer.stands()
            self._entered = False
            self._write(frames)

    def probe(self) -> None:
        """Find out whether the disk takes anything; OSError when it does not."""
        self.enter()
        self._disk.replace(self.folder / PROBE, bytes(_PROBE_BYTES))
        self._disk.unlink(self.folder / PROBE)

    def oldest(self, most_bytes: int, most_frames: int) -> tuple[list[Frame], bool]:
        """The oldest unsettled frames in order, at least one if any can be read; and whether there are more."""
        frames: list[Frame] = []
        room = most_bytes
        for segment in tuple(self.stock.segments):
            if segment.held == () or segment.asleep_until > self._clock.now():
                continue
            lent, full = self.lender.lend(segment, room, most_frames - len(frames), at_least_one=not frames)
            frames += lent
            room -= sum(encoded_size(frame) for frame in lent)
            if full:
                return frames, True
        return frames, False

    def fetch(self, identity: Identity) -> Frame | None:
        """One unsettled frame; None when it is not here, or cannot be read."""
        segment = self.stock.holder(identity)
        if segment is None:
            return None
        with suppress(OSError, Malformed):
            here = [place for place in self.lender.placed(segment) if place.seq == identity.seq]
            return frames_at(self._disk, segment.path, here)[0] if here else None
        return None

    def numbers_of(self, identity: Identity) -> tuple[int, Ranges]:
        """What a frame stands for: an epoch, and the numbers of it that are unsettled."""
        segment = self.stock.holder(identity)
        if segment is None:
            return identity.epoch, ((identity.seq, identity.seq + 1),)
        numbers = segment.numbers_of(identity.seq)
        return segment.name.epoch, difference(numbers, difference(numbers, segment.claim))

    def keeps(self, identity: Identity) -> bool:
        """Whether no other copy is wanted: this life wrote and synced this frame, or a thinned one stands for it.

        Those were synced before they got their names, and stand for all of a batch; what comes again may be torn.
        """
        kin = self.stock.kin(identity.epoch)
        for segment in kin:
            if segment.held is None and segment.name.first <= identity.seq:
                self.lender.look(segment)
        keepers = [segment for segment in kin if segment.name.window or self._ours(segment)]
        return any(holds(segment.held or (), identity.seq) for segment in keepers)

    def wholest(self, frame: Frame) -> Frame:
        """This frame as an earlier life stored it, if one did: an open batch's file on a disk may come back torn."""
        return self.fetch(frame.identity) or frame

    def supersede(self, identity: Identity) -> None:
        """This life wrote the frame: what an earlier life has of it, perhaps never synced, is not lent beside it."""
        for segment in self.stock.kin(identity.epoch):
            if segment.held is None and segment.name.first <= identity.seq:
                self.lender.look(segment)
            if segment.held and not self._ours(segment):
                segment.held = difference(segment.held, ranges_of((identity.seq,)))
        self._release()

    def settle(self, identities: Iterable[Identity]) -> None:
        """Let these go, and the files in which nothing else is left."""
        self.stock.settle(identities)
        opened = self._writer.segment
        if opened is not None and opened.held == () and opened.size >= _SPENT_BYTES:
            self._writer.close()
        self._release()

    def claim(self, segment: Segment) -> Ranges:
        """The numbers that go when this segment goes. It is closed if it is open, and read if it never was."""
        if segment is self._writer.segment:
            self._writer.close()
        if segment.held is None:
            self.lender.look(segment)
        return segment.claim

    def drop(self, segments: Iterable[Segment]) -> None:
        """Remove these files, settled or not."""
        for segment in segments:
            self.stock.remove(segment)
        self.stock.sweep()
        self._date_oldest()

    def thin(self, among: Sequence[Segment], widest: int = WINDOWS[-1]) -> int:
        """Thin one of these, as `Thinner.thin` says; nothing in a lane that is not telemetry."""
        freed = self._thinner.thin(among, widest) if self._lane == "telemetry" else 0
        if freed:
            # A frame that comes once more must not begin a segment that the thinned one would beat by its name.
            self._writer.generation = next_generation(self.generation)
        return freed

    def keep_stand_in(self, frame: Frame, said: Thins) -> None:
        """Keep a thinned frame that comes from outside, as a segment of its own; OSError when the disk refuses it."""
        self.enter()
        for segment in self.stock.kin(said.epoch):
            if segment.held is None:
                self.lender.look(segment)  # its name may tell of numbers that are not in it
        kin = self.stock.kin(said.epoch)
        held = difference(said.ranges, union(*(segment.held or () for segment in kin)))
        if not held:
            return
        first, after = said.ranges[0][0], said.ranges[-1][1]
        self._writer.generation = next_generation(self.generation)
        name = Name(self.generation, first, said.epoch, after, said.window)
        if any(segment.name[:2] == name[:2] for segment in kin):
            raise FileExistsError(errno.EEXIST, "no generation is left", name.file)
        kept = self._thinner.put(name, self._opening(), [(frame, said.ranges)], MOST_BYTES)
        if kept is None:
            raise OSError(errno.EFBIG, "a stand-in larger than any segment", name.file)
        # As after thinning: nothing begins under a name that this one would beat.
        self._writer.generation = next_generation(self.generation)
        kept.held = held
        self.stock.segments.append(kept)

    def close(self) -> None:
        """Close what is open; what is settled goes."""
        self._writer.close()
        self._release()

    def oldest_at(self) -> int | None:
        """When the first segment was made, in axis ms of this boot (negative: before it)."""
        first = next(iter(self.stock.segments), None)
        return None if first is None else self.ages.on_axis(first)

    # Inside.

    def _write(self, frames: Sequence[Frame]) -> None:
        if not self._entered:
            self.enter()
        segment = self._writer.write(frames)
        if segment not in self.stock.segments:
            self.stock.segments.append(segment)

    def _miss_what_went(self) -> None:
        names = {entry.name for entry in self._disk.entries(self.folder)}
        for segment in tuple(self.stock.segments):
            if segment.path.name not in names:
                self.stock.miss(segment)

    def _drop_beaten(self) -> None:
        """Remove what thinned files stand for, once their names are durable: their life may have ended first."""
        if self._beaten:
            self._disk.sync_folder(self.folder)
            self.stock.doomed += self._beaten
            self._beaten = []

    def _give_back(self) -> None:
        """Cut what an earlier life left open to its size: blocks that were set aside for it go back to the disk."""
        left, self._left_open = self._left_open, []
        for segment in left:
            with suppress(OSError):
                file = self._disk.lock(segment.path)  # the one way to open a file that is there
                if file is not None:
                    file.close(segment.size)

    def _opening(self) -> Opening:
        return Opening(self._device, self._clock.axis, self.ages.now(), self._clock.now())

    def _date_oldest(self) -> None:
        """Know the age of the first segment, for whoever asks without touching the disk."""
        if self.stock.segments:
            self.ages.born(self.stock.segments[0])

    def _ours(self, segment: Segment) -> bool:
        return segment.name.generation >= self._first

    def _release(self) -> None:
        self.stock.release()
        self._date_oldest()
