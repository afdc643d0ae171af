"""Gathers ticks into a batch, and seals it: by time, by size, on demand, and when the block is left.

A batch is born with its number at its first tick. Each tick goes, without a sync, to the file of the open batch on
tmpfs (`open_batch`), then to the builder. When a file fails that has ticks, its batch ends with them, and the tick in
hand opens the next one; one whose file takes no tick at all goes on in memory, and the lamp `sealer` says what a crash
would now cost. A batch is sealed a little before it is `every` old, so that the beat on its boundary opens the next
one and no beat is torn in two. The first batch of a sealer is sealed after a share of `every` that it is told, drawn by
each device for itself: a fleet that was switched on together does not seal, and push, together ever after.

Sealing, in this order: pack; write the seal into the open file; give the frame to the buffer; once the buffer says that
it is durable, remove the open file. A crash in between leaves a file from which the same bytes are made again under
the same number (`recover`), and the buffer or the hub knows them. While the buffer can only hold frames in memory, the
files of the batches that it took stay on tmpfs, the newest `keep` bytes of them, until it is durable again.

Batches leave one at a time and in order. While the buffer does not answer, further ones wait sealed, at most
`_MOST_WAITING`; beyond that, ticks are counted as missed. A frame on its way is never torn from the buffer by whoever
stops waiting for it, and never given twice. Leaving the block seals what is open and waits for the buffer, for at most
`leave_within`, whatever the buffer does; what it did not take by then is in its file.

Not handled: packing, and the calls to the files of open batches, block the loop; some milliseconds at the usual sizes.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import anyio

from edge_agent.kit.scopes import running
from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import KIND_OF_LANE, Frame, Identity
from edge_agent.model.lamp import Lamps
from edge_agent.model.ports import Clock, Disk, TrueTime
from edge_agent.model.quantity import Bytes, Interval, Room, Seconds
from edge_agent.model.reading import Missed, Tick
from edge_agent.uplink.heir import Heir
from edge_agent.uplink.open_batch import BatchFile, Beats, OpenBatch, Seal, said
from edge_agent.wire.batch import BatchBuilder

_MOST_WAITING = 32
_SIZED_EVERY = 1000
"""The size is looked at once in so many readings: it is a sum over all series; under a limit, at each tick."""
_BELOW_LIMIT = 0.6
"""Of a limit so much is used: the size of a batch is told only about, and one more tick may come."""
_MOST_PAYLOAD = 2**20 - 2**10
"""Bytes of the largest payload that a buffer, and then a hub in one request, takes."""
_PATIENCE = 60.0
"""Seconds that a batch may wait at the least before it counts as stalled; more when batches are sealed seldom."""
_LOOK = 10.0
"""Seconds between looks at whether a frame on its way is stalled."""
_EARLY = 500
"""At most so many ms before its age a batch is sealed, and at most a twentieth of it."""


@dataclass(frozen=True, slots=True)
class Options:
    """`[seal]`: when a batch is sealed, what may stay on tmpfs, and how long leaving may take."""

    every: Interval = 10.0
    most_bytes: Room = 256 * 1024
    keep: Bytes = 4 * 1024 * 1024
    leave_within: Seconds = 10.0


@dataclass(slots=True)
class _Open:
    """The batch that takes ticks; `due` is the axis ms at which it is sealed, `unsized` counts readings unlooked at."""

    identity: Identity
    builder: BatchBuilder
    file: OpenBatch
    due: int
    unsized: int = 0


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A batch on its way to the buffer."""

    frame: Frame
    file: BatchFile
    readings: int


class Sealer:
    """Takes ticks at any time; seals by itself while its block lasts."""

    def __init__(
        self,
        options: Options,
        buffer: Buffer,
        clock: Clock,
        disk: Disk,
        folder: Path,
        resource: Mapping[str, str],
        time: TrueTime,
        lamps: Lamps,
        missed: Beats | None = None,
        first: float = 1.0,
        limit: Callable[[], int | None] | None = None,
    ) -> None:
        """`missed` holds beats that no batch has said: one sealer hands it to the next.

        `first` is the share of `every` after which the first batch is sealed. `limit` tells the bytes of the largest
        frame that is known to reach the hub, None while that is not known; batches are sealed well below it.
        """
        self._options = options
        self._buffer = buffer
        self._clock = clock
        self._disk = disk
        self._folder = folder
        self._resource = resource
        self._time = time
        self._lamps = lamps
        every = round(options.every * 1000)
        self._age = every - min(_EARLY, every // 20)
        self._next_age = round(self._age * first)
        self._limit = limit
        self._open: _Open | None = None
        self._sealed: deque[_Sealed] = deque()
        self._kept: deque[BatchFile] = deque()
        self._missed: Beats = Counter() if missed is None else missed
        self._patience = max(_PATIENCE, 3 * options.every)
        self._moved_at = 0
        self._storing = anyio.Lock()
        self._way: anyio.CancelScope | None = None
        self._giving: asyncio.Task[bool] | None = None
        self._wake = asyncio.Event()
        self._life: AbstractAsyncContextManager[None] | None = None
        self._heir = Heir(buffer, clock, disk, folder, lamps, self._frame)
        self.readings_sealed = 0
        """Readings with a value in the batches that the buffer took."""
        self.bytes_sealed = 0
        """Bytes of their frames' payloads."""
        self.batches = 0
        """Batches that the buffer took."""

    def stalled(self, now: int) -> float:
        """For how many seconds nothing moved although a batch waits to be sealed or taken; 0.0 while that is usual.

        `now` is axis ms. Usual is up to a minute, or three times `every`; beyond it the lamp `sealer` fails as well.
        """
        if self._sealed:
            since = self._moved_at
        elif self._open is not None:
            since = self._open.due
        else:
            return 0.0
        waited = (now - since) / 1000
        return waited if waited > self._patience else 0.0

    async def __aenter__(self) -> None:
        """Begin to seal by time."""
        try:
            self._disk.make_folder(self._folder)
        except OSError as error:
            self._lamps.light("sealer", "warn", f"{self._folder} cannot be made: {error}")
        self._life = running(self)
        await self._life.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Seal what is open, whatever ended the block; a cancellation waits for it, up to `leave_within`."""
        assert self._life is not None, "the block was entered"
        try:
            return await self._life.__aexit__(kind, error, trace)
        finally:
            await self._leave()

    async def run(self) -> NoReturn:
        """Seal by time and by size; the block runs it."""
        while True:
            self._wake.clear()
            if self._open is not None and self._left(self._open) <= 0:
                self._shut()
            if self._sealed:
                await self._store()
                if self._heir.is_due():
                    await self.recover()
            elif self._open is None:
                await self._wake.wait()
            else:
                with anyio.move_on_after(self._left(self._open) / 1000):
                    await self._wake.wait()

    def take(self, tick: Tick) -> None:
        """Take a tick into the open batch, and into its file; one batch is opened if none is."""
        if len(self._sealed) >= _MOST_WAITING:
            self.miss(Missed(tick.collector, 1, "stalled"))
            return
        batch = self._open or self._begin()
        covered = not batch.file.in_memory
        if not batch.file.append(tick, self._missed):
            why = f"{batch.file.path} cannot be written any more ({batch.file.failure}): its batch ends early"
            self._lamps.light("sealer", "warn", why)
            self._shut()
            batch, covered = self._begin(), True
            batch.file.append(tick, self._missed)
        batch.builder.add(tick)
        batch.unsized += len(tick.readings)
        if covered and batch.file.in_memory:
            self._light()
        limit = None if self._limit is None else self._limit()
        if batch.unsized >= _SIZED_EVERY or limit is not None:
            batch.unsized = 0
            most = self._options.most_bytes
            if batch.builder.size >= (most if limit is None else min(most, round(limit * _BELOW_LIMIT))):
                self._shut()
        if self._open is None or self._left(batch) <= 0:  # a suspend outlasts timers
            self._wake.set()

    def miss(self, missed: Missed) -> None:
        """Count beats at which nothing was sampled; the next tick writes them down, and the next seal says them."""
        self._missed[missed.collector, missed.cause] += missed.beats

    async def flush(self) -> dict[str, Any]:
        """Seal what is open and give it to the buffer: the last batch's identity, and what was given."""
        before, readings = self.batches, self.readings_sealed
        self._shut()
        identity = str(self._sealed[-1].frame.identity) if self._sealed else None
        await self._store()
        return {
            "identity": identity,
            "batches": self.batches - before,
            "readings": self.readings_sealed - readings,
            "durable": not self._kept,
        }

    async def recover(self) -> int:
        """Give the buffer what earlier lives left open, each under its own number; how many batches there were.

        Called before ticks are taken, and again later when a file or the folder could not be read. A file is removed
        once the buffer has what can be read of it.
        """
        own = {file.path for file in (*self._kept, *(batch.file for batch in self._sealed))}
        if self._open is not None:
            own.add(self._open.file.path)
        found = 0
        async for file, durable in self._heir.inherit(own):
            self._settle(file, durable=durable)
            found += 1
        return found

    def _left(self, batch: _Open) -> int:
        return batch.due - self._clock.now()

    def _begin(self) -> _Open:
        """A batch for the tick in hand."""
        identity, axis = self._buffer.draw(), self._clock.axis
        file = OpenBatch(self._disk, self._folder, identity, axis, self._resource)
        self._open = _Open(identity, BatchBuilder(axis, self._resource), file, self._clock.now() + self._next_age)
        self._next_age = self._age
        self._wake.set()
        return self._open

    def _shut(self) -> None:
        """Seal the open batch, if there is one; the buffer gets it with the next `_store`."""
        batch, self._open = self._open, None
        if batch is None:
            return
        given = Seal(self._clock.now(), self._time.anchor(), said(self._missed))
        seal = batch.file.seal(given)
        self._missed -= self._missed if seal is given else batch.file.missed
        if not self._sealed:
            self._moved_at = given.sealed_at
        frame = self._frame(batch.identity, seal, batch.builder, self._clock.axis, self._resource)
        self._sealed.append(_Sealed(frame, BatchFile(batch.file.path, batch.file.size), batch.builder.readings))

    async def _store(self) -> None:
        """Give what is sealed to the buffer, in order."""
        async with self._storing:
            while self._sealed:
                batch = self._sealed[0]
                if self._giving is None:
                    # A task of its own: whoever waits here may stop waiting, and the frame is not torn from the buffer.
                    self._way = anyio.CancelScope()
                    self._giving = asyncio.ensure_future(self._give(batch.frame, self._way))
                giving = self._giving
                while not (await asyncio.wait([giving], timeout=_LOOK))[0]:
                    self._light()
                self._sealed.popleft()
                self._giving, self._moved_at = None, self._clock.now()
                durable = giving.result()
                self.batches += 1
                self.bytes_sealed += len(batch.frame.payload)
                self.readings_sealed += batch.readings
                self._settle(batch.file, durable=durable)

    async def _give(self, frame: Frame, way: anyio.CancelScope) -> bool:
        with way:
            return await self._buffer.append(frame)
        return False

    async def _leave(self) -> None:
        """Seal what is open, and wait for the buffer no longer than leaving may take."""
        try:
            with anyio.move_on_after(self._options.leave_within, shield=True):
                await self.flush()
        finally:
            if self._sealed:
                self._give_up()

    def _give_up(self) -> None:
        """Leave what is sealed to its files; the next start finds out whether the buffer has the first all the same."""
        if self._way is not None:
            self._way.cancel()  # a buffer may shield itself, and then goes on by itself
        lost = sum(not batch.file.size for batch in self._sealed)
        left = f"{len(self._sealed) - lost} batches stay in {self._folder}, {lost} were in memory only"
        self._lamps.light("sealer", "fail", f"the buffer did not answer in time: {left}")
        self._sealed.clear()
        self._giving = None

    def _settle(self, file: BatchFile, *, durable: bool) -> None:
        """Remove a batch's file, or keep it while only memory has the frame."""
        if durable:
            self._remove(file.path)
            while self._kept and self._buffer.depth().durable:
                self._remove(self._kept.popleft().path)
        else:
            self._kept.append(file)
            while sum(kept.size for kept in self._kept) > self._options.keep:
                self._remove(self._kept.popleft().path)
        self._light()

    def _remove(self, path: Path) -> None:
        """Remove a file; one that cannot be removed is found again at the next start, and changes nothing."""
        with suppress(OSError):
            self._disk.unlink(path)

    def _frame(
        self, identity: Identity, seal: Seal, builder: BatchBuilder, axis: str, resource: Mapping[str, str]
    ) -> Frame:
        payload = builder.pack(seal.anchor, seal.stat)
        if len(payload) > _MOST_PAYLOAD:
            # One tick of long texts that do not pack: the number goes out without readings, and says so.
            self._lamps.light("sealer", "warn", f"a batch of {len(payload)} bytes packed is too large: it is left out")
            stat = {**seal.stat, "too_large": builder.readings}
            payload = BatchBuilder(axis, resource).pack(seal.anchor, stat)
        return Frame(KIND_OF_LANE[self._buffer.lane], identity, seal.sealed_at, payload)

    def _light(self) -> None:
        if self.stalled(self._clock.now()):
            self._lamps.light("sealer", "fail", f"sealed batches wait: the buffer took none for {self._patience:g} s")
        elif self._open is not None and self._open.file.in_memory:
            cost = f"a crash would cost up to {self._options.every:g} s of readings"
            why = self._open.file.failure
            self._lamps.light("sealer", "warn", f"the open batch is in memory only ({why}): {cost}")
        elif self._kept:
            covered = sum(file.size > 0 for file in self._kept)
            cost = f"a power cut would cost them, and {covered} of {len(self._kept)} are kept over a crash"
            self._lamps.light("sealer", "warn", f"sealed batches are in memory only: {cost}")
        else:
            self._lamps.light("sealer", "ok")
