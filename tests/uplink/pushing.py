"""A pusher set among scripted lanes, link and hub, in virtual time."""

import itertools
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from edge_agent.dialects.native import Native
from edge_agent.kit.lamps import LampBoard
from edge_agent.model.frame import LaneName
from edge_agent.model.http import Answer, Unreachable
from edge_agent.model.lamp import Lamp
from edge_agent.uplink.pusher import Options, Pusher
from tests.sim.clock import SimClock
from tests.sim.loop import run
from tests.uplink.scripted import (
    KnownTime,
    MemoryLane,
    Respond,
    ScriptedLink,
    storing,
)

OFFSET = 1_800_000_000_000
HOUR = 3600.0


@dataclass
class Scene:
    """A pusher and what it meets."""

    clock: SimClock
    lanes: dict[LaneName, MemoryLane]
    link: ScriptedLink
    time: KnownTime
    lamps: LampBoard
    pusher: Pusher

    @property
    def telemetry(self) -> MemoryLane:
        """The lane that most scenes are about."""
        return self.lanes["telemetry"]

    @property
    def lamp(self) -> Lamp:
        """The only lamp."""
        (lamp,) = self.lamps.all()
        return lamp

    def gaps(self) -> list[float]:
        """Seconds from one request to the next."""
        times = self.link.times
        return [(later - earlier) / 1000 for earlier, later in itertools.pairwise(times)]


def playing(
    play: Callable[[Scene], Coroutine[Any, Any, None]],
    respond: Respond = storing,
    options: Options | None = None,
    offset: int | None = OFFSET,
    seed: int = 1,
) -> None:
    """Set a scene and play it."""

    async def scene() -> None:
        clock = SimClock()
        names: tuple[LaneName, ...] = ("logs", "events", "telemetry", "reports")
        lanes = {name: MemoryLane(name, 100 * place) for place, name in enumerate(names, start=1)}
        link = ScriptedLink(clock, respond)
        time = KnownTime(clock, offset)
        lamps = LampBoard(clock, lambda _lamp: None)
        pusher = Pusher(options or Options(), lanes, Native("d"), link, clock, random.Random(seed), time, lamps)
        await play(Scene(clock, lanes, link, time, lamps, pusher))

    run(scene(), seed)


def always(answer: Answer | Unreachable) -> Respond:
    """A hub that says only this."""
    return lambda _request, _frames: answer
