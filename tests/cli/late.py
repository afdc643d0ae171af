"""A collector whose program takes a few beats to begin: `[collectors."tests.cli.late"]`; or breaks, with `breaks`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading


@dataclass(frozen=True)
class Options:
    """`beats` that it takes."""

    beats: int = 4
    breaks: bool = False


class Late:
    """Has a value after so many beats."""

    def __init__(self, options: Options, _host: Host) -> None:
        self._left, self._breaks = options.beats, options.breaks

    def collect(self) -> Iterable[Reading]:
        if self._breaks:
            raise ValueError("no such [register]")
        self._left -= 1
        value, reason = (None, "missing") if self._left > 0 else (1, None)
        return [Reading("late", value, "1", source="nvml [1]", reason=reason)]

    def tried(self, _reading: Reading) -> Sequence[tuple[str, str]]:
        return [("/a [file]", "missing"), ("nvml", "starting")] if self._left > 0 else [("/a [file]", "missing")]


OFFER = CollectorOffer(Options, Late)
