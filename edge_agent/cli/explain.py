"""Where a reading comes from, for `edge-agent sample --explain NAME`: its source, and what was tried before it.

A collector that asks several sources in order has `tried`: those it asked for a series at its last beat, each with why
it had nothing. Every other one reads the place that its reading names, and nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from edge_agent.kit.sources import nearest
from edge_agent.model.failure import DeviceError
from edge_agent.model.offers import Collector
from edge_agent.model.reading import Reading

Tried = Sequence[tuple[str, str]]
"""Sources with what each said, in the order in which they were asked."""

STARTING = "starting"
"""What is said of a program that was begun and wrote no line yet: it is worth while to ask again."""


_GAVE = "gave"
"""What is said of the source that the value is from."""


def tried_for(collector: Collector | None, reading: Reading) -> Tried:
    """The sources that a collector asked for a series at its last beat; none where it knows one only."""
    tried = getattr(collector, "tried", None)
    return tuple(tried(reading)) if tried is not None else ()


def is_starting(collector: Collector | None, readings: Iterable[Reading]) -> bool:
    """Whether one of these readings is absent while a program that may have it is still starting."""
    return any(
        reading.reason == STARTING or any(said == STARTING for _, said in tried_for(collector, reading))
        for reading in readings
        if reading.value is None
    )


class Explained:
    """What is asked about: readings whose name holds `name` (None: all of them, and nothing is explained)."""

    def __init__(self, name: str | None, collectors: Mapping[str, Collector]) -> None:
        self.name = name
        self._collectors = collectors
        self._known: set[str] = set()

    def chosen(self, readings: Iterable[Reading]) -> list[Reading]:
        """Those that are asked about."""
        held = list(readings)
        self._known.update(reading.name for reading in held)
        return [reading for reading in held if self.name is None or self.name in reading.name]

    def tried(self, collector: str, reading: Reading) -> Tried:
        """What was asked before the source that the reading names, or before it was given up."""
        asked = tried_for(self._collectors.get(collector), reading)
        return [
            (source, said) for source, said in asked if source != reading.source or said not in {reading.reason, _GAVE}
        ]

    def check(self) -> None:
        """DeviceError, with the nearest name, when nothing that was seen is asked about."""
        if self.name is not None and not any(self.name in known for known in self._known):
            raise DeviceError(
                f"no reading here has {self.name!r} in its name",
                hint=nearest(self.name, self._known) or "no collector told anything yet: ask for longer",
            )


def written(tried: Tried) -> Iterator[str]:
    """Each source that was tried, with what it said."""
    yield from (f"{source}: {said}" for source, said in tried)
