"""What a device does in its lives, written down: short scripts that between them use every path to the disk.

A script acts on a `Life`. The first life runs `first`; each second life, on whatever the first one left, runs `second`,
which begins as every start does: it finds what is there and gives back what a killed life had on tmpfs.
"""

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from edge_agent.model.verdict import Settlement
from edge_agent.spool.options import Options, Quota
from tests.proofs.crashing import CONFLICT, Life
from tests.sim.platter import SECTOR
from tests.spool.batches import Machine
from tests.spool.site import ROOMY

Script = Callable[[Life], Awaitable[None]]

_FAULTS = ("append", "sync", "create", "sync_folder", "unlink")
_SIZES = (120, 300, 700, 1300)


async def nothing(_life: Life) -> None:
    """A life that only makes the folders."""


@dataclass(frozen=True)
class Case:
    """One thing to try. `evicts`: room is short, so frames may be given up."""

    name: str
    first: Script
    options: Options = ROOMY
    evicts: bool = False
    sector: int = SECTOR
    second: Script | None = None
    before: Script | None = nothing
    """An earlier life, which ended well; None when there was none, so that not even folders are there."""


def within(max_bytes: int) -> Options:
    """A quota for telemetry; a segment is an eighth of it."""
    return replace(ROOMY, telemetry=Quota(max_bytes, 1e6, 0))


async def again(life: Life) -> None:
    """The second life: one frame more, the oldest settled, one more, all settled, and one."""
    await life.seal(200)
    await life.settle((await life.lent())[:1])
    await life.seal(700)
    await life.settle(await life.lent())
    await life.seal(120)


async def begins(life: Life) -> None:
    await life.seal(200)
    await life.seal(900)


async def seals(life: Life) -> None:
    for size in (200, 900, 120, 1500):
        await life.seal(size)
    await life.spool.close()


async def settles(life: Life) -> None:
    for size in (200, 700, 300):
        await life.seal(size)
    await life.settle((await life.lent())[1:2])
    await life.seal(120)
    await life.settle(await life.lent())
    await life.seal(600)


async def turns_pages(life: Life) -> None:
    """Segments of 2 KiB: each third frame opens another one."""
    for size in (900, 300, 800, 900, 700):
        await life.seal(size)
    await life.settle((await life.lent())[1:3])
    await life.seal(900)
    await life.settle((await life.lent())[:2])


def fails(call: str, code: int, at: int = 1, times: int = 1) -> Script:
    """The disk fails once or for a while, and is well again."""

    async def script(life: Life) -> None:
        await life.seal(300)
        life.disk.fail(call, code, at=at, times=times, where="telemetry")
        await life.seal(700)
        await life.seal(120)
        life.disk.heal()
        await asyncio.sleep(11)
        await life.seal(300)
        await life.settle((await life.lent())[:1])

    return script


async def evicts(life: Life) -> None:
    """Segments of one frame in 4 KiB: from the third frame on the oldest must go."""
    for _ in range(5):
        await life.seal(700)


async def evicts_and_tells(life: Life) -> None:
    for _ in range(4):
        await life.seal(700)
    await life.settle_reports()
    await life.seal(800)


async def evicts_again(life: Life) -> None:
    await life.seal(600)
    await life.settle((await life.lent())[:1])


async def reserves(life: Life) -> None:
    """The reports lane can write nothing while the oldest must go."""
    for call in ("create", "append"):
        life.disk.fail(call, errno.ENOSPC, times=None, where="reports")
    for _ in range(4):
        await life.seal(700)


async def reseals(life: Life) -> None:
    for size in (200, 700, 300):
        await life.seal(size)
    await life.settle((await life.lent())[1:2], CONFLICT)
    await life.seal(120)
    await life.settle((await life.lent())[:1])


async def reseals_again(life: Life) -> None:
    """The hub holds other bytes under each number that the first life drew."""
    await life.seal(200)
    await life.settle([frame for frame in await life.lent() if life.tale.conflicts(frame)], CONFLICT)
    await life.seal(300)


async def buries(life: Life) -> None:
    for size in (200, 500, 300):
        await life.seal(size)
    await life.settle((await life.lent())[:1], Settlement("rejected", "bad_batch"))
    await life.seal(120)


def measures(count: int) -> Script:
    """So many batches of real readings, a few a segment."""

    async def script(life: Life) -> None:
        for _ in range(count):
            await life.seal(payload=readings(life.number * 100 + life.count))

    return script


async def thins(life: Life) -> None:
    """The oldest segment becomes coarser, the next one, and the first once more; some of it is settled."""
    await life.spool.thin(10_000)
    await life.seal(payload=readings(101))
    await life.spool.thin(10_000)
    await life.spool.thin(60_000)
    await life.settle((await life.lent())[:1])


async def thins_again(life: Life) -> None:
    await life.spool.thin(60_000)
    await life.settle((await life.lent())[:2])
    await life.seal(payload=readings(201))


@lru_cache(maxsize=1024)
def readings(number: int, gauges: int = 8) -> bytes:
    """The payload of one batch of readings: about 500 bytes, or 1,000 from 20 gauges."""
    return Machine(gauges=gauges).batch(number)


def drawn(seed: int) -> Case:
    """A case whose deeds are drawn."""
    chance = random.Random(f"case {seed}")
    tight = chance.random() < 0.4

    def script(least: int, most: int) -> Script:
        deeds = [(chance.random(), chance.random()) for _ in range(chance.randrange(least, most))]

        async def act(life: Life) -> None:
            for deed, how in deeds:
                await _do(life, deed, how, tight=tight)

        return act

    return Case(
        f"drawn {seed}",
        script(4, 14),
        within(chance.choice((4096, 16_384)) if tight else 2**20),
        evicts=tight,
        sector=chance.choice((SECTOR, 4096)),
        second=script(2, 6),
    )


async def _do(life: Life, deed: float, how: float, *, tight: bool) -> None:
    if deed < 0.55:
        await life.seal(_SIZES[int(how * len(_SIZES))])
    elif deed < 0.75:
        lent = await life.lent()
        await life.settle(lent[int(how * len(lent)) :][:2])
    elif deed < 0.8 and not tight:  # what is evicted under its second number is told under that one
        await life.settle([frame for frame in await life.lent() if life.tale.known.get(frame.identity)][-1:], CONFLICT)
    elif deed < 0.93:
        life.disk.fail(_FAULTS[int(how * len(_FAULTS))], errno.EIO if how < 0.5 else errno.ENOSPC, where="telemetry")
    else:
        life.disk.heal()
        await asyncio.sleep(11)


CASES: tuple[Case, ...] = (
    Case("the first start", begins, before=None),
    Case("seals", seals),
    Case("seals, pages", seals, sector=4096),
    Case("settles", settles),
    Case("new segments", turns_pages, within(16_384)),
    Case("a sync fails", fails("sync", errno.EIO)),
    Case("a sync fails twice", fails("sync", errno.EIO, times=2)),
    Case("an append fails", fails("append", errno.ENOSPC)),
    Case("a new file fails", fails("create", errno.ENOSPC), within(4096)),
    Case("a folder's sync fails", fails("sync_folder", errno.EIO), within(4096)),
    Case("evicts", evicts, within(4096), evicts=True, second=evicts_again),
    Case("evicts and tells", evicts_and_tells, within(4096), evicts=True, second=evicts_again),
    Case("the reserve", reserves, within(4096), evicts=True, second=evicts_again),
    Case("reseals", reseals, second=reseals_again),
    Case("buries", buries),
    Case("thins", thins, within(16_384), second=thins_again, before=measures(9)),
)
