"""A disk with a cache that forgets: what a power cut may leave of it, at any instant.

It keeps its content as its reader sees it, and a log of what was asked of it: writes, flushes, and marks (what the
guest said to the host, in order with the rest). A write is sure once a flush came after it. A cut at any place of the
log leaves what is sure, and of the later writes any blocks of 4 KiB whatsoever: real disks write such blocks whole, and
in the order they like.

`Port` speaks the NBD protocol (fixed newstyle, without structured replies) for one client, bytes in and bytes out: the
virtual machine's disk is this object, so nothing that the guest did not flush can survive by a kind host's page cache.

Not handled: blocks torn within themselves (the row `states` has them), a disk that lies about a flush (no promise
holds on one), discards.
"""

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes that were written at an offset."""

    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Flush:
    """All writes before it are sure."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the guest said."""

    line: str


Asked = Write | Flush | Mark


class Disk:
    """The disk: `content` as a reader sees it, `log` as it was asked since the machine started."""

    def __init__(self, content: bytes) -> None:
        self.first = content
        """What it held when the machine started."""
        self.content = bytearray(content)
        self.log: list[Asked] = []

    def write(self, offset: int, content: bytes) -> None:
        """Take bytes into the cache."""
        self.content[offset : offset + len(content)] = content
        self.log.append(Write(offset, content))

    def flush(self) -> None:
        """Make all that was written sure."""
        self.log.append(Flush())

    def mark(self, line: str) -> None:
        """Note what the guest said by now."""
        self.log.append(Mark(line))


@dataclass(frozen=True, slots=True)
class Cut:
    """One way in which a power cut leaves the disk; `marks` is what the guest had said by then."""

    content: bytes
    marks: Sequence[str]
    kept: int
    """How many of the unsure blocks survived, of `unsure`."""
    unsure: int


def last_cut(disk: Disk, chance: random.Random) -> Cut:
    """A cut where the log ends."""
    sure = bytearray(disk.first)
    unsure: list[Write] = []
    for asked in disk.log:
        _follow(asked, sure, unsure)
    return _cut(sure, unsure, _lines(disk.log), chance, chance.random())


def cuts(disk: Disk, chance: random.Random, most: int) -> Iterator[Cut]:
    """At most so many cuts, spread over the log: each right before a flush, when most is unsure.

    At each place three ways: none of the unsure blocks survived, a random half, all of them.
    """
    places = [at for at, asked in enumerate(disk.log) if isinstance(asked, Flush)]
    chosen = set(chance.sample(places, min(len(places), max(1, most // 3))))
    sure = bytearray(disk.first)
    unsure: list[Write] = []
    for at, asked in enumerate(disk.log):
        if at in chosen:
            for share in (0.0, 0.5, 1.0) if unsure else (0.0,):
                yield _cut(sure, unsure, _lines(disk.log[:at]), chance, share)
        _follow(asked, sure, unsure)


def _follow(asked: Asked, sure: bytearray, unsure: list[Write]) -> None:
    match asked:
        case Write():
            unsure.append(asked)
        case Flush():
            for write in unsure:
                sure[write.offset : write.offset + len(write.content)] = write.content
            unsure.clear()
        case Mark():
            pass


def _cut(sure: bytearray, unsure: Sequence[Write], marks: Sequence[str], chance: random.Random, share: float) -> Cut:
    """What is sure, and of the rest each block with the likelihood `share`."""
    left = bytearray(sure)
    kept = blocks = 0
    for write in unsure:
        for start in range(0, len(write.content), BLOCK):
            blocks += 1
            if chance.random() < share:
                kept += 1
                piece = write.content[start : start + BLOCK]
                left[write.offset + start : write.offset + start + len(piece)] = piece
    return Cut(bytes(left), marks, kept, blocks)


def _lines(log: Sequence[Asked]) -> list[str]:
    return [asked.line for asked in log if isinstance(asked, Mark)]


_GREETING = b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3)
"""Fixed newstyle, and no zeroes after the old way of asking for an export."""
_OPTION = struct.Struct(">8sII")
_OPTION_ANSWER = struct.Struct(">QIII")
_OPTION_ANSWER_MAGIC = 0x3E889045565A9
_GO, _ABORT = 7, 2
_ACKNOWLEDGED, _EXPORT_IS, _NOT_KNOWN = 1, 3, 2**31 + 1
_EXPORT = struct.Struct(">HQH")
_FLAGS = 1 | 4
"""It has flags, and it flushes."""
_REQUEST = struct.Struct(">IHHQQI")
_ANSWER = struct.Struct(">IIQ")
_REQUEST_MAGIC, _ANSWER_MAGIC = 0x25609513, 0x67446698
_READ, _WRITE, _GOODBYE, _FLUSH = range(4)
_EINVAL = 22


class Port:
    """One client's conversation with a disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._heard = bytearray()
        self._greeted = False
        self._agreed = False

    def greeting(self) -> bytes:
        """What the server says first."""
        return _GREETING

    def take(self, heard: bytes) -> bytes:
        """Take bytes of the client; what to answer. ValueError when it speaks something else."""
        self._heard += heard
        answer = bytearray()
        while (said := self._requested() if self._agreed else self._asked()) is not None:
            answer += said
        return bytes(answer)

    def _pull(self, size: int) -> bytes:
        piece = bytes(self._heard[:size])
        del self._heard[:size]
        return piece

    def _asked(self) -> bytes | None:
        """The answer to one option, once it is whole."""
        if not self._greeted:
            if len(self._heard) < 4:
                return None
            self._pull(4)
            self._greeted = True
        if len(self._heard) < _OPTION.size:
            return None
        magic, option, size = _OPTION.unpack_from(self._heard)
        if magic != b"IHAVEOPT":
            raise ValueError("the client of the disk does not speak NBD")
        if len(self._heard) < _OPTION.size + size:
            return None
        self._pull(_OPTION.size + size)
        if option == _GO:
            self._agreed = True
            export = _EXPORT.pack(0, len(self._disk.content), _FLAGS)
            return _option_answer(option, _EXPORT_IS, export) + _option_answer(option, _ACKNOWLEDGED)
        return _option_answer(option, _ACKNOWLEDGED if option == _ABORT else _NOT_KNOWN)

    def _requested(self) -> bytes | None:
        """The answer to one request, once it is whole."""
        if len(self._heard) < _REQUEST.size:
            return None
        magic, _flags, kind, handle, offset, size = _REQUEST.unpack_from(self._heard)
        if magic != _REQUEST_MAGIC:
            raise ValueError("a request to the disk begins with another word")
        whole = _REQUEST.size + (size if kind == _WRITE else 0)
        if len(self._heard) < whole:
            return None
        content = self._pull(whole)[_REQUEST.size :]
        match kind:
            case 0:
                return _ANSWER.pack(_ANSWER_MAGIC, 0, handle) + self._disk.content[offset : offset + size]
            case 1:
                self._disk.write(offset, content)
            case 3:
                self._disk.flush()
            case 2:
                return b""
            case _:
                return _ANSWER.pack(_ANSWER_MAGIC, _EINVAL, handle)
        return _ANSWER.pack(_ANSWER_MAGIC, 0, handle)


def _option_answer(option: int, kind: int, content: bytes = b"") -> bytes:
    return _OPTION_ANSWER.pack(_OPTION_ANSWER_MAGIC, option, kind, len(content)) + content
