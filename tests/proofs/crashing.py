"""Lives of a device's disk queue on a disk that may be cut anywhere, and what must be found after each.

Whoever seals is owed: each frame whose `append` came back durable and that is not settled must be found by the next
life, with its bytes, under its identity, once; or, where segments were evicted, its loss must be declared; or a thinned
batch must name its number. Nothing else may be found, no number may be drawn twice, and what the inventory says of the
frames must be so.

`Tale` knows every frame that was ever sealed in a case; `Life` seals and settles on one disk and is owed; `found_on`
recovers an image and says what is there; `judge` holds that against what is owed. The whole `Spool` is used, with
workers that call at once, so a life is a stretch of plain code in which the world may stop.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import ParamSpec, TypeVar

import orjson

from edge_agent.kit.lamps import LampBoard
from edge_agent.model.frame import Frame, FrameKind, Holding, Identity, LaneName, Loss, LossReason, Range
from edge_agent.model.ports import Disk, Worker
from edge_agent.model.ranges import holds, union
from edge_agent.model.verdict import Settlement
from edge_agent.spool.losses import losses_in
from edge_agent.spool.options import Options
from edge_agent.spool.spool import Spool
from edge_agent.wire.batch import unzip
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.sim.platter import Image
from tests.spool.site import DEVICE, FOLDER, NoTime

P = ParamSpec("P")
T = TypeVar("T")

STORED = Settlement("stored")
CONFLICT = Settlement("rejected", "identity_conflict")
ALL = 2**40
_LENT: tuple[LaneName, ...] = ("telemetry", "reports")
_EVICTED: tuple[LossReason, ...] = ("quota", "age")

Owed = frozenset[bytes]
"""What must be found: the payloads of frames."""


class Direct:
    """`model.ports.Offload` and `Worker` at once: calls run where they are made."""

    stuck = False

    def worker(self, name: str) -> Worker:  # noqa: ARG002 - the port's signature
        return self

    def release(self, worker: Worker) -> None:
        """Nothing is held."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)


@dataclass(frozen=True)
class Product:
    """What is tried: the queue in a folder. `disk` stands before the one in memory, `seed` is each life's chance."""

    options: Options
    disk: Callable[[MemoryDisk], Disk] = lambda disk: disk
    seed: Callable[[int], int] = lambda life: life
    folder: Path = FOLDER

    def spool(self, disk: MemoryDisk, life: int) -> Spool:
        """The queue of one life, not opened."""
        clock = SimClock(axis=f"boot-{life}.0")
        chance = random.Random(self.seed(life))
        lamps = LampBoard(clock, lambda _lamp: None)
        return Spool(self.options, self.folder, DEVICE, self.disk(disk), Direct(), clock, chance, lamps, NoTime())


@dataclass
class Tale:
    """Every frame of a case, by what it says and by its number."""

    names: dict[bytes, set[Identity]] = field(default_factory=dict)
    known: dict[Identity, bytes] = field(default_factory=dict)
    sealed_as: dict[bytes, Identity] = field(default_factory=dict)
    """The number under which each was sealed."""
    conflicted: set[bytes] = field(default_factory=set)
    """Payloads that the hub refused under their number: they may have one more."""
    violations: dict[str, None] = field(default_factory=dict)

    def accuse(self, what: str) -> None:
        """Something is against the promise; each thing is said once."""
        self.violations[what] = None

    def draw(self, identity: Identity, payload: bytes) -> None:
        """A number is drawn for a payload."""
        if self.known.setdefault(identity, payload) != payload:
            self.accuse(f"number {identity} was drawn twice")
        self.sealed_as.setdefault(payload, identity)
        self.names.setdefault(payload, {identity})

    def conflicts(self, frame: Frame) -> bool:
        """Whether the hub holds other bytes under this frame's number."""
        return frame.payload in self.conflicted and self.sealed_as[frame.payload] == frame.identity

    def meets(self, frame: Frame) -> None:
        """A frame was found."""
        identity, payload = frame.identity, frame.payload
        names = self.names.get(payload)
        if names is None:
            self.accuse(f"{identity} was found, which nobody sealed")
        elif identity not in names:
            names.add(identity)
            if payload not in self.conflicted or len(names) > 2:
                self.accuse(f"one batch was found under {len(names)} numbers")


@dataclass(frozen=True)
class Found:
    """What a life finds: the inventory before and after all was read, payloads, numbers that are spoken for."""

    claims: Sequence[Holding] = ()
    after: Sequence[Holding] = ()
    frames: Sequence[Frame] = ()
    declared: Mapping[LossReason, frozenset[Identity]] = field(default_factory=dict)
    missed: frozenset[Identity] = frozenset()
    """Those that this life itself takes for lost to damage."""
    failure: str = ""


async def found_on(product: Product, image: Image, life: int) -> Found:
    """What a life finds that starts on this image."""
    spool = product.spool(MemoryDisk.of(image), life)
    try:
        await spool.open()
        return await found_in(spool)
    except Exception as error:  # noqa: BLE001 - whatever stops a start is a finding
        return Found(failure=f"the start ended with {type(error).__name__}: {error}")


async def found_in(spool: Spool) -> Found:
    """What a spool that was just opened holds."""
    claims = tuple(spool.lane("telemetry").inventory())
    frames: list[Frame] = []
    for name in _LENT:
        frames += await spool.lane(name).oldest(ALL, ALL)
    return _found(claims, spool.lane("telemetry").inventory(), frames, (), ())


def found_below(product: Product, image: Image, life: int) -> Found:
    """The same from the racks of its lanes alone, without the loop: three times as fast."""
    spool = product.spool(MemoryDisk.of(image), life)
    lanes = [spool._lanes[name] for name in _LENT]
    try:
        for lane in lanes:
            lane._rack.recover()
        claims = lanes[0].inventory()
        frames = [frame for lane in lanes for frame in lane._rack.oldest(ALL, ALL)[0]]
        missed = [loss for lane in lanes for loss in lane._rack.stock.losses]
        reserved = spool._reports._reserve.read()
    except Exception as error:  # noqa: BLE001 - whatever stops a start is a finding
        return Found(failure=f"the start ended with {type(error).__name__}: {error}")
    return _found(claims, lanes[0].inventory(), frames, missed, reserved)


def _found(
    claims: Sequence[Holding],
    after: Sequence[Holding],
    frames: Sequence[Frame],
    missed: Sequence[Loss],
    reserved: Sequence[Loss],
) -> Found:
    told = (loss for frame in frames if frame.kind == FrameKind.REPORTS for loss in _told(frame))
    declared: dict[LossReason, frozenset[Identity]] = {}
    for loss in (*told, *missed, *reserved):
        declared[loss.reason] = declared.get(loss.reason, frozenset()) | _numbers((loss,))
    return Found(claims, after, frames, declared, _numbers(missed))


@lru_cache(maxsize=4096)
def _told(frame: Frame) -> tuple[Loss, ...]:
    return tuple(losses_in(frame))


def _numbers(losses: Iterable[Loss]) -> frozenset[Identity]:
    return frozenset(Identity(loss.epoch, seq) for loss in losses for pair in loss.ranges for seq in range(*pair))


def judge(tale: Tale, found: Found, owed: Owed, *, evicts: bool) -> None:
    """Hold what was found against what is owed; `evicts` says that frames may have been given up for room."""
    if found.failure:
        tale.accuse(found.failure)
        return
    seen, covered = _met(tale, found.frames)
    gone = frozenset[Identity]().union(*(found.declared.get(reason, ()) for reason in _EVICTED if evicts))
    for payload in owed:
        identity = tale.sealed_as[payload]
        if payload in seen:
            if not found.missed.isdisjoint(seen[payload]):
                tale.accuse("a durable batch that is there is taken for lost to damage")
        elif identity not in gone and not _spoken_for(identity, covered):
            tale.accuse("a durable batch is lost")
    _judge_claims(tale, found, covered)


def _met(tale: Tale, frames: Sequence[Frame]) -> tuple[dict[bytes, list[Identity]], dict[int, list[Range]]]:
    """The numbers under which each payload was found, and by epoch those that thinned ones stand for."""
    seen: dict[bytes, list[Identity]] = {}
    covered: dict[int, list[Range]] = {}
    for frame in frames:
        if frame.kind == FrameKind.THINNED:
            epoch, ranges = stands_for(frame.payload)
            covered.setdefault(epoch, []).extend(ranges)
        elif frame.kind != FrameKind.REPORTS:
            tale.meets(frame)
            seen.setdefault(frame.payload, []).append(frame.identity)
    for identities in seen.values():
        if len(identities) != len(set(identities)):
            tale.accuse("a frame was lent twice at once")
        if covered and any(_spoken_for(identity, covered) for identity in identities):
            tale.accuse("a batch was lent in full and thinned at once")
    return seen, covered


def _spoken_for(identity: Identity, covered: Mapping[int, Sequence[Range]]) -> bool:
    return holds(union(covered.get(identity.epoch, ())), identity.seq)


def _judge_claims(tale: Tale, found: Found, covered: Mapping[int, Sequence[Range]]) -> None:
    """The inventory covers what is there, before it was read and after; then it covers nothing else."""
    there: dict[int, list[Range]] = {epoch: list(ranges) for epoch, ranges in covered.items()}
    for frame in found.frames:
        if frame.kind == FrameKind.TELEMETRY:
            there.setdefault(frame.identity.epoch, []).append((frame.identity.seq, frame.identity.seq + 1))
    for claims in (found.claims, found.after):
        said = {claim.epoch: claim for claim in claims}
        for epoch, ranges in there.items():
            claim = said.get(epoch)
            if claim is None:
                tale.accuse("the inventory does not name an epoch that is held")
            elif any(seq < claim.next and not holds(claim.held, seq) for pair in ranges for seq in range(*pair)):
                tale.accuse("the inventory says of a batch that is held that it is not")
    for claim in found.after:
        here = union(there.get(claim.epoch, ()))
        if here and here[-1][1] > claim.next:
            tale.accuse("the inventory's next number is below one that is held")
        if claim.held != here:
            tale.accuse("the inventory claims what is not there")


@lru_cache(maxsize=4096)
def stands_for(payload: bytes) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The epoch and numbers that a thinned batch replaces."""
    thins = orjson.loads(unzip(payload, 2**26))["thins"]
    return int(thins["epoch"], 16), tuple((first, after) for first, after in thins["ranges"])


class Life:
    """One life on one disk. What it is owed is told to `look` wherever that changes."""

    def __init__(self, tale: Tale, product: Product, disk: MemoryDisk, number: int, owed: Owed = frozenset()) -> None:
        self.tale = tale
        self.disk = disk
        self.owed = owed
        self.sealing: dict[Identity, Frame] = {}
        """Frames whose open batches' files may still be there: those on their way, and the one sealed last."""
        self.spool = product.spool(disk, number)
        self.number = number
        self.count = 0

    async def seal(self, size: int = 300, payload: bytes | None = None) -> None:
        """Seal one batch of about this many bytes."""
        buffer = self.spool.lane("telemetry")
        identity = buffer.draw()
        self.count += 1
        if payload is None:
            start = b"%d/%d/%d." % (self.number, self.count, size)
            payload = start + random.Random(self.count).randbytes(max(0, size - len(start)))
        self.tale.draw(identity, payload)
        await self.give(Frame(FrameKind.TELEMETRY, identity, 1_000_000 + self.count, payload))

    async def give(self, frame: Frame) -> None:
        """Append a sealed frame; it is owed once that is durable."""
        self.sealing = {**self.sealing, frame.identity: frame}
        if await self.spool.lane("telemetry").append(frame):
            self.owed |= {frame.payload}
            self.sealing = {frame.identity: frame}

    async def adopt(self, frame: Frame) -> None:
        """Give back what a killed life had on tmpfs."""
        self.sealing = {**self.sealing, frame.identity: frame}
        if await self.spool.lane("telemetry").adopt(frame):
            self.owed |= {frame.payload}

    async def lent(self) -> list[Frame]:
        """Everything that telemetry lends."""
        return list(await self.spool.lane("telemetry").oldest(ALL, ALL))

    async def settle(self, frames: Sequence[Frame], settlement: Settlement = STORED) -> None:
        """The hub's word on these."""
        payloads = frozenset(payload for frame in frames for payload in self._in(frame))
        if settlement == CONFLICT:
            self.tale.conflicted |= payloads
        else:
            self.owed -= payloads
        await self.spool.lane("telemetry").settle({frame.identity: settlement for frame in frames})

    async def settle_reports(self) -> None:
        """The hub has all reports, so what they declare is known."""
        lane = self.spool.lane("reports")
        frames = await lane.oldest(ALL, ALL)
        for frame in frames:
            for loss in losses_in(frame):
                gone = {self.tale.known.get(Identity(loss.epoch, seq)) for pair in loss.ranges for seq in range(*pair)}
                self.owed -= {payload for payload in gone if payload is not None}
        await lane.settle({frame.identity: STORED for frame in frames})

    def _in(self, frame: Frame) -> list[bytes]:
        """What goes when this frame is settled."""
        if frame.kind != FrameKind.THINNED:
            return [frame.payload]
        epoch, ranges = stands_for(frame.payload)
        numbers = (Identity(epoch, seq) for pair in ranges for seq in range(*pair))
        return [self.tale.known[identity] for identity in numbers if identity in self.tale.known]
