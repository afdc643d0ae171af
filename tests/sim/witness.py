"""The witness: what a device sealed and wrote down, seen at its disk's port and at the line, and told by nobody.

`WatchedDisk` stands between an agent and its disk. A frame counts as sealed when the sync that covered it returned and
its file's name is durable too: from then on it must never be lost in silence. A tick counts as written down when the
append of its line to an open batch returned: from then on only the end of the power may take it, until its batch is
sealed. What a dying life still writes is not looked at: that goes to a disk which nobody finds.

`Witness.heard` looks at every passage of a line and notes which frames the device was told are settled.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from edge_agent.hub.exchange import Reply
from edge_agent.hub.store.likeness import is_part_of
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.http import Request
from edge_agent.model.ports import Disk, Entry, OpenFile, Space
from edge_agent.wire.frame import MAGIC, decode
from tests.sim.line import Passage

_CRC = 9
_MOST_BODY = 16 * 2**20
_OPEN, _SEGMENT = ".open", ".seg"


@dataclass(slots=True)
class Sealed:
    """A sealed frame: the how many-th, when (virtual seconds), its lane, and its payloads.

    One payload, if all is well; torn copies of it do not count, but that there was one is noted.
    """

    order: int
    at: float
    lane: str
    payloads: set[bytes] = field(default_factory=set)
    torn: bool = False

    def take(self, payload: bytes) -> None:
        """Note what was sealed under the number, unless what was noted before has all of it."""
        if not any(is_part_of(payload, known, _MOST_BODY) for known in self.payloads):
            parts = {known for known in self.payloads if is_part_of(known, payload, _MOST_BODY)}
            self.payloads = (self.payloads - parts) | {payload}
        self.torn = self.torn or payload not in self.payloads


Note = Callable[[str, str], None]
"""Told who did what, for people."""


def silent(_who: str, _what: str) -> None:
    """Nobody reads along."""


class Witness:
    """What was sealed, written down, and settled, over all lives of one device id."""

    def __init__(self, note: Note = silent) -> None:
        self.note = note
        self.sealed: dict[Identity, Sealed] = {}
        self.ticks: dict[Identity, set[int]] = {}
        """The instants (axis ms) that were written down, by the number of their batch."""
        self.told: set[Identity] = set()
        """Frames that an answer, which reached the device, called settled."""
        self.rejected: set[tuple[Identity, str]] = set()
        """Of those, the ones called rejected, and the code."""
        self.excused: set[Identity] = set()
        """What the scene itself destroyed."""
        self.open: set[Identity] = set()
        """Numbers that have not been found settled yet."""

    @staticmethod
    def time() -> float:
        """The virtual second that it is."""
        return asyncio.get_running_loop().time()

    def seal(self, frame: Frame, lane: str, by: str) -> None:
        """A frame became durable on a machine."""
        self.note(by, f"sealed {lane} {short(frame.identity)}, {len(frame.payload)} bytes")
        known = self.sealed.get(frame.identity)
        if known is None:
            known = self.sealed[frame.identity] = Sealed(len(self.sealed), self.time(), lane)
        known.take(frame.payload)
        self.open.add(frame.identity)

    def write_down(self, identity: Identity, at: int) -> None:
        """A tick became safe from a kill."""
        self.ticks.setdefault(identity, set()).add(at)

    def forgo(self, identities: Iterable[Identity]) -> None:
        """What was only written down under these numbers is gone with the power."""
        for identity in identities:
            self.ticks.pop(identity, None)

    def unsealed(self) -> set[Identity]:
        """The numbers under which something was written down that was not sealed."""
        return self.ticks.keys() - self.sealed.keys()

    def heard(self, _passage: Passage, request: Request, reply: Reply | None) -> None:
        """What an answer told the device."""
        if reply is None or reply.status != 200 or not request.path.endswith("/telemetry"):
            return
        for identity, status, code in results_of(reply.body):
            self.told.add(identity)
            if status == "rejected":
                self.rejected.add((identity, code))


class WatchedDisk:
    """The port of a disk, with a witness beside it until `blind`."""

    def __init__(self, disk: Disk, witness: Witness, name: str) -> None:
        self._disk, self._name = disk, name
        self._witness: Witness | None = witness
        self._named: set[Path] = set()
        self._waiting: dict[Path, list[Frame]] = {}

    def blind(self) -> None:
        """Look no more."""
        self._witness = None

    def entries(self, folder: Path) -> list[Entry]:
        return self._disk.entries(folder)

    def make_folder(self, folder: Path) -> None:
        self._disk.make_folder(folder)

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        return self._disk.read(path, offset, size)

    def create(self, path: Path, room: int = 0) -> OpenFile:
        file = self._disk.create(path, room)
        if path.suffix == _SEGMENT:
            return _WatchedSegment(file, path, self)
        return _WatchedBatch(file, path, self) if path.suffix == _OPEN else file

    def replace(self, path: Path, data: bytes) -> None:
        self._disk.replace(path, data)

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        self._disk.overwrite(path, offset, data)

    def move(self, path: Path, to: Path) -> None:
        self._disk.move(path, to)

    def unlink(self, path: Path) -> None:
        self._disk.unlink(path)

    def sync_folder(self, folder: Path) -> None:
        self._disk.sync_folder(folder)
        for path in [path for path in self._waiting if path.parent == folder]:
            self._named.add(path)
            self._seal(path, self._waiting.pop(path))

    def space(self, folder: Path) -> Space:
        return self._disk.space(folder)

    def lock(self, path: Path) -> OpenFile | None:
        return self._disk.lock(path)

    def synced(self, path: Path, frames: list[Frame]) -> None:
        """These are on the platter, whether or not the name is."""
        if path in self._named:
            self._seal(path, frames)
        else:
            self._waiting.setdefault(path, []).extend(frames)

    def wrote(self, identity: Identity, at: int) -> None:
        """A tick's line was appended."""
        if self._witness is not None:
            self._witness.write_down(identity, at)

    def _seal(self, path: Path, frames: Iterable[Frame]) -> None:
        if self._witness is None:
            return
        for frame in frames:
            self._witness.seal(frame, path.parent.name, self._name)


class _WatchedSegment:
    """A segment's open file. After a failure it counts for nothing more, as the port has it."""

    def __init__(self, file: OpenFile, path: Path, disk: WatchedDisk) -> None:
        self._file, self._path, self._disk = file, path, disk
        self._pending = b""

    def append(self, data: bytes) -> None:
        pending, self._pending = self._pending, b""
        self._file.append(data)
        self._pending = pending + data

    def sync(self) -> None:
        pending, self._pending = self._pending, b""
        self._file.sync()
        self._disk.synced(self._path, [frame for frame in frames_in(pending) if frame.kind != FrameKind.SEGMENT])

    def close(self, size: int | None = None) -> None:
        self._file.close(size)


class _WatchedBatch:
    """The file of an open batch."""

    def __init__(self, file: OpenFile, path: Path, disk: WatchedDisk) -> None:
        self._file, self._disk = file, disk
        self._identity = identity_of(path)

    def append(self, data: bytes) -> None:
        self._file.append(data)
        for line in data.splitlines():
            said = orjson.loads(line[_CRC:])
            if "tick" in said:
                self._disk.wrote(self._identity, said["at"])

    def sync(self) -> None:
        self._file.sync()

    def close(self, size: int | None = None) -> None:
        self._file.close(size)


def identity_of(path: Path) -> Identity:
    """The number in the name of an open batch's file."""
    epoch, _, seq = path.stem.partition("-")
    return Identity(int(epoch, 16), int(seq))


def short(identity: Identity) -> str:
    """A number for people: enough of the epoch to tell it from others of a run."""
    return f"{identity.epoch:016x}"[:5] + f"/{identity.seq}"


def frames_in(data: bytes) -> Iterator[Frame]:
    """Every whole frame in these bytes, wherever it stands."""
    offset = data.find(MAGIC)
    while offset >= 0:
        try:
            frame, after = decode(data, offset)
        except Malformed:
            after = offset + 1
        else:
            yield frame
        offset = data.find(MAGIC, after)


def results_of(body: bytes) -> Iterator[tuple[Identity, str, str]]:
    """What an answer says of each frame: its number, status and code."""
    with suppress(orjson.JSONDecodeError, AttributeError, TypeError, KeyError, ValueError):
        results = orjson.loads(body)["results"]
        for said in results if isinstance(results, list) else ():
            if isinstance(said, Mapping) and "status" in said:
                yield Identity(int(said["epoch"], 16), int(said["seq"])), str(said["status"]), str(said.get("code"))
