"""Three lives of a case, with the world stopped everywhere in the first two.

    first life     runs its script once; wherever the world may stop, each image that a power cut may leave is noted,
                   with what is owed then; so is what a kill would leave, with what it leaves on tmpfs
    second life    runs once on each different image: it finds what is there, is judged, and acts; all noted as before
    third life     finds what is there, once for each different image, and is judged

Two ways to one image make one image, of which is owed what is owed by either way: a life cannot tell them apart. So a
`state` is a place to stop together with what survives there; states of the second life are counted once for each
different image of the first, not for each way to it. `images` counts the different ones, each of which was recovered.
"""

import asyncio
import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge_agent.model.frame import Frame
from tests.proofs.crashing import Found, Life, Owed, Product, Tale, found_below, found_in, found_on, judge
from tests.proofs.scripts import Case, Script, again
from tests.sim.disk import MemoryDisk
from tests.sim.platter import Image

_WHOLE = 32
"""One in so many images is recovered by the whole queue too, through its loop."""


@dataclass
class Killed:
    """What a kill left: the disk with all that is in its cache, and the frames whose files are on tmpfs."""

    disk: MemoryDisk
    owed: Owed
    frames: Sequence[Frame]


@dataclass
class Notes:
    """What one life may leave, wherever it stops."""

    life: Life
    most: int
    chance: random.Random
    kills: bool = False
    states: int = 0
    left: dict[Image, Owed] = field(default_factory=dict)
    killed: list[Killed] = field(default_factory=list)

    def look(self) -> None:
        """The world may stop here."""
        owed = self.life.owed
        for image in self.life.disk.images(self.most, self.chance):
            self.states += 1
            before = self.left.get(image)
            if before is None:
                self.left[image] = owed
            elif not owed <= before:
                self.left[image] = before | owed
        if self.kills:
            disk, watch = self.life.disk, self.life.disk.watch
            disk.watch = None
            kept = copy.deepcopy(disk)
            disk.watch = watch
            kept.heal()
            kept.kill()
            self.killed.append(Killed(kept, owed, tuple(self.life.sealing.values())))
            self.states += 1


@dataclass
class Explorer:
    """Tries one case; `most` images are noted where the world stops, `enough()` ends it early."""

    case: Case
    product: Product
    most: int
    enough: Callable[[], bool] = lambda: False
    tale: Tale = field(default_factory=Tale)
    firsts: int = 0
    """States of the first life."""
    states: int = 0
    """States of the second life, from which a third one recovered."""
    wholes: int = 0
    """Images that were also recovered by the whole queue."""
    found: dict[Image, Found] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Different images that were recovered."""
        return len(self.found)

    async def explore(self) -> None:
        """All of it."""
        chance = random.Random(f"{self.case.name} {self.case.sector}")
        disk, owed = await self._furnished()
        first = Life(self.tale, self.product, disk, 1, owed)
        notes = Notes(first, self.most, chance, kills=True)
        await self._live(first, notes, self.case.first)
        self.firsts = notes.states
        starts: list[tuple[MemoryDisk, Owed, Sequence[Frame]]] = [
            (MemoryDisk.of(image, self.case.sector), owed, ()) for image, owed in notes.left.items()
        ]
        starts += [(kill.disk, kill.owed, kill.frames) for kill in notes.killed]
        chance.shuffle(starts)
        for disk, owed, frames in starts:
            await self._second(disk, owed, frames, chance)
            await asyncio.sleep(0)
            if self.enough():
                return

    async def _furnished(self) -> tuple[MemoryDisk, Owed]:
        """What the life before the first left."""
        disk = MemoryDisk(sector=self.case.sector)
        if self.case.before is None:
            return disk, frozenset()
        life = Life(self.tale, self.product, disk, 0)
        await life.spool.open()
        await self.case.before(life)
        await life.spool.close()
        return MemoryDisk.of(disk.image(), self.case.sector), life.owed

    async def _live(self, life: Life, notes: Notes, script: Script, frames: Sequence[Frame] = ()) -> None:
        """A life from its start to its last call."""
        life.disk.watch = notes.look
        try:
            await life.spool.open()
            for frame in frames:
                await life.adopt(frame)
            if life.owed:
                judge(self.tale, await found_in(life.spool), life.owed, evicts=self.case.evicts)
            await script(life)
        except Exception as error:
            self.tale.accuse(f"a life ended with {type(error).__name__}: {error}")
            raise
        notes.look()
        life.disk.watch = None

    async def _second(self, disk: MemoryDisk, owed: Owed, frames: Sequence[Frame], chance: random.Random) -> None:
        life = Life(self.tale, self.product, disk, 2, owed)
        notes = Notes(life, self.most, chance)
        await self._live(life, notes, self.case.second or again, frames)
        self.states += notes.states
        for image, due in notes.left.items():
            found = self.found.get(image)
            if found is None:
                found = self.found[image] = found_below(self.product, image, 3)
                if len(self.found) % _WHOLE == 0:
                    whole = await found_on(self.product, image, 3)
                    judge(self.tale, whole, due, evicts=self.case.evicts)
                    self.wholes += 1
            judge(self.tale, found, due, evicts=self.case.evicts)
