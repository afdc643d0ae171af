"""One lane's segments on disk: found at a start, written, read, let go.

Synchronous: every call is made on the spool's worker, one at a time. The loop may ask for the figures at any time: what
they are made of is replaced as a whole, never changed in place.

    start       names and sizes only; but for the first KiB of the newest and of the oldest segment, for their ages
    read        a segment's bytes are scanned when they are first wanted; afterwards only its ranges of unsettled
                numbers are remembered, and where the frames of the segments read last stand (`places`)
    settle      a segment whose numbers are all settled is unlinked; nothing is synced for it
    bad bytes   numbers that damage took are noted in `losses`; a file without a single frame goes to quarantine; one
                with frames of a later version, or of another device, stays where it is, unsent
    a failing   reading goes on around blocks that the disk cannot give; a segment that it cannot give at all is left
    disk        alone for a minute, then for two, four, eight; when it fails the fifth time it goes to quarantine
                and its numbers are noted as damaged, if the disk moves it: a disk that does nothing at all costs none
    gone        before each write it is seen whether the folder and the open file still have their names. If not, the
                folder is made again and locked anew, and the numbers of files that went are noted as damaged

Whoever reads these segments next may find settled frames again, and the bytes of a failed write twice: both are sent
again and settled again.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, Identity, LaneName, Loss
from edge_agent.model.ports import Clock, Disk
from edge_agent.model.ranges import Ranges, difference, holds, ranges_of, total, union
from edge_agent.spool.ages import Ages
from edge_agent.spool.drawer import Drawer
from edge_agent.spool.home import Home
from edge_agent.spool.places import Places
from edge_agent.spool.reader import frames_at, read_around
from edge_agent.spool.scan import Place, scan
from edge_agent.spool.segment import (
    MOST_BYTES,
    SEGMENT_BYTES,
    Name,
    Opening,
    Segment,
    next_generation,
    parse_name,
    read_opening,
    successors,
)
from edge_agent.spool.writer import Writer
from edge_agent.wire.frame import encoded_size

_PROBE_BYTES = 4096
_SLEEP_MS = 60_000
_MOST_FAILURES = 5
_SPENT_BYTES = SEGMENT_BYTES // 4
"""A settled open segment of this size is let go, so that little comes back after a crash."""


class Rack:
    """The segments of one lane, oldest first."""

    def __init__(
        self, lane: LaneName, home: Home, device: str, disk: Disk, clock: Clock, quarantine: Drawer, most_bytes: int
    ) -> None:
        self.segments: list[Segment] = []
        self.losses: list[Loss] = []
        """What reading found lost; whoever declares it empties the list."""
        self.ages = Ages(disk, clock)
        self._lane: LaneName = lane
        self._home = home
        self._folder = home.folder / lane
        self._device = device
        self._disk = disk
        self._clock = clock
        self._quarantine = quarantine
        self._writer = Writer(disk, self._folder, self._opening, min(SEGMENT_BYTES, most_bytes // 8))
        self._first = 0
        self._found = False
        self._entered = False
        self._gone = False
        self._doomed: list[Path] = []
        self._places = Places()

    @property
    def folder(self) -> Path:
        """Where the segments are."""
        return self._folder

    @property
    def generation(self) -> int:
        """The generation of this life."""
        return self._writer.generation

    def recover(self) -> None:
        """Find what earlier lives left; OSError when the folder cannot be read."""
        if self._found:
            return
        try:
            entries = self._disk.entries(self._folder)
        except NotADirectoryError:
            return  # whoever enters puts it aside, or waits until it goes
        sizes: dict[Name, int] = {}
        paths: dict[Name, Path] = {}
        for entry in entries:
            name = parse_name(entry.name)
            if name is not None and entry.size is not None and entry.size <= MOST_BYTES:
                sizes[name], paths[name] = entry.size, self._folder / entry.name
        self.segments = [Segment(name, paths[name], sizes[name], name.first + 1) for name in sorted(sizes)]
        following = successors(self.segments)
        for segment in self.segments:
            segment.end = following.get(segment.name, segment.end)
        self._writer.generation = next_generation(max((name.generation for name in sizes), default=0))
        self._first = self._writer.generation
        self._found = True
        self.ages.recall(self.segments)
        self._date_oldest()

    def enter(self) -> None:
        """Be ready to write, before each; OSError when the disk does not let us."""
        self._gone = self._gone or (self._entered and not self._writer.stands())
        if self._gone:
            self._entered = False
            self._home.leave()
        if not self._entered:
            self._home.enter()
            self._home.make_folder(self._folder)
            self.recover()
            if self._gone:
                self._miss_what_went()
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
        self._disk.replace(self._folder / "probe", bytes(_PROBE_BYTES))
        self._disk.unlink(self._folder / "probe")

    def oldest(self, most_bytes: int, most_frames: int) -> tuple[list[Frame], bool]:
        """The oldest unsettled frames in order, at least one if any can be read; and whether there are more."""
        frames: list[Frame] = []
        room = most_bytes
        for segment in tuple(self.segments):
            if segment.held == () or segment.asleep_until > self._clock.now():
                continue
            lent, full = self._lend(segment, room, most_frames - len(frames), at_least_one=not frames)
            frames += lent
            room -= sum(encoded_size(frame) for frame in lent)
            if full:
                return frames, True
        return frames, False

    def frames_in(self, segment: Segment) -> list[Frame]:
        """All unsettled frames of one segment; none when it cannot be read."""
        return self._lend(segment, MOST_BYTES, MOST_BYTES, at_least_one=True)[0]

    def fetch(self, identity: Identity) -> Frame | None:
        """One unsettled frame; None when it is not here, or cannot be read."""
        for segment in tuple(self.segments):
            if segment.name.epoch == identity.epoch and holds(segment.held or (), identity.seq):
                with suppress(OSError, Malformed):
                    here = [place for place in self._placed(segment) if place.seq == identity.seq]
                    return frames_at(self._disk, segment.path, here)[0] if here else None
        return None

    def wrote(self, identity: Identity) -> bool:
        """Whether this frame is here, unsettled, in a segment that this life wrote and synced."""
        return any(self._ours(segment) and holds(segment.held or (), identity.seq) for segment in self._kin(identity))

    def supersede(self, identity: Identity) -> None:
        """This life wrote the frame: what an earlier life has of it, perhaps never synced, is not lent beside it."""
        for segment in self._kin(identity):
            if segment.held is None and segment.name.first <= identity.seq:
                self._look(segment)
            if segment.held and not self._ours(segment):
                segment.held = difference(segment.held, ranges_of((identity.seq,)))
        self._release()

    def settle(self, identities: Iterable[Identity]) -> None:
        """Let these go, and the files in which nothing else is left."""
        numbers: dict[int, list[int]] = {}
        for epoch, seq in identities:
            numbers.setdefault(epoch, []).append(seq)
        gone = {epoch: ranges_of(seqs) for epoch, seqs in numbers.items()}
        for segment in self.segments:
            if segment.held and segment.name.epoch in gone:
                segment.held = difference(segment.held, gone[segment.name.epoch])
        opened = self._writer.segment
        if opened is not None and opened.held == () and opened.size >= _SPENT_BYTES:
            self._writer.close()
        self._release()

    def claim(self, segment: Segment) -> Ranges:
        """The numbers that go when this segment goes. It is closed if it is open, and read if it never was."""
        if segment is self._writer.segment:
            self._writer.close()
        if segment.held is None:
            self._look(segment)
        return segment.claim

    def drop(self, segments: Iterable[Segment]) -> None:
        """Remove these files, settled or not."""
        for segment in segments:
            self._remove(segment)
        self._sweep()
        self._date_oldest()

    def close(self) -> None:
        """Close what is open; what is settled goes."""
        self._writer.close()
        self._release()

    # Figures, for the loop.

    def frames(self) -> int:
        """Frames held; of segments not read yet, as many as their names tell, at least one each."""
        held = [(segment.held, segment.end - segment.name.first) for segment in tuple(self.segments)]
        return sum(unread if numbers is None else total(numbers) for numbers, unread in held)

    def oldest_at(self) -> int | None:
        """When the first segment was made, in axis ms of this boot (negative: before it)."""
        first = next(iter(self.segments), None)
        return None if first is None else self.ages.on_axis(first)

    def bytes_held(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in tuple(self.segments))

    def readable(self) -> bool:
        """Whether `oldest` may find something now."""
        now = self._clock.now()
        return any(segment.held != () and segment.asleep_until <= now for segment in tuple(self.segments))

    def unreadable(self) -> int:
        """How many segments the disk did not give when they were read last."""
        return sum(segment.failures > 0 for segment in tuple(self.segments))

    def next_look(self) -> int | None:
        """When (axis ms) a segment that is left alone is read again; None when none is."""
        return min((segment.asleep_until for segment in tuple(self.segments) if segment.held != ()), default=None)

    # Inside.

    def _write(self, frames: Sequence[Frame]) -> None:
        if not self._entered:
            self.enter()
        segment = self._writer.write(frames)
        if not self.segments or self.segments[-1] is not segment:
            self.segments.append(segment)

    def _miss_what_went(self) -> None:
        names = {entry.name for entry in self._disk.entries(self._folder)}
        for segment in tuple(self.segments):
            if segment.path.name not in names:
                self._miss(segment)

    def _miss(self, segment: Segment) -> None:
        """A file went, and what no other file has with it."""
        self._forget(segment)
        elsewhere = union(*(other.held or () for other in self.segments if other.name.epoch == segment.name.epoch))
        self._lose(segment, difference(segment.claim, elsewhere))
        segment.held, segment.kept = (), ""

    def _opening(self) -> Opening:
        return Opening(self._device, self._clock.axis, self.ages.now(), self._clock.now())

    def _date_oldest(self) -> None:
        """Know the age of the first segment, for whoever asks without touching the disk."""
        if self.segments:
            self.ages.born(self.segments[0])

    def _kin(self, identity: Identity) -> list[Segment]:
        return [segment for segment in self.segments if segment.name.epoch == identity.epoch]

    def _ours(self, segment: Segment) -> bool:
        return segment.name.generation >= self._first

    def _lend(self, segment: Segment, room: int, slots: int, *, at_least_one: bool) -> tuple[list[Frame], bool]:
        """Frames of one segment that fit, and whether the next would not."""
        for _ in range(2):
            chosen: list[Place] = []
            left, full = room, False
            for place in self._placed(segment):
                full = (place.size > left or len(chosen) >= slots) and not (at_least_one and not chosen)
                if full:
                    break
                chosen.append(place)
                left -= place.size
            try:
                frames = frames_at(self._disk, segment.path, chosen)
            except (OSError, Malformed):
                self._places.forget(segment)  # it was damaged after it was scanned
            else:
                if frames:
                    segment.failures = 0
                return frames, full
        self._leave(segment)
        return [], False

    def _placed(self, segment: Segment) -> tuple[Place, ...]:
        """Where the unsettled frames of a segment stand."""
        known = self._places.find(segment)
        if known is not None:
            return known
        places = self._look(segment)
        return () if places is None else self._places.keep(segment, places)

    def _look(self, segment: Segment) -> tuple[Place, ...] | None:
        """Scan a segment as the disk has it now, and note what is found; None when it cannot be read."""
        try:
            data = read_around(self._disk, segment.path, segment.size)
        except FileNotFoundError:
            self._miss(segment)
            return None
        except OSError:
            self._leave(segment)
            return None
        kin = [other for other in self.segments if other.name.epoch == segment.name.epoch and other is not segment]
        until = min((other.name.first for other in kin if other.name.first > segment.name.first), default=None)
        found = scan(data, segment.name.epoch, segment.name.first, until)
        opening = read_opening(found.opening)
        if opening is not None and opening.device != self._device:
            segment.kept, segment.held = "device", ()
            return None
        if found.unknown:
            segment.kept = "version"
        if segment.held is None:
            elsewhere = union(*(other.held or () for other in kin))
            lost = difference(found.lost, elsewhere)
            segment.held = difference(found.numbers, elsewhere)
        else:
            lost = difference(segment.held, found.numbers)
            segment.held = difference(segment.held, lost)
        segment.end = max(found.end, until or 0, segment.name.first)
        self._lose(segment, lost)
        if not found.places and not segment.kept:
            self._shelve(segment, blank=found.blank)
        return found.places

    def _leave(self, segment: Segment) -> None:
        """Leave a segment alone that the disk did not give; to quarantine with it when that goes on."""
        segment.failures += 1
        if segment.failures >= _MOST_FAILURES and self._put_away(segment):
            self._miss(segment)
        pause = _SLEEP_MS << min(segment.failures, _MOST_FAILURES) - 1
        segment.asleep_until = self._clock.now() + pause

    def _put_away(self, segment: Segment) -> bool:
        name = f"{segment.name.generation:08d}-{self._lane}-{segment.name.file}"
        return self._quarantine.take(segment.path, name)

    def _lose(self, segment: Segment, numbers: Ranges) -> None:
        if numbers:
            self.losses.append(Loss(self._lane, segment.name.epoch, numbers, "damaged"))

    def _shelve(self, segment: Segment, *, blank: bool) -> None:
        """A file without a frame: away with it when it is blank, else to the quarantine."""
        self._forget(segment)
        if blank:
            self._doomed.append(segment.path)
            self._sweep()
        else:
            self._put_away(segment)

    def _release(self) -> None:
        opened = self._writer.segment
        for segment in tuple(self.segments):
            if segment.held == () and not segment.kept and segment is not opened:
                self._remove(segment)
        self._sweep()
        self._date_oldest()

    def _remove(self, segment: Segment) -> None:
        self._forget(segment)
        self._doomed.append(segment.path)

    def _forget(self, segment: Segment) -> None:
        if segment is self._writer.segment:
            self._writer.close()
        self._places.forget(segment)
        with suppress(ValueError):
            self.segments.remove(segment)

    def _sweep(self) -> None:
        """Unlink what is to go; what the disk does not let go is tried again the next time."""
        doomed, self._doomed = self._doomed, []
        for path in doomed:
            try:
                self._disk.unlink(path)
            except OSError:  # noqa: PERF203 - each by itself, or one would hold up the rest
                self._doomed.append(path)  # a disk that keeps it now may let it go later
