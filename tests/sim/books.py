"""Books: what a hub's tables, and a device's files, hold of the numbers of one device, whatever their owners say.

`HubBooks` reads the stored frames themselves, not the marks and sums that the hub keeps about them: which payload
stands under which number, which numbers a thinned frame stands for, which numbers a report calls lost, and which
instants of the wave are in the batches. `read` goes on where the last one ended. `DeviceBooks` reads every file of a
spool, frames wherever they stand.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import orjson

from edge_agent.model.frame import LANES, Frame, FrameKind, Identity
from edge_agent.model.ranges import Ranges, holds, union
from edge_agent.wire.batch import parse, unzip
from tests.sim.disk import MemoryDisk
from tests.sim.wave import NAME
from tests.sim.witness import frames_in

MOST_BODY = 64 * 2**20
_NEW = """
SELECT frame.id, epoch, seq, kind, payload FROM frame JOIN payload ON payload.frame = frame.id
WHERE frame.id > ? AND sender = (SELECT id FROM sender WHERE device = ?) ORDER BY frame.id
"""


class Claim(NamedTuple):
    """Numbers of an epoch that a frame speaks of: it stands for them, or says that they are lost."""

    kind: Literal["thinned", "lost"]
    epoch: int
    ranges: Ranges


def claims_of(frame: Frame) -> list[Claim]:
    """What a frame says of other numbers than its own."""
    if frame.kind == FrameKind.THINNED:
        said = orjson.loads(unzip(frame.payload, MOST_BODY))["thins"]
        return [Claim("thinned", int(said["epoch"], 16), pairs(said["ranges"]))]
    if frame.kind == FrameKind.REPORTS:
        records = orjson.loads(unzip(frame.payload, MOST_BODY))["records"]
        losses = [record for record in records if record.get("type") == "loss"]
        return [Claim("lost", int(loss["epoch"], 16), pairs(loss["ranges"])) for loss in losses]
    return []


class Claims:
    """What many frames say of other numbers, by epoch."""

    def __init__(self) -> None:
        self.thinned: dict[int, Ranges] = {}
        self.lost: dict[int, Ranges] = {}

    def take(self, claims: Iterable[Claim]) -> None:
        """Join these."""
        for kind, epoch, ranges in claims:
            known = self.thinned if kind == "thinned" else self.lost
            known[epoch] = union(known.get(epoch, ()), ranges)

    def cover(self, identity: Identity) -> bool:
        """Whether this number is thinned or lost."""
        epoch, seq = identity
        return holds(self.thinned.get(epoch, ()), seq) or holds(self.lost.get(epoch, ()), seq)


class HubBooks:
    """What a hub stores of one device."""

    def __init__(self, device: str) -> None:
        self._device, self._read = device, 0
        self.stored: dict[Identity, bytes] = {}
        """Every stored frame that is not thinned: its payload."""
        self.payloads: set[bytes] = set()
        self.claims = Claims()
        self.instants: Counter[tuple[str, int]] = Counter()
        """How often each instant (axis and ms) of the wave is stored in full."""
        self.own: dict[Identity, set[int]] = {}
        """The instants of the wave by frame."""

    def read(self, connection: sqlite3.Connection) -> None:
        """Take in what is new."""
        for row, epoch, seq, kind, payload in connection.execute(_NEW, (self._read, self._device)).fetchall():
            self._read = row
            self._take(Frame(kind, Identity(epoch, seq), 0, payload))

    def _take(self, frame: Frame) -> None:
        self.claims.take(claims_of(frame))
        if frame.kind == FrameKind.THINNED:
            return
        self.stored[frame.identity] = frame.payload
        self.payloads.add(frame.payload)
        if frame.kind != FrameKind.TELEMETRY:
            return
        batch = parse(unzip(frame.payload, MOST_BODY))
        instants = [at for track in batch.tracks if track.collector == NAME for at in track.instants]
        self.instants.update((batch.axis, at) for at in instants)
        self.own[frame.identity] = set(instants)


class DeviceBooks:
    """What the files below one spool hold, as they are at each `read`."""

    def __init__(self) -> None:
        self.payloads: set[bytes] = set()
        self.claims = Claims()
        self.bytes: Counter[str] = Counter()
        """Sizes of the segments by lane."""
        self.dead: list[str] = []
        """The names of dead letters."""
        self._known: dict[Path, _Read] = {}

    def read(self, disk: MemoryDisk, spool: Path) -> None:
        """Look at everything again."""
        self.payloads, self.claims, self.dead = set(), Claims(), []
        self.bytes.clear()
        before, self._known = self._known, {}
        with suppress(FileNotFoundError):
            for path in disk.paths(spool):
                data, known = disk.content(path), before.get(path)
                self._known[path] = known if known is not None and known.data == data else _Read.of(data)
        for path, read in self._known.items():
            self.claims.take(read.claims)
            if path.parent.name == "dead":
                self.dead.append(path.name)
            elif path.parent.name in LANES:
                self.bytes[path.parent.name] += len(read.data)
                self.payloads |= read.payloads


class _Read(NamedTuple):
    """One file: its bytes, the payloads of the frames in it, and what they say of others."""

    data: bytes
    payloads: set[bytes]
    claims: list[Claim]

    @classmethod
    def of(cls, data: bytes) -> "_Read":
        frames = list(frames_in(data))
        return cls(data, {frame.payload for frame in frames}, [one for frame in frames for one in claims_of(frame)])


def pairs(written: Iterable[Iterable[int]]) -> Ranges:
    """Ranges as JSON has them, as values."""
    return union((first, after) for first, after in written)
