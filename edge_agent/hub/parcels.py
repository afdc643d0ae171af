"""Parcels: the frames of one request, opened and checked before anything is stored.

A request brings frames verbatim (`application/vnd.edge.frames`), or one JSON batch, plain or gzipped, so that curl
works: its identity is its members `epoch` (hex) and `seq`, else the SHA-256 of the decoded body. Broken framing
condemns the request. A frame that is whole but says nonsense is refused by itself, with a code, so that the others are
stored.

A request that is light, as most are, is opened at once: a thread would cost more than the opening. What is larger, or
unpacks to more than it seems to, goes to a worker, so that the loop stays free.

A thinned frame says in its payload which numbers it stands for, and its own identity follows from that
(`wire.coarse`): whatever does not agree, or says it in a frame of another kind, is refused.

Bounds: a payload unpacks to at most 16 MiB. Of a request at most 800 frames are opened, and none more once 64 MiB were
unpacked: the rest gets no result and comes again. So the reply stays within what a device reads, and one
request's work stays bounded whatever its payloads hide. So it is with losses: a frame tells of so many at most
(`MOST_LOSSES`), and no more are opened after so many.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import LANES, Frame, FrameKind, Identity, Loss, Range
from edge_agent.model.http import Request
from edge_agent.model.ports import Worker
from edge_agent.wire.batch import Survey, Thins, unzip
from edge_agent.wire.coarse import stand_in_epoch
from edge_agent.wire.frame import split
from edge_agent.wire.record import Records, parse
from edge_agent.wire.survey import Surveyor

FRAMES = "application/vnd.edge.frames"
JSON = "application/json"

MOST_UNPACKED = 16 * 2**20
_MOST_UNPACKED_TOGETHER = 64 * 2**20
MOST_FRAMES = 800
MOST_LOSSES = 20_000
"""Records and ranges of losses: each record may be of another epoch, whose row is read and written."""

_LIGHT = 32 * 2**10
_LIGHT_UNPACKED = 128 * 2**10

_NUMBERS = 2**63 - 1
_TIMES = 2**53
_GZIP_LEVEL = 6
_EPOCH = re.compile(r"[0-9a-f]{1,16}")
_BATCH_KINDS = (FrameKind.TELEMETRY, FrameKind.THINNED)
_RECORD_KINDS = (FrameKind.EVENTS, FrameKind.LOGS, FrameKind.REPORTS)
_REASONS = ("quota", "age", "damaged", "no_space", "rejected", "unaccounted", "unsealed")


@dataclass(frozen=True, slots=True)
class Parcel:
    """A frame and what its payload holds; `fault` says why it is refused.

    `losses` are those that its records declare. `body` is kept where the payload was packed here and not by the sender.
    """

    frame: Frame
    content: Survey | Records | None = None
    losses: tuple[Loss, ...] = ()
    fault: Malformed | None = None
    body: bytes | None = None

    @property
    def span(self) -> tuple[int, int]:
        """The axis ms of the first and the last thing in it."""
        if isinstance(self.content, Records) and self.content.records:
            instants = [record["at"] for record in self.content.records]
            return min(instants), max(instants)
        if isinstance(self.content, Survey) and self.content.first is not None and self.content.last is not None:
            return self.content.first, self.content.last
        return self.frame.sealed_at, self.frame.sealed_at

    @property
    def thins(self) -> Thins | None:
        """What it stands for if it is a thinned frame; None if it is any other."""
        return self.content.thins if isinstance(self.content, Survey) else None

    @property
    def readings(self) -> int:
        """How many values it holds; of a thinned one how many it tells of (`wire.track`)."""
        return self.content.readings if isinstance(self.content, Survey) else 0


class Opener:
    """Opens requests, heavy ones on the worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._light = _Bench(Surveyor(), _LIGHT_UNPACKED, _LIGHT_UNPACKED)
        self._heavy = _Bench(Surveyor(), MOST_UNPACKED, _MOST_UNPACKED_TOGETHER)

    async def open(self, request: Request) -> list[Parcel]:
        """The parcels of a request; Malformed when the request as a whole cannot be read."""
        if len(request.body) <= _LIGHT:
            with suppress(_Heavy):
                return self._light.open(request)
        return await self._worker.run(self._heavy.open, request)


class _Heavy(Exception):  # noqa: N818 - a name for what is lifted
    """It unpacks to more than may be opened at once."""


class _Bench:
    """Where requests are opened: one for each thread, since a surveyor is for one.

    A payload unpacks to at most so many bytes, and no more are opened once those of a request passed `together`.
    """

    def __init__(self, surveyor: Surveyor, most: int, together: int) -> None:
        self._surveyor, self._most, self._together = surveyor, most, together

    def open(self, request: Request) -> list[Parcel]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        coding = request.headers.get("content-encoding", "").strip().lower() or "identity"
        if kind == FRAMES and coding == "identity":
            return self._frames(request.body)
        if kind == JSON and coding in {"identity", "gzip"}:
            return [self._batch(self._unzipped(request.body) if coding == "gzip" else request.body)]
        raise Malformed(
            "unsupported_media_type", f"send {FRAMES} as it is, or {JSON}, plain or gzipped", field="content-type"
        )

    def _unzipped(self, payload: bytes) -> bytes:
        try:
            return unzip(payload, self._most)
        except Malformed as fault:
            if fault.code == "too_large" and self._most < MOST_UNPACKED:
                raise _Heavy from None
            raise

    def _frames(self, body: bytes) -> list[Parcel]:
        frames = split(body)
        if not frames:
            raise Malformed("frame_truncated", "the body holds no frame", field="frames[0]")
        parcels: list[Parcel] = []
        unpacked = lost = 0
        for frame in frames[:MOST_FRAMES]:
            try:
                content = self._unzipped(frame.payload)
                unpacked += len(content)
                parcels.append(self._opened(frame, content))
                lost += _size_of(parcels[-1].losses)
            except Malformed as fault:
                unpacked += MOST_UNPACKED if fault.code == "too_large" else 0
                # Without its traceback, which would keep what was unpacked until the whole request is answered.
                fault.__context__ = None
                parcels.append(Parcel(frame, fault=fault.with_traceback(None)))
            if unpacked > self._together and self._most < MOST_UNPACKED:
                raise _Heavy
            if unpacked > self._together or lost > MOST_LOSSES:
                break
        return parcels

    def _opened(self, frame: Frame, body: bytes) -> Parcel:
        if frame.identity.seq >= _NUMBERS or abs(frame.sealed_at) > _TIMES:
            raise Malformed("bad_batch", "the frame's number or time is out of range")
        if frame.kind in _BATCH_KINDS:
            batch = self._surveyor.survey(body)
            _check_thins(frame, batch.thins)
            return Parcel(frame, batch)
        if frame.kind not in _RECORD_KINDS:
            raise Malformed("unsupported_version", f"frames of kind {frame.kind} are not known here")
        content = parse(body)
        if frame.kind != FrameKind.REPORTS:
            return Parcel(frame, content)
        losses = tuple(
            _loss(record, f"records[{index}]")
            for index, record in enumerate(content.records)
            if record.get("type") == "loss"
        )
        if _size_of(losses) > MOST_LOSSES:
            raise Malformed("bad_batch", f"a frame tells of at most {MOST_LOSSES} losses", field="records")
        return Parcel(frame, content, losses)

    def _batch(self, body: bytes) -> Parcel:
        content = self._surveyor.survey(body)
        document = orjson.loads(body)
        epoch, seq = document.get("epoch"), document.get("seq")
        if epoch is None and seq is None:
            identity = Identity(int.from_bytes(hashlib.sha256(body).digest()[:8], "big") & _NUMBERS, 0)
        else:
            if not isinstance(epoch, str) or _EPOCH.fullmatch(epoch) is None or int(epoch, 16) > _NUMBERS:
                raise Malformed("bad_batch", "epoch must be up to 63 bits in lower-case hex", field="epoch")
            if type(seq) is not int or not 0 <= seq < _NUMBERS:
                raise Malformed("bad_batch", "seq must be an integer from 0", field="seq")
            identity = Identity(int(epoch, 16), seq)
        payload = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        frame = Frame(FrameKind.TELEMETRY, identity, content.last or 0, payload)
        _check_thins(frame, content.thins)
        return Parcel(frame, content, body=body)


def _check_thins(frame: Frame, thins: Thins | None) -> None:
    if thins is None:
        if frame.kind == FrameKind.THINNED:
            raise Malformed("bad_batch", "a thinned frame says what it stands for", field="thins")
    elif frame.kind != FrameKind.THINNED:
        raise Malformed("bad_batch", "what stands for other batches comes in a thinned frame", field="thins")
    elif frame.identity != (stand_in_epoch(thins.epoch, thins.window), thins.ranges[0][0]):
        raise Malformed("bad_batch", "a thinned frame is numbered by what it stands for", field="thins")


def _loss(record: Mapping[str, Any], field: str) -> Loss:
    lane, epoch, ranges, reason = (record.get(name) for name in ("lane", "epoch", "ranges", "reason"))
    if lane not in LANES or reason not in _REASONS:
        raise Malformed("bad_batch", "a loss names a lane and a reason", field=field)
    if not isinstance(epoch, str) or _EPOCH.fullmatch(epoch) is None or int(epoch, 16) > _NUMBERS:
        raise Malformed("bad_batch", "a loss names its epoch in lower-case hex", field=f"{field}.epoch")
    if not isinstance(ranges, list) or not all(map(_is_range, ranges)):
        raise Malformed("bad_batch", "a loss names ranges of numbers", field=f"{field}.ranges")
    pairs: tuple[Range, ...] = tuple((first, after) for first, after in ranges)
    return Loss(lane, int(epoch, 16), pairs, reason)


def _size_of(losses: Iterable[Loss]) -> int:
    return sum(1 + len(loss.ranges) for loss in losses)


def _is_range(pair: object) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004 - a range has two ends
        return False
    first, after = pair
    return type(first) is int and type(after) is int and 0 <= first < after <= _NUMBERS
