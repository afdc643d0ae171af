"""Schedules: a device, a hub and a line, and everything that may go wrong between them, drawn from one seed.

A run is a few virtual minutes: strikes of the schedule's kind, each followed by some seconds, then calm weather until
all is delivered, then the end of every life. After each strike, and between, the reckoning is held (`reckoning`). The
kinds:

    network        loss, delay, repeats, reordering, resets, black holes, a line that is cut
    crashes        the agent is killed, cut off from power, restarted; the hub is killed and started again
    both           both of these, and a disk that is full for a while
    storms         429, 5xx, 413, gateways that answer for a hub that has acted
    portal         a captive portal, redirects, a cache that repeats old answers
    wrong hub      another hub, one that wants another key, servers that speak something else
    hub restored   the hub is put back to an older copy of its data
    snapshot       the device's disk is put back to an older image of itself
    clone          a second machine begins with a copy of the disk, beside the first or in its place
    no tmpfs       the open batch lies on the card, and the power is cut; only played when it is asked for

The same seed gives the same run, to the byte of its trace.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, get_args

from edge_agent.model.frame import LANES
from edge_agent.spool.options import Options as SpoolOptions
from tests.sim.chronicle import Chronicle
from tests.sim.device import DEVICE, STATE, Device
from tests.sim.disk import MemoryDisk
from tests.sim.loop import Deadlock, LeftBehind, run
from tests.sim.reckoning import Bounds, Broken, Reckoning, Total
from tests.sim.skies import Skies
from tests.sim.wave import NAME as WAVE
from tests.sim.weather import FAIR
from tests.sim.witness import Witness
from tests.sim.world import World, world

Kind = Literal[
    "network", "crashes", "both", "storms", "portal", "wrong hub", "hub restored", "snapshot", "clone", "no tmpfs"
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_LEAST_STRIKES, _MOST_STRIKES = 5, 10
_MEAN_PAUSE, _MOST_PAUSE, _LOOK = 5.0, 15.0, 4.0
_MOST_STOPS = 4
PATIENCE = 200.0
"""Virtual seconds of calm within which all must be delivered: several times the longest wait of these settings."""
_KIB = 1024
_DAY = 86_400_000


@dataclass(slots=True)
class _Copies:
    """Copies that were made to be put back: of the disk, with how much was sealed by then, and of the hub's data."""

    image: MemoryDisk | None = None
    mark: int = 0
    backup: sqlite3.Connection | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run; `broken` names the invariant that did not hold, "" when all did."""

    seed: int
    kind: Kind
    broken: str
    total: Total | None
    strikes: int
    seconds: float
    trace: list[str] = field(repr=False)


def kind_of(seed: int) -> Kind:
    """The kind that a seed draws."""
    return Random(f"kind {seed}").choice(KINDS)


def play(seed: int, kind: Kind | None = None) -> Outcome:
    """Run the schedule of a seed."""
    schedule = Schedule(seed, kind or kind_of(seed))
    broken = ""
    try:
        run(schedule.scene(), seed)
    except (Broken, Deadlock, LeftBehind) as error:
        broken = str(error)
    except AssertionError as error:
        broken = f"a part broke: {error}"
    except Exception as error:  # noqa: BLE001 - whatever ends an agent or a hub is what is looked for
        broken = f"a part broke: {type(error).__name__}: {error}"
    if broken:
        schedule.chronicle.note("audit", f"BROKEN {broken}")
    return Outcome(
        seed,
        schedule.kind,
        broken,
        schedule.total,
        schedule.strikes,
        schedule.chronicle.now,
        schedule.chronicle.lines,
    )


class Schedule:
    """One run. `scene` is to be run on a virtual loop."""

    def __init__(self, seed: int, kind: Kind) -> None:
        self.seed, self.kind = seed, kind
        self.chronicle = Chronicle()
        self.total: Total | None = None
        self.strikes = 0
        self._chance = Random(f"schedule {seed} {kind}")
        self._witness = Witness(self.chronicle.note)
        self._copies = _Copies()
        self._one: World
        self._skies: Skies
        self._reckoning: Reckoning

    async def scene(self) -> None:
        """The run, whole."""
        chance = self._chance
        pace = chance.choice((0.0, 0.01, 0.2))
        hub_pace = chance.choice((0.0, 0.01, 0.2))
        sections, bounds = self._drawn()
        self.chronicle.note("scene", f"seed {self.seed}: {self.kind}, pace {pace} and {hub_pace}, {sections}")
        async with world(
            self.seed, 2, pace=pace, hub_pace=hub_pace, hear=self._hear, witness=self._witness, **sections
        ) as one:
            self._one = one
            self._skies = Skies(chance, one.house.clock)
            self._reckoning = Reckoning(self._witness, one.station, one.machines, bounds)
            await self._passes(chance.uniform(0.5, 12))
            for _ in range(chance.randint(_LEAST_STRIKES, _MOST_STRIKES)):
                await self._strike()
            await self._blow_over()
            await self._stop()
            self.chronicle.note("scene", "every life is stopped")
            audit = await one.audit()
            self.chronicle.audit(audit)
            self.total = self._reckoning.end(audit)
            if self.total.thinned:
                now = one.house.clock.wall()
                span = f"from={now - _DAY}&to={now + _DAY}&width=10000"
                asked = f"/api/v1/query?device={DEVICE}&name=wave.level&attr.wave.number=0&{span}"
                self._reckoning.count(await one.ask("GET", asked), exact=self.kind != "both")
            self.chronicle.note("audit", f"{self.total}")

    def _drawn(self) -> tuple[dict[str, Any], Bounds]:
        """The settings of this run, all small and quick, and what they bound."""
        chance = self._chance
        quota = chance.choice((64 * _KIB, 64 * _KIB, 16 * _KIB, 6 * _KIB))
        memory = chance.choice((64 * _KIB, 4 * _KIB))
        patience = chance.choice((3.0, 8.0))
        sections: dict[str, Any] = {
            "collectors": {WAVE: {"series": chance.randint(1, 4), "interval": chance.choice((0.5, 1.0, 1.0))}},
            "seal": {"every": float(chance.randint(1, 5))},
            "spool": {"telemetry": {"max_bytes": quota}, "memory_bytes": memory},
            "push": {
                "backoff_most": 15.0,
                "probe_least": 5.0,
                "probe_most": 15.0,
                "most_frames": chance.choice((500, 500, 7)),
                "most_bytes": chance.choice((2**20, 4096)),
            },
            "stream": {"probe": 20.0, "first_byte": 10.0},
            "live": {"every": 25.0, "timeout": patience},
            "hub": {"link": {"first_byte_timeout": patience}},
        }
        if self.kind == "no tmpfs":
            sections["state"] = {"folder": str(STATE), "runtime": str(STATE / "open")}
        usual = SpoolOptions()
        quotas = {lane: usual.quota(lane).max_bytes for lane in LANES}
        return sections, Bounds({**quotas, "telemetry": quota}, memory)

    # Time.

    async def _passes(self, seconds: float) -> None:
        """Let time go by, and reckon."""
        while seconds > 0:
            await self._one.passes(min(seconds, _LOOK))
            seconds -= _LOOK
            self._reckoning.step()

    async def _strike(self) -> None:
        acts = self._acts()
        act = acts[0] if self.strikes == 0 else self._chance.choice(acts)
        self.strikes += 1
        await act()
        self._reckoning.step()
        await self._passes(min(self._chance.expovariate(1 / _MEAN_PAUSE), _MOST_PAUSE))

    async def _blow_over(self) -> None:
        """Good weather, until all is settled but what was sealed just now."""
        one = self._one
        if self.kind == "hub restored" and self._copies.backup is not None:
            await self._restore()
        if self.kind == "snapshot" and self._copies.image is not None:
            await self._put_back()
        await self._calm()
        await self._hub_start()
        for machine in one.machines:
            machine.disk.max_bytes = 2**40
        waited = 0.0
        while True:
            await self._passes(_LOOK)
            waited += _LOOK
            old = self._witness.time() - _LOOK
            left = [each for each in self._reckoning.undelivered() if self._witness.sealed[each].at < old]
            if not left and all(_is_idle(machine) for machine in one.machines):
                return
            if waited >= PATIENCE:
                raise Broken(
                    f"after {PATIENCE:g} s of calm {len(left)} frames are not delivered, the first is {left[:1]}"
                )

    async def _stop(self) -> None:
        """Stop every life. A stop does not wait long for the hub: what it leaves in the spool is the next life's."""
        machines = [machine for machine in self._one.machines if machine.alive]
        for again in range(_MOST_STOPS):
            for machine in machines:
                if again:
                    machine.start()
                    self.chronicle.note(machine.name, "started, since its last life left something")
                    await self._passes(_LOOK)
                await machine.stop()
            self._reckoning.step()
            if not self._reckoning.undelivered():
                return

    # What may happen.

    def _acts(self) -> list[Callable[[], Any]]:
        """What a schedule of this kind draws from; the first comes first."""
        lives = [self._kill, self._crash, self._restart]
        hub = [self._hub_kill, self._hub_start]
        acts: dict[Kind, list[Callable[[], Any]]] = {
            "network": [self._network, self._network, self._network, self._cut, self._mend, self._calm],
            "crashes": [self._kill, *lives, *hub, self._hub_kill],
            "both": [self._network, self._network, *lives, *hub, self._fill, self._free, self._calm],
            "storms": [self._storm, self._storm, self._storm, self._network, self._calm, self._kill],
            "portal": [self._portal, self._portal, self._portal, self._network, self._calm, self._restart],
            "wrong hub": [self._wrong, self._wrong, self._wrong, self._calm, self._kill, self._hub_kill],
            "hub restored": [self._back_up, self._back_up, self._restore, self._network, self._calm, self._kill, *hub],
            "snapshot": [self._snapshot, self._snapshot, self._put_back, self._network, self._calm, self._kill],
            "no tmpfs": [self._crash, *lives, self._network, self._calm],
            "clone": [self._snapshot, self._clone, self._succeed, self._network, self._calm, *lives],
        }
        return acts[self.kind]

    async def _network(self) -> None:
        self._set(self._skies.foul())

    async def _storm(self) -> None:
        self._set(self._skies.storm())

    async def _portal(self) -> None:
        self._set(self._skies.portal())

    async def _wrong(self) -> None:
        self._set(await self._skies.wrong())

    async def _calm(self) -> None:
        self._one.line.mend()
        self._set(FAIR)

    async def _cut(self) -> None:
        self.chronicle.note("line", "cut")
        self._one.line.cut()

    async def _mend(self) -> None:
        self.chronicle.note("line", "mended")
        self._one.line.mend()

    async def _fill(self) -> None:
        machine = self._machine()
        self.chronicle.note(machine.name, "its disk is full")
        machine.disk.max_bytes = 0

    async def _free(self) -> None:
        machine = self._machine()
        self.chronicle.note(machine.name, "its disk has room")
        machine.disk.max_bytes = 2**40

    async def _kill(self) -> None:
        machine = self._machine()
        self.chronicle.note(machine.name, "killed")
        await machine.kill()
        await self._begin(machine)

    async def _crash(self) -> None:
        machine = self._machine()
        self.chronicle.note(machine.name, "its power is cut")
        await machine.crash(self._chance)
        await self._begin(machine)

    async def _restart(self) -> None:
        machine = self._machine()
        self.chronicle.note(machine.name, "stopped")
        await machine.stop()
        await self._begin(machine)

    async def _begin(self, machine: Device) -> None:
        """Another life, soon or after a while: no process begins at the instant at which another ended."""
        await self._passes(self._chance.uniform(0.05, 0.5 if self._chance.random() < 0.7 else 10))
        machine.start()
        self.chronicle.note(machine.name, "started")

    async def _hub_kill(self) -> None:
        if self._one.station.up:
            self.chronicle.note("hub", "killed")
            await self._one.station.kill()

    async def _hub_start(self) -> None:
        if not self._one.station.up:
            await self._one.station.start()
            self.chronicle.note("hub", "started")

    async def _back_up(self) -> None:
        if self._one.station.up:
            self._copies.backup = self._one.station.copy()
            self.chronicle.note("hub", "backed up")

    async def _restore(self) -> None:
        backup, self._copies.backup = self._copies.backup, None
        if backup is None:
            return
        await self._hub_kill()
        self._reckoning.read()
        await self._one.station.restore(backup)
        gone = self._reckoning.begin_anew()
        self._witness.excused |= gone
        self.chronicle.note("hub", f"put back to its backup: {len(gone)} settled frames are gone")

    async def _snapshot(self) -> None:
        self._copies.image, self._copies.mark = self._one.image(), len(self._witness.sealed)
        self.chronicle.note("device", "its disk is copied")

    async def _put_back(self) -> None:
        if self._copies.image is None:
            return
        if self._one.alive:
            await self._one.end()
        self._destroy()
        self._one.put_back(self._copies.image)
        self._one.start()

    async def _clone(self) -> None:
        """The copy of the disk, if there is one, in another machine."""
        if self._copies.image is None or len(self._one.machines) > 2:
            return
        clone = self._one.cloned(self._copies.image, Random(f"clone {self.seed} {len(self._one.machines)}"))
        clone.start()
        self.chronicle.note(clone.name, "started from the copy")

    async def _succeed(self) -> None:
        """The copy in another machine, and the first one is never seen again."""
        if self._copies.image is None or not self._one.alive or len(self._one.machines) > 2:
            return
        await self._one.end()
        self._destroy()
        await self._clone()

    # Inside.

    def _machine(self) -> Device:
        return self._chance.choice([machine for machine in self._one.machines if machine.alive])

    def _destroy(self) -> None:
        """What was sealed since the copy, and is not settled, went with the disk."""
        self._reckoning.step()
        gone = {each for each in self._witness.open if self._witness.sealed[each].order >= self._copies.mark}
        self._witness.excused |= gone
        self.chronicle.note("device", f"its disk is gone, and {len(gone)} frames with it")

    def _set(self, weather: Any) -> None:
        self._one.line.weather = weather
        self.chronicle.note("weather", str(weather))

    def _hear(self, passage: Any, request: Any, reply: Any) -> None:
        self._witness.heard(passage, request, reply)
        self.chronicle.passage(passage, request, reply)


def _is_idle(machine: Device) -> bool:
    """Whether nothing stands in the way of a stop that delivers all: the disk takes frames, the pusher waits not."""
    if not machine.alive or machine.agent.pusher is None:
        return not machine.alive
    durable = all(buffer.depth().durable for buffer in machine.agent.buffers.values())
    return durable and machine.agent.pusher.progress.waiting is None
