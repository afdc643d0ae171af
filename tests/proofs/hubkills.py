"""`kill -9` of the real hub under load, at any instant: while it opens its store, takes frames, answers.

Four sources (`real_load`) push as fast as they may, and one real agent beside them. The hub is killed and started again
on the same folder and port. The instants: some time after it serves; some time after it was started; and just when an
answer came, where an acknowledgement that was not durable would show. After each start, whatever was acknowledged until
the kill is compared with the store, bytes and all; in the end everything is there once, and the audit closes.
"""

import asyncio
import random
from collections.abc import Sequence

import anyio

from edge_agent.kit.clock import SystemClock
from edge_agent.kit.offload import Threads
from tests.proofs.real import PATIENCE, Camp, camp, said, scratch, wait_until_it_serves
from tests.proofs.real_load import Source, stored_frames
from tests.proofs.row import Findings, Row, fewer_than, total, tried
from tests.system.program import Program

_SOURCES = 4
_KILLS = 13
_PARTS = 9
_WINDOWS = ("serving", "answering", "starting", "answering")
_SERVING, _STARTING, _ANSWERING = 1.2, 0.8, 0.004
_LOOK = 0.0005


def prove(part: int, sources: int = _SOURCES, kills: int = _KILLS) -> Findings:
    """One part: so many kills of a hub with so many sources and one agent."""
    with scratch() as folder:
        site = camp(folder, sources + 1)
        with site.hub("first"):  # which draws the keys
            pass
        agent = site.devices[-1]
        agent.configure()
        with agent.alive() as alive:
            storm = _Storm(site, random.Random(part))
            asyncio.run(storm.run(kills))
            if not alive.lives:
                storm.wrong.append(f"the agent ended by itself: {said(alive)}")
        with site.hub("last"):
            storm.wrong += agent.settle()
            reckoning = agent.reckon()
            storm.judge()
    answers = sum(len(source.answered) for source in storm.sources)
    figures = {
        "frames": float(answers),
        "beats": float(reckoning.given),
        "missed": float(reckoning.missed),
        "checked": float(storm.checked),
    }
    return Findings(kills, [f"part {part}: {one}" for one in (*storm.wrong, *reckoning.violations)], figures)


class _Storm:
    """Kills of the hub while sources push; what was wrong."""

    def __init__(self, site: Camp, chance: random.Random) -> None:
        self.wrong: list[str] = []
        self.sources: list[Source] = []
        self.checked = 0
        """Acknowledged frames that were looked up after a kill."""
        self._site, self._chance = site, chance
        self._lives = 0

    async def run(self, kills: int) -> None:
        """Kill so often, then let everything arrive."""
        clock, offload, enough = SystemClock(), Threads(), asyncio.Event()
        self.sources = [Source(device, clock, offload, self._chance) for device in self._site.devices[:-1]]
        hub = self._start()
        try:
            pushing = [asyncio.create_task(source.run_until(enough)) for source in self.sources]
            for kill in range(kills):
                await self._wait(hub, _WINDOWS[kill % len(_WINDOWS)])
                hub.kill()
                hub = self._start()
            await self._check(hub)
            enough.set()
            await asyncio.gather(*pushing)
        finally:
            hub.close()

    def judge(self) -> None:
        """Compare what was sealed, what was acknowledged and what is stored, once all is quiet."""
        for source in self.sources:
            name = source.device.name
            stored = stored_frames(self._site.hub_folder, name)
            if len(stored) != len(set(stored)) or len(stored) != len(dict(stored)):
                self.wrong.append(f"{name}: frames are stored twice")
            if dict(stored) != source.sealed:
                self.wrong.append(f"{name}: {len(source.sealed)} frames were sealed, {len(stored)} are stored")
            if odd := {word.status for word in source.answered.values()} - {"stored", "duplicate"}:
                self.wrong.append(f"{name}: answers {odd}")
            for epoch in source.device.audit():
                if epoch["stored"] != epoch["next"] or epoch["missing"] or epoch["held"] or epoch["lost"]:
                    self.wrong.append(f"{name}: the audit says {epoch}")

    def _start(self) -> Program:
        self._lives += 1
        return self._site.start_hub(f"hub-{self._lives}")

    async def _wait(self, hub: Program, window: str) -> None:
        """Until the instant of a kill."""
        if window == "starting":
            await self._sleep(_STARTING)
            return
        await self._check(hub)
        await self._answers(more=20)
        if window == "serving":
            await self._sleep(_SERVING)
        else:
            await self._answers(more=1)
            await self._sleep(_ANSWERING)

    async def _check(self, hub: Program) -> None:
        """Once it serves: is everything there that was acknowledged before?"""
        acknowledged = [(source, list(source.answered)) for source in self.sources]
        await asyncio.to_thread(wait_until_it_serves, hub)
        for source, identities in acknowledged:
            stored = dict(await asyncio.to_thread(stored_frames, self._site.hub_folder, source.device.name))
            gone = [identity for identity in identities if stored.get(identity) != source.sealed[identity]]
            self.checked += len(identities)
            if gone:
                self.wrong.append(f"{source.device.name}: {len(gone)} acknowledged frames are gone: {gone[:3]}")

    async def _answers(self, more: int) -> None:
        """Wait for so many further answers."""
        least = self._answered() + more
        with anyio.fail_after(PATIENCE):
            while self._answered() < least:  # noqa: ASYNC110 - the answers come in tasks that know nothing of this one
                await asyncio.sleep(_LOOK)

    def _answered(self) -> int:
        return sum(len(source.answered) for source in self.sources)

    async def _sleep(self, longest: float) -> None:
        await asyncio.sleep(self._chance.uniform(0, longest))


def _tell(parts: Sequence[Findings]) -> str:
    frames, checked = total(parts, "frames"), total(parts, "checked")
    seen = f"{frames:,.0f} frames acknowledged, {checked:,.0f} times one was looked up after a kill"
    ticks = f"{total(parts, 'beats'):,.0f} ticks of an agent, {total(parts, 'missed'):,.0f} of them declared missed"
    return f"{tried(parts):,} kills, {seen}; {ticks}: 0 lost, 0 doubled"


ROW = Row(
    name="hubkills",
    promise="what the hub acknowledged survives `kill -9` of the hub",
    least="100 kills under load: 0 acknowledged frames lost, 0 doubled",
    parts=_PARTS,
    prove=prove,
    tell=_tell,
    unmet=fewer_than(100),
    side_by_side=2,
)
