"""One lane of the spool: `model.buffers.Buffer` over a rack of segments and a bounded memory.

A sealed frame is put into memory, written from there, and leaves memory once it is synced. So a disk that takes nothing
needs no second path: frames stay in memory, are pushed from there, and are tried on the disk again after a while. What
does not fit any more is lost(no_space), oldest first.

Calls take turns. A frame is in memory before anything is waited for, so a caller that is cancelled leaves a drawn
number that is held, never one that is nowhere. Disk work runs on the spool's worker, and a cancelled caller waits for
its end, so that what is on disk and what is remembered agree; but for `_PATIENCE` seconds a call at most, so that a
disk that hangs cannot hold a stop. What was cut short then may be on disk as well as in memory, and is sent twice at
worst. A loss is declared before the file goes.

A frame that the hub holds with other bytes (a restored snapshot, a cloned card) is sealed again as number 0 of an epoch
that follows from its old identity and its payload. A drawn epoch would double it: the old file may come back after a
crash, and would then be sealed again under yet another number. If it was an epoch of this life, a new one is drawn.

A thinned frame stands for numbers of another epoch than its own: what is held, claimed and lost are always those. One
that comes from outside is kept as a segment of its own, or not at all. The hub does not compare its bytes, so there is
no conflict of such frames; a rejected one is lost in the numbers that it stands for.

Not handled: frames larger than `MOST_FRAME`, which are a fault of whoever seals; a call that never returns holds its
lane.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import ParamSpec, TypeVar

import anyio

from edge_agent.model.buffers import Depth
from edge_agent.model.frame import Frame, FrameKind, Holding, Identity, LaneName, Loss, LossReason, Range
from edge_agent.model.ports import Chance, Clock, Worker
from edge_agent.model.ranges import union
from edge_agent.model.verdict import Settlement
from edge_agent.spool.drawer import Drawer
from edge_agent.spool.memory import Memory
from edge_agent.spool.quota import Limiter
from edge_agent.spool.rack import Rack
from edge_agent.spool.segment import OPENING_BYTES, Segment, holdings
from edge_agent.spool.thins import thins_of
from edge_agent.wire.frame import encode, encoded_size
from edge_agent.wire.thins import Thins

P = ParamSpec("P")
T = TypeVar("T")

_RETRY_MS = 10_000
_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Given:
    """What all lanes of a spool share; `changed` is awaited after each call that changes what a lane holds."""

    dead: Drawer
    worker: Worker
    clock: Clock
    chance: Chance
    memory_bytes: int
    changed: Callable[[], Awaitable[None]]


class Lane:
    """One lane; the spool opens and closes it."""

    def __init__(
        self,
        name: LaneName,
        rack: Rack,
        limiter: Limiter,
        given: Given,
        tell: Callable[[Sequence[Loss]], Awaitable[None]],
    ) -> None:
        self.why = ""
        """Why the disk takes nothing; empty while it does."""
        self.overflowing = False
        """Frames were dropped from memory since the disk last took one."""
        self._name: LaneName = name
        self._rack = rack
        self._limiter = limiter
        self._given = given
        self._clock = given.clock
        self._tell = tell
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._epoch = 0
        self._ends: dict[int, int] = {}
        self._open: set[Identity] = set()
        self._memory = Memory(given.memory_bytes)
        self._latest: Frame | None = None
        self._retry_at = 0

    @property
    def lane(self) -> LaneName:
        """Which lane this is."""
        return self._name

    async def open(self) -> None:
        """Find what earlier lives left, and be ready; BlockingIOError when another process holds the spool."""
        self._renew()
        async with self._lock:
            try:
                await self._work(self._rack.enter)
            except BlockingIOError:
                raise
            except OSError as error:
                self._fall(error)
                with suppress(OSError):
                    await self._work(self._rack.recover)  # not before: what another still writes would be cut

    def draw(self) -> Identity:
        """The next number of this opening's epoch."""
        identity = Identity(self._epoch, self._ends[self._epoch])
        self._ends[self._epoch] += 1
        self._open.add(identity)
        return identity

    async def append(self, frame: Frame) -> bool:
        """Keep a sealed frame; True once it is durable."""
        self._remember(frame)
        self._latest = frame
        async with self._lock:
            await self._save()
            durable = self._is_durable(frame)
        await self._given.changed()
        return durable

    async def adopt(self, frame: Frame) -> bool:
        """Keep a frame of an earlier life; nothing when it is held already."""
        async with self._lock:
            durable = await self._adopt(frame)
            await self._confess()
        await self._given.changed()
        return durable

    async def newest(self) -> Frame | None:
        """The frame that was appended last by this life, unless it is settled."""
        return self._latest

    async def oldest(self, most_bytes: int, most_frames: int) -> Sequence[Frame]:
        """The oldest unsettled frames in order, at least one if any can be read."""
        unreadable = self.unreadable
        async with self._lock:
            frames, more = await self._work(self._rack.oldest, most_bytes, most_frames)
            await self._confess()
            room = most_bytes - sum(map(encoded_size, frames))
            for frame in () if more else self._memory:
                room -= encoded_size(frame)
                if frames and (room < 0 or len(frames) >= most_frames):
                    break
                frames.append(frame)
        if unreadable or self.unreadable:
            await self._given.changed()
        return frames

    async def settle(self, settled: Mapping[Identity, Settlement]) -> None:
        """Let go of these; what was rejected and cannot be read just now stays, comes again, and so does the word."""
        async with self._lock:
            losses: list[Loss] = []
            gone = dict(settled)
            for identity, settlement in settled.items():
                if settlement.status != "rejected":
                    continue
                frame = self._memory.get(identity) or await self._work(self._rack.fetch, identity)
                if frame is None:
                    del gone[identity]
                elif settlement.code == "identity_conflict" and frame.kind != FrameKind.THINNED:
                    await self._reseal(frame)
                else:
                    await self._work(self._bury, frame)
                    losses.append(self._loss(*self._rack.numbers_of(identity), "rejected"))
            if losses:
                await self._tell(losses)
            await self._work(self._rack.settle, gone)
            for identity in gone:
                self._memory.drop(identity)
            if self._latest is not None and self._latest.identity in gone:
                self._latest = None
        await self._given.changed()

    async def filled(self) -> None:
        """Wait until there is something to push: something new, or something that could not be read a while ago."""
        while not self._is_filled():
            self._wake.clear()
            again = self._rack.stock.next_look()
            with anyio.move_on_after(None if again is None else max(again - self._clock.now(), 1) / 1000):
                await self._wake.wait()

    def inventory(self) -> Sequence[Holding]:
        """Every epoch that is held, oldest first, then those of this life. Numbers of open batches count as held."""
        ends: dict[int, int] = {}
        claims: dict[int, list[Range]] = {}
        for epoch, (end, ranges) in holdings(tuple(self._rack.stock.segments)).items():
            ends[epoch], claims[epoch] = end, ranges
        for epoch, seq in (*(frame.identity for frame in self._memory), *self._open):
            ends[epoch] = max(ends.get(epoch, 0), seq + 1)
            claims.setdefault(epoch, []).append((seq, seq + 1))
        older = [epoch for epoch in ends if epoch not in self._ends]
        own = [epoch for epoch in self._ends if epoch in claims or epoch == self._epoch]
        return [
            Holding(self._name, epoch, self._ends.get(epoch) or ends.get(epoch, 0), union(claims.get(epoch, ())))
            for epoch in (*older, *own)
        ]

    def depth(self) -> Depth:
        """How much is held; `frames` counts segments that were not read yet by what their names tell.

        A thinned frame counts once. `oldest`: when the oldest segment was made, on this boot's axis (negative: before).
        """
        stock, memory, first = self._rack.stock, self._memory, next(iter(self._memory), None)
        at = self._rack.oldest_at()
        oldest = first.sealed_at if at is None and first is not None else at
        used, room = stock.bytes_held(), memory.room if self.why else self._limiter.room(stock.bytes_held())
        return Depth(stock.frames() + len(memory), used + memory.bytes, oldest, not self.why, room)

    @property
    def unsaved(self) -> int:
        """How many frames only memory has."""
        return len(self._memory)

    @property
    def unreadable(self) -> int:
        """How many segments the disk did not give when they were read last."""
        return self._rack.stock.unreadable()

    async def thin(self, widest: int) -> int:
        """Thin the next segment to `widest` ms at most; the bytes freed, 0 if none can be. OSError of the disk."""
        return await self._by_hand(self._rack.thin, self._rack.stock.segments, widest)

    @property
    def segments(self) -> Sequence[Segment]:
        """What is on disk, oldest first."""
        return tuple(self._rack.stock.segments)

    async def mend(self, segment: Segment) -> bool:
        """Write a segment anew if it is damaged, and declare what it lost; whether it was. OSError like `thin`."""
        return await self._by_hand(self._rack.mender.mend, segment)

    async def retry(self) -> None:
        """Try the disk again, if it failed and some time has passed."""
        async with self._lock:
            if self._memory:
                await self._save()
            elif self.why and self._clock.now() >= self._retry_at:
                await self._probe()

    async def close(self) -> None:
        """Write what memory holds if the disk takes it now, and close the files."""
        async with self._lock:
            self._retry_at = 0
            await self._save()
            await self._work(self._rack.close)

    async def _by_hand(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._lock:
            await self._work(self._rack.enter)
            result = await self._work(function, *args, **kwargs)
            await self._confess()
        return result

    # Inside; the lock is held.

    def _renew(self) -> None:
        """A fresh epoch."""
        self._epoch = self._given.chance.getrandbits(63)
        self._ends[self._epoch] = 0

    def _is_filled(self) -> bool:
        return bool(self._memory) or self._rack.stock.readable(self._clock.now())

    def _loss(self, epoch: int, ranges: tuple[Range, ...], reason: LossReason) -> Loss:
        return Loss(self._name, epoch, ranges, reason)

    async def _work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A call on the worker, to its end; whoever is cancelled waits for it for `_PATIENCE` seconds at most."""
        with anyio.CancelScope(shield=True) as scope:
            patience = asyncio.get_running_loop().call_later(_PATIENCE, _lay_down, scope)
            try:
                result = await self._given.worker.run(function, *args, **kwargs)
            finally:
                patience.cancel()
        return result

    async def _adopt(self, frame: Frame) -> bool:
        """Keep it unless this life wrote it or it is thinned: what an earlier life wrote may not have been synced."""
        if frame.identity in self._memory:
            return False
        said = thins_of(frame)
        if said is not None:
            return await self._adopt_thinned(frame, said)
        if await self._work(self._rack.keeps, frame.identity):
            return True
        self._remember(await self._work(self._rack.wholest, frame))
        await self._save()
        durable = self._is_durable(frame)
        if durable:
            await self._work(self._rack.supersede, frame.identity)
        return durable

    async def _adopt_thinned(self, frame: Frame, said: Thins) -> bool:
        try:
            await self._make_room(encoded_size(frame) + OPENING_BYTES)
            await self._work(self._rack.keep_stand_in, frame, said)
        except OSError as error:
            self._fall(error)
            return False
        self._wake.set()
        return True

    def _is_durable(self, frame: Frame) -> bool:
        """Whether a frame that was in memory is on disk: gone from there while the disk takes what it is given."""
        return frame.identity not in self._memory and not self.why

    def _remember(self, frame: Frame) -> None:
        self._memory.put(frame)
        self._open.discard(frame.identity)
        self._wake.set()

    async def _save(self) -> None:
        """Write what memory holds, unless the disk failed a moment ago."""
        if not self.why or self._clock.now() >= self._retry_at:
            try:
                await self._work(self._rack.enter)
                while chunk := self._memory.chunk(self._rack.segment_bytes):
                    await self._make_room(sum(map(encoded_size, chunk)) + OPENING_BYTES)
                    await self._work(self._rack.write, chunk)
                    for frame in chunk:
                        self._memory.drop(frame.identity)
                    self.why, self.overflowing = "", False
            except OSError as error:
                self._fall(error)
        await self._shrink()
        await self._confess()

    async def _probe(self) -> None:
        """Find out whether the disk takes something again, when there is nothing to write."""
        try:
            await self._work(self._rack.probe)
        except OSError as error:
            self._fall(error)
        else:
            self.why, self.overflowing = "", False
        await self._confess()

    async def _make_room(self, need: int) -> None:
        """Thin one, and let the oldest go, so that so many bytes fit; their loss is declared first."""
        segments, losses = await self._work(self._victims, need)
        if losses:
            await self._tell(losses)
        if segments:
            await self._work(self._rack.drop, segments)

    def _victims(self, need: int) -> tuple[list[Segment], list[Loss]]:
        victims = self._limiter.victims(self._rack, need)
        losses = [self._loss(segment.name.epoch, self._rack.claim(segment), reason) for segment, reason in victims]
        return [segment for segment, _reason in victims], [loss for loss in losses if loss.ranges]

    async def _shrink(self) -> None:
        """Keep memory within its bound while the disk takes nothing."""
        dropped = self._memory.overflow()
        if dropped:
            self.overflowing = True
            await self._forgo(dropped)

    async def _forgo(self, frames: Sequence[Frame]) -> None:
        """Declare frames lost for want of space."""
        numbers: dict[int, list[Range]] = {}
        for frame in frames:
            numbers.setdefault(frame.identity.epoch, []).append((frame.identity.seq, frame.identity.seq + 1))
        await self._tell([self._loss(epoch, union(ranges), "no_space") for epoch, ranges in numbers.items()])

    async def _confess(self) -> None:
        """Declare what reading found lost."""
        losses, self._rack.stock.losses = self._rack.stock.losses, []
        if losses:
            await self._tell(losses)

    def _fall(self, error: OSError) -> None:
        self.why = error.strerror or type(error).__name__
        self._retry_at = self._clock.now() + _RETRY_MS

    def _bury(self, frame: Frame) -> None:
        epoch, seq = frame.identity
        self._given.dead.put(f"{self._rack.generation:08d}-{self._name}-{epoch:016x}-{seq:010d}.frame", encode(frame))

    async def _reseal(self, frame: Frame) -> None:
        epoch, seq = frame.identity
        if epoch == self._epoch:
            self._renew()
        digest = sha256(b"reseal" + epoch.to_bytes(8, "big") + seq.to_bytes(8, "big") + frame.payload).digest()
        fresh = Identity(int.from_bytes(digest[:8], "big") >> 1, 0)
        await self._adopt(Frame(frame.kind, fresh, frame.sealed_at, frame.payload))


def _lay_down(scope: anyio.CancelScope) -> None:
    scope.shield = False
