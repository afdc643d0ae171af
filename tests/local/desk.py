"""What a desk or server under test is given, and what it gave away."""

from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.local.health import Health
from edge_agent.model.lamp import Lamp
from edge_agent.model.reading import Reading, Tick


class Surroundings:
    """The callables of the agent; what they answer can be set."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.ticks: list[Tick] = []
        self.lit: dict[str, tuple[str, str]] = {}
        self.durable = True
        self.between = False
        self.well = Health(ok=True)
        self.reached = Health(ok=False, notes={"hub": "no answer since 10:00"})
        self.shown: list[Tick] = [Tick("power", 1_000_000, (Reading("hw.power", 4.5, "W", {"hw.id": "VDD_IN"}),))]

    def latest(self) -> Sequence[Tick]:
        return self.shown

    def status(self) -> Mapping[str, Any]:
        return {"version": "0", "depth": {"telemetry": 3}}

    def health(self) -> Health:
        return self.well

    def ready(self) -> Health:
        return self.reached

    async def record_event(self, kind: str, data: Mapping[str, Any]) -> bool:
        self.events.append((kind, data))
        return self.durable

    def take(self, tick: Tick) -> bool:
        if self.between:
            return False
        self.ticks.append(tick)
        return True

    def light(self, part: str, state: str, note: str = "") -> None:
        self.lit[part] = (state, note)

    def remove(self, part: str) -> None:
        del self.lit[part]

    def all(self) -> tuple[Lamp, ...]:
        return (Lamp("hub", "fail", 0, "no answer"), Lamp("spool", "ok", 0))
