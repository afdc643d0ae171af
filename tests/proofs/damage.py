"""Row `damage`: a state folder is wounded in every way that is known, and the device starts on it.

The wounded queue opens. It lends only frames that were sealed, under their numbers, once; what it lacks is at most two
batches, each larger than a sector, for each sector that was taken. Of the numbers that it lacks, each below the last
readable one of its epoch is declared damaged; where a whole file went, or has another's name, it may instead be missing
from what the inventory holds, so that the hub finds it unaccounted. Nothing is declared damaged that is lent. Then it
seals one batch more, and the next start lends all of this again, but for what the quota took, which it says.

Most wounds are given to the disk queue on a disk in memory; some to it on a real file system, links among them; some to
the state folder of a whole agent in the simulation, which must then start, stay up, deliver, and double nothing.

Not held against it: a segment of another device whose opening frame was damaged too is taken for ours.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from edge_agent.kit.disk import SystemDisk
from edge_agent.model.failure import DeviceError
from edge_agent.model.frame import Frame, FrameKind, Identity, Range
from edge_agent.model.ports import Disk
from edge_agent.model.ranges import holds, union
from edge_agent.model.verdict import Settlement
from tests.proofs.crashing import Found, Life, Product, Tale, found_in, stands_for
from tests.proofs.row import Findings, Row, fewer_than, total
from tests.proofs.scripts import readings, within
from tests.proofs.wounds import STRANGER, WOUNDS, Tree, gathered, spread, wounded_files
from tests.sim.disk import MemoryDisk
from tests.sim.loop import run
from tests.sim.platter import Image
from tests.sim.world import STATE, world
from tests.spool.site import FOLDER

_LIVES = 4
_WHOLES = 4
_SPOOL, _SYSTEM, _AGENT = 2_400, 60, 40
"""Wounds of a part: to the queue in memory, to it on a real disk, to a whole agent."""
_PARTS = 12
_LEAST = 20_000
_PLANTED = ("document.json", "last-event-id", "allowance", "ledger/base", "ledger/3.log", "spool/hub/reserve")
"""Files of the agent in which something stands that it never wrote."""
_PRODUCT = Product(within(65_536))


@dataclass(frozen=True)
class Whole:
    """A queue's folder before it is wounded, and the telemetry that a start finds in it."""

    image: Image
    frames: dict[Identity, Frame]
    sealed: dict[Identity, bytes]
    """Every payload that was ever sealed, by number."""


@dataclass
class Toll:
    """What wounds cost."""

    tried: int = 0
    sectors: int = 0
    lost: int = 0
    violations: list[str] = field(default_factory=list)

    def findings(self) -> Findings:
        """As the row keeps it."""
        return Findings(self.tried, self.violations, {"sectors": self.sectors, "lost": self.lost})


async def whole(seed: int) -> Whole:
    """Some lives that seal, thin, settle and have something refused."""
    chance, tale, disk = Random(f"whole {seed}"), Tale(), MemoryDisk()
    for number in range(1, _LIVES + 1):
        life = Life(tale, _PRODUCT, disk, number)
        await life.spool.open()
        for _ in range(chance.randrange(6, 14)):
            payload = readings(number * 100 + life.count, gauges=20) if chance.random() < 0.6 else None
            await life.seal(chance.randrange(600, 4000), payload)
        if number % 2:
            await life.spool.thin(10_000)
        lent = await life.lent()
        await life.settle(chance.sample(lent, 2))
        await life.settle(lent[-1:], Settlement("rejected", "bad_batch"))
        await life.spool.close()
    image = disk.image()
    found = await _start(replace(_PRODUCT, disk=lambda _none: MemoryDisk.of(image)))
    return Whole(image, {frame.identity: frame for frame in _telemetry(found)}, tale.known)


async def wound_queue(one: Whole, seed: int, toll: Toll) -> None:
    """One wound, or a few, and two starts on a disk in memory."""
    chance = Random(f"wound {seed}")
    tree = spread(one.image)
    sectors, exact, names = _wound(tree, FOLDER, chance)
    disk = MemoryDisk.of(gathered(tree))
    await _try(one, disk, toll, sectors, exact=exact, what=f"wound {seed} ({names})")


async def wound_folder(one: Whole, seed: int, toll: Toll) -> None:
    """The same on a real file system, where links may stand too."""
    chance = Random(f"real wound {seed}")
    tree = spread(one.image)
    sectors, exact, names = _wound(tree, FOLDER, chance)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path in wounded_files(tree):
            place, content = root / path[1:], tree[path]
            place.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(content)
        if chance.random() < 0.3:
            exact, names = False, f"{names} + link"
            sectors += _link(root / str(FOLDER)[1:], chance)
        place = root / str(FOLDER)[1:]
        await _try(one, SystemDisk(), toll, sectors, exact=exact, what=f"real wound {seed} ({names})", folder=place)


async def wound_agent(seed: int, rounds: int, toll: Toll) -> None:
    """A whole agent that is cut off, killed, wounded and started, so many times; at last it delivers."""
    chance = Random(f"agent {seed}")
    async with world(seed, spool={"min_free_bytes": 0, "min_free_inodes": 0}) as it:
        await it.passes(30)
        for number in range(rounds):
            it.line.cut()
            await it.passes(chance.randrange(20, 90))
            await it.kill()
            tree = spread(it.disk.image())
            for name in chance.sample(_PLANTED, chance.randrange(3)):
                tree[f"{STATE}/{name}"] = chance.choice((b"", b"{}", b"17\n", chance.randbytes(900)))
            sectors, _exact, names = _wound(tree, STATE, chance)
            it.disk.become(gathered(tree))
            toll.tried += 1
            toll.sectors += sectors
            it.line.mend()
            it.start()
            try:
                await it.passes(60)
            except Exception as error:  # noqa: BLE001 - whatever ends an agent is a finding
                toll.violations.append(f"agent {seed}, round {number} ({names}): {type(error).__name__}: {error}")
                return
        await it.passes(600)
        ticks = await it.ticks()
        if not ticks or max(ticks.values()) > 1:
            toll.violations.append(f"agent {seed}: a tick is stored twice, or none is")
        if it.agent.buffers["telemetry"].depth().frames > 2:
            toll.violations.append(f"agent {seed}: batches are not delivered")


def _wound(tree: Tree, folder: Path, chance: Random) -> tuple[int, bool, str]:
    """Wound what is below a folder: how many sectors that took, whether only bytes did, and the wounds' names."""
    sectors, exact, names = 0, True, list[str]()
    below = {path: content for path, content in tree.items() if path.startswith(f"{folder}/")}
    for path in below:
        del tree[path]
    for _ in range(1 if chance.random() < 0.7 else chance.randrange(2, 5)):
        wound = chance.choice(WOUNDS)
        if not any(below.values()):
            break
        sectors += wound.give(below, chance)
        exact = exact and wound.bytes_only
        names.append(wound.name)
    tree |= below
    return sectors, exact, " + ".join(names)


async def _try(
    one: Whole, disk: Disk, toll: Toll, sectors: int, *, exact: bool, what: str, folder: Path = FOLDER
) -> None:
    """Start on what was wounded, hold it against what was whole, and start again."""
    toll.tried += 1
    toll.sectors += sectors
    tale = Tale()
    product = replace(_PRODUCT, disk=lambda _none: disk, folder=folder)
    life = Life(tale, product, MemoryDisk(), _LIVES + 1)
    try:
        await life.spool.open()
        found = await found_in(life.spool)
        await life.seal(500)
        await life.spool.close()
        again = await _start(product)
    except (Exception, DeviceError) as error:  # noqa: BLE001 - whatever stops a start is a finding
        toll.violations.append(f"{what}: {type(error).__name__}: {error}")
        return
    lost = [frame for identity, frame in one.frames.items() if identity not in {at.identity for at in found.frames}]
    toll.lost += len(lost)
    complaints = [
        *_wrong(one, found, alone="+" not in what),
        *_unspoken(found, lost, exact=exact),
        *(["more than two batches a sector are lost"] if len(lost) > 2 * sectors else []),
        *(["what is sealed afterwards is not durable"] if not life.owed else []),
    ]
    lent = {frame.identity for frame in again.frames} | again.declared.get("quota", frozenset())
    wanted = {frame.identity for frame in _telemetry(found)} | {tale.sealed_as[payload] for payload in life.owed}
    if not wanted <= lent:
        complaints.append("the next start does not lend what this one did")
    toll.violations += [f"{what}: {complaint}" for complaint in complaints]


def _wrong(one: Whole, found: Found, *, alone: bool) -> list[str]:
    """What is lent that was not sealed so; `alone`: no second wound may have hit another device's segment."""
    complaints, strangers, seen = list[str](), list[str](), set[Identity]()
    for frame in _telemetry(found):
        if frame.identity in seen:
            complaints.append(f"{frame.identity} is lent twice")
        seen.add(frame.identity)
        if frame.payload == STRANGER:
            strangers.append("another device's frame is lent")
        elif one.frames.get(frame.identity) != frame and one.sealed.get(frame.identity) != frame.payload:
            complaints.append(f"{frame.identity} is lent with what was not sealed")
    return complaints + (strangers[:1] if alone else [])


def _unspoken(found: Found, lost: Sequence[Frame], *, exact: bool) -> list[str]:
    """Numbers that are lost in silence, or declared lost and lent."""
    there: dict[int, list[Range]] = {}
    for frame in _telemetry(found):
        epoch, ranges = _numbers(frame)
        there.setdefault(epoch, []).extend(ranges)
    held = {holding.epoch: holding for holding in found.after}
    damaged = found.missed | found.declared.get("damaged", frozenset())
    silent = []
    for frame in lost:
        epoch, ranges = _numbers(frame)
        here = union(there.get(epoch, ()))
        below = here[-1][1] if here else 0
        for seq in (number for pair in ranges for number in range(*pair)):
            if seq >= below or holds(here, seq) or Identity(epoch, seq) in damaged:
                continue
            claim = held.get(epoch)
            if exact or claim is None or seq >= claim.next or holds(claim.held, seq):
                silent.append(f"{Identity(epoch, seq)} is lost in silence")
    both = [f"{at} is lent and declared lost" for at in damaged if holds(union(there.get(at.epoch, ())), at.seq)]
    return silent[:1] + both[:1]


def _numbers(frame: Frame) -> tuple[int, Sequence[Range]]:
    if frame.kind == FrameKind.THINNED:
        return stands_for(frame.payload)
    return frame.identity.epoch, ((frame.identity.seq, frame.identity.seq + 1),)


def _telemetry(found: Found) -> list[Frame]:
    return [frame for frame in found.frames if frame.kind != FrameKind.REPORTS]


async def _start(product: Product) -> Found:
    spool = product.spool(MemoryDisk(), _LIVES + 2)
    await spool.open()
    found = await found_in(spool)
    await spool.close()
    return found


def _link(folder: Path, chance: Random) -> int:
    """A link where a file was, to another file, to nothing, or to itself; how many sectors that took."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        return 0
    path = chance.choice(files)
    size = path.stat().st_size
    path.unlink()
    path.symlink_to(chance.choice((chance.choice(files), Path("/nowhere/at/all"), path)))
    return -(-size // 512)


async def _suffer(first: int, queue: int, real: int, agents: int, toll: Toll) -> None:
    wholes = [await whole(seed) for seed in range(_WHOLES)]
    for seed in range(first, first + queue):
        await wound_queue(wholes[seed % _WHOLES], seed, toll)
    for seed in range(first, first + real):
        await wound_folder(wholes[seed % _WHOLES], seed, toll)
    for seed in range(first, first + agents // 5):
        await wound_agent(seed, 5, toll)


def suffered(first: int, queue: int, real: int, agents: int) -> Findings:
    """So many wounds of each kind, drawn from `first` on."""
    toll = Toll()
    run(_suffer(first, queue, real, agents, toll))
    return toll.findings()


def _tell(parts: Sequence[Findings]) -> str:
    wounds, sectors = sum(part.tried for part in parts), total(parts, "sectors")
    return f"{wounds:,} wounds, {sectors:,.0f} sectors taken, {total(parts, 'lost'):,.0f} batches lost and declared"


ROW = Row(
    "damage",
    "damage to k sectors costs at most 2k batches; no content stops a start",
    "10,000 wounds: 0 failed starts, 0 wrong payloads, at most 2 batches a sector, losses declared",
    _PARTS,
    lambda part: suffered(1_000_000 + part * 100_000, _SPOOL, _SYSTEM, _AGENT),
    _tell,
    fewer_than(_LEAST),
    side_by_side=2,
)
