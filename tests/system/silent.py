"""A collector whose source does not answer: `[collectors."tests.system.silent"]`, for tests of the whole agent."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading


@dataclass(frozen=True, slots=True)
class Options:
    """`pipe` is a FIFO: opening it takes until somebody writes there."""

    pipe: str = ""


class Silent:
    """Reads the pipe."""

    def __init__(self, options: Options, _host: Host) -> None:
        self._pipe = Path(options.pipe)

    def collect(self) -> Iterable[Reading]:
        return [Reading("silent.bytes", len(self._pipe.read_bytes()), "By", source=str(self._pipe))]


OFFER = CollectorOffer(Options, Silent)
