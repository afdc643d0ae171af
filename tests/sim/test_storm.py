"""A storm: most of an hour of what may go wrong, in drawn order, then calm; nothing is doubled, nothing unaccounted."""

from dataclasses import replace
from random import Random

import pytest

from tests.sim.loop import run
from tests.sim.weather import FAIR
from tests.sim.world import World, world

SERIES = 5
UNSEALED = 12
"""Ticks that a power cut may cost: those of the batch that was open, or on its way to the disk."""


class Storm:
    """Draws what happens next. A life ends only while the disk is sound: memory then holds nothing alone."""

    def __init__(self, one: World, chance: Random) -> None:
        self._one, self._chance = one, chance
        self.taken = 0
        """Readings that all ended lives took."""
        self.killed = self.crashed = 0
        """Lives that were killed, and those that the power went from."""

    async def strike(self) -> None:
        """One thing that happens, and the time until the next."""
        wounds = (self.cut, self.mend, self.lose, self.delay, self.calm, self.fill, self.free)
        ends = (self.kill, self.crash, self.restart)
        drawn = self._chance.randrange(len(wounds) + len(ends))
        if drawn < len(wounds):
            wounds[drawn]()
        else:
            await self.rest_disk()
            await ends[drawn - len(wounds)]()
        await self._one.passes(self._chance.expovariate(1 / 40))

    async def blow_over(self) -> None:
        """Good weather until everything is delivered."""
        self.calm()
        self.mend()
        await self.rest_disk()
        await self._one.passes(700)

    def cut(self) -> None:
        self._one.line.cut()

    def mend(self) -> None:
        self._one.line.mend()

    def lose(self) -> None:
        requests, answers = self._chance.uniform(0, 0.6), self._chance.uniform(0, 0.6)
        self._one.line.weather = replace(self._one.line.weather, lose_requests=requests, lose_answers=answers)

    def delay(self) -> None:
        self._one.line.weather = replace(self._one.line.weather, delay=self._chance.uniform(0, 25))

    def calm(self) -> None:
        self._one.line.weather = FAIR

    def fill(self) -> None:
        self._one.disk.max_bytes = 0

    def free(self) -> None:
        self._one.disk.max_bytes = 2**40

    async def kill(self) -> None:
        self.taken += self._one.agent.tally.readings
        self.killed += 1
        await self._one.kill()
        self._one.start()

    async def crash(self) -> None:
        self.taken += self._one.agent.tally.readings
        self.crashed += 1
        await self._one.crash()
        self._one.start()

    async def restart(self) -> None:
        await self.end()
        self._one.start()

    async def end(self) -> None:
        """Stop the life that runs."""
        await self._one.stop()
        self.taken += self._one.agent.tally.readings

    async def rest_disk(self) -> None:
        """Let the disk take what memory holds alone."""
        self.free()
        if not all(buffer.depth().durable for buffer in self._one.agent.buffers.values()):
            await self._one.passes(30)


@pytest.mark.parametrize("seed", range(8))
def test_no_storm_doubles_or_loses_anything(seed: int) -> None:
    async def scene() -> None:
        async with world(seed, SERIES, pace=0.02) as one:
            storm = Storm(one, Random(f"storm {seed}"))
            for _ in range(50):
                await storm.strike()
            await storm.blow_over()
            await storm.end()
            assert set((await one.ticks()).values()) == {1}
            audit = await one.audit()
            for epoch in audit["epochs"]:
                assert epoch["held"] == 0, epoch
                assert epoch["lost"].keys() <= {"unaccounted"}, epoch
            # A power cut may take two numbers: the open batch's, and that of one on its way to the disk.
            nowhere = sum(epoch["missing"] + epoch["lost"].get("unaccounted", 0) for epoch in audit["epochs"])
            assert nowhere <= 2 * storm.crashed, "what was not sealed"
            cost = storm.killed * SERIES + storm.crashed * SERIES * UNSEALED
            assert storm.taken - cost <= audit["readings"] <= storm.taken

    run(scene())
