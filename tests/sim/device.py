"""One device on a line: its disk, its clock, and the agent that lives there, one life after the other.

The agent is the real one but for its ports. The device's wall clock starts in 1970: all it ever knows of true time it
learns from the hub. It samples the collector `tests.sim.wave` only. A life ends in three ways: `stop` as by SIGTERM,
`kill` as by SIGKILL, `crash` as by a power cut; and `start` begins another on the disk that is there. `image` is a copy
of that disk, and `put_back` puts one in its place.
"""

import asyncio
import copy
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio

from edge_agent.agent.agent import Agent
from edge_agent.agent.logs import Log
from edge_agent.agent.machine import Ports
from edge_agent.config.load import Loaded, load
from edge_agent.config.settings import Hub as HubSection
from edge_agent.config.shelf import choose_collectors
from edge_agent.kit.notify import Notifier
from edge_agent.link.keyfile import GivenKey, Key
from edge_agent.model.frame import Identity
from edge_agent.model.lamp import Lamp
from edge_agent.model.ports import Chance, Host, TrueTime
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.sim.line import Line
from tests.sim.link import SimLink
from tests.sim.offload import InlineOffload
from tests.sim.wave import NAME as WAVE
from tests.sim.witness import WatchedDisk, Witness, identity_of

DEVICE = "car-1"
STATE = Path("/var/lib/edge-agent")
SPOOL = STATE / "spool" / "hub"
RUNTIME = Path("/run/edge-agent")

BOOT = 100_000_000
"""Axis ms between the beginnings of two boots: ticks of all boots are told apart by their instants alone."""


class PocketKey:
    """A key that a scene may change. The port `Key`."""

    def __init__(self, value: str) -> None:
        self.value = self._told = value

    def read(self) -> str:
        return GivenKey(self.value).read()

    def changed(self) -> bool:
        before, self._told = self._told, self.value
        return before != self.value


@dataclass(frozen=True, slots=True)
class Trust:
    """The hub's key, as a device pins it."""

    key_id: str
    public: bytes


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a scene wants to be different; `pace` is how long one blocking call may take, in seconds."""

    series: int
    root: Path
    pace: float
    sections: Mapping[str, Mapping[str, Any]]


class NotedLog(Log):
    """A log that writes nothing and notes the lamps."""

    def __init__(self, lamps: list[Lamp], note: Callable[[str], None]) -> None:
        super().__init__("error")
        self._lamps, self._note = lamps, note

    def begun(self, device: str, hub: str, collectors: int) -> None:
        """Write nothing."""

    def lamp(self, lamp: Lamp) -> None:
        self._lamps.append(lamp)
        self._note(f"lamp {lamp.part} {lamp.state} {lamp.note}".rstrip())


class Device:
    """See the module. `number` tells the machines of one device id apart: each has its own axes."""

    def __init__(
        self, line: Line, trust: Trust, key: str, chance: Random, wishes: Wishes, witness: Witness, number: int = 0
    ) -> None:
        self.line, self.witness, self.number = line, witness, number
        self.name = f"device {number}" if number else "device"
        self._trust, self._chance, self._wishes = trust, chance, wishes
        self._boots = 0
        self._runtime = Path(wishes.sections.get("state", {}).get("runtime", RUNTIME))
        self.disk = MemoryDisk()
        self.key = PocketKey(key)
        self.lamps: list[Lamp] = []
        """Each lamp that was lit or changed its state, in order, over all lives."""
        self._loaded: Loaded | None = None
        self._agent: Agent | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop = anyio.Event()
        self._offload = self._hands()
        self._watched: WatchedDisk | None = None
        self._link_now: SimLink | None = None
        self.clock = self._boot()

    @property
    def agent(self) -> Agent:
        """The life that runs, or the last one."""
        assert self._agent is not None, "it was started"
        return self._agent

    @property
    def alive(self) -> bool:
        """Whether a life runs."""
        return self._task is not None

    def start(self) -> None:
        """Begin a life on the disk as it is."""
        if self._loaded is None:
            self._loaded = load(None, self._flags())
        self._offload = self._hands()
        host = Host(self._wishes.root, live=False)
        self._watched = WatchedDisk(self.disk, self.witness, self.name)
        ports = Ports(self.clock, self._chance, self._watched, self._offload, host, self._link)
        self._stop = anyio.Event()
        log = NotedLog(self.lamps, partial(self.witness.note, self.name))
        self._agent = Agent(self._loaded, ports, self.key, Notifier(None), log)
        self._task = asyncio.ensure_future(self._agent.run(self._stop))

    def check(self) -> None:
        """Raise what broke the agent, if something did: it never ends by itself."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()
            raise AssertionError("the agent ended by itself")

    async def stop(self) -> None:
        """End the life as the service manager would."""
        task, self._task = self._task, None
        if task is not None:
            self._stop.set()
            await task
            assert not self._offload.workers, "every worker was released"

    async def kill(self) -> None:
        """End the life as SIGKILL would: the disk stays as it is at this instant."""
        kept = copy.deepcopy(self.disk)
        kept.kill()
        await self._end(kept)

    async def crash(self, chance: Chance | None = None) -> None:
        """End the life as a power cut would, and boot: what was not synced is gone, or part of it when drawn."""
        kept, opened = copy.deepcopy(self.disk), _open_batches(self.disk, self._runtime)
        if chance is None:
            kept.crash()
        else:
            kept.crash(chance)
        await self._end(kept)
        self._reboot(opened)

    async def end(self) -> None:
        """Switch it off for good: what lay on tmpfs is gone, and nobody looks at the disk again."""
        opened = _open_batches(self.disk, self._runtime)
        await self._end(copy.deepcopy(self.disk))
        self.witness.forgo(self.witness.unsealed() & opened)

    def image(self) -> MemoryDisk:
        """What a copy of the disk would hold that is made now, past all caches, as of a machine that was cut off."""
        image = copy.deepcopy(self.disk)
        image.crash()
        return image

    def put_back(self, image: MemoryDisk) -> None:
        """Boot from another disk, once the last life was ended."""
        assert self._task is None, "a life runs"
        self.disk = copy.deepcopy(image)
        self._reboot(set())

    def lamp(self, part: str) -> Lamp:
        """The lamp of a part as it is lit now."""
        return next(lamp for lamp in self.agent.lamps.all() if lamp.part == part)

    def _reboot(self, opened: set[Identity]) -> None:
        """What lay on tmpfs is gone, with these open batches, and the axis is another."""
        self.witness.forgo(self.witness.unsealed() & opened)
        for path in _files(self.disk, RUNTIME):
            self.disk.unlink(path)
        self.clock = self._boot()

    def _boot(self) -> SimClock:
        """The clock of a new boot."""
        self._boots += 1
        start = 1_000_000 if self._boots == 1 else self._boots * BOOT
        return SimClock(axis=f"{self.number:016x}{self._boots:016x}.0", start=start, wall=0)

    async def _end(self, kept: MemoryDisk) -> None:
        """Cancel what runs; what it still does on its way out reaches neither the next life's disk nor the hub."""
        task, self._task = self._task, None
        assert task is not None, "a life runs"
        assert self._watched is not None
        self._watched.blind()
        if self._link_now is not None:
            self._link_now.sever()
        self.disk = kept
        task.cancel()
        await asyncio.wait([task])

    def _flags(self) -> dict[str, Any]:
        shelf = [choice.name for choice in choose_collectors({})]
        flags: dict[str, Any] = {
            "device": {"id": DEVICE},
            "hub": {"url": "https://hub.example"},
            "trust": {
                self._trust.key_id: {
                    "public": b64encode(self._trust.public).decode(),
                    "types": ["config", "echo", "flush"],
                }
            },
            "state": {"folder": str(STATE), "runtime": str(RUNTIME)},
            "local": {"enabled": False},
            "collectors": {**{name: {"enabled": False} for name in shelf}, WAVE: {"series": self._wishes.series}},
        }
        return flags | {name: {**flags.get(name, {}), **section} for name, section in self._wishes.sections.items()}

    def _hands(self) -> InlineOffload:
        return InlineOffload(self._chance if self._wishes.pace else None, self._wishes.pace)

    @asynccontextmanager
    async def _link(self, hub: HubSection, key: Key, time: TrueTime) -> AsyncIterator[SimLink]:
        self._link_now = SimLink(self.line, hub.link, key, self.clock, time)
        yield self._link_now


def _files(disk: MemoryDisk, folder: Path) -> list[Path]:
    """The files below a folder, which may not be there."""
    try:
        return disk.paths(folder)
    except FileNotFoundError:
        return []


def _open_batches(disk: MemoryDisk, runtime: Path) -> set[Identity]:
    """The numbers of the batches whose files are there."""
    return {identity_of(path) for path in _files(disk, runtime) if path.suffix == ".open"}
