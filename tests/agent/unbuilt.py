"""A collector from outside that cannot be built."""

from dataclasses import dataclass

from edge_agent.model.offers import Collector, CollectorOffer
from edge_agent.model.ports import Host


@dataclass(frozen=True, slots=True)
class Options:
    """None."""


def _build(_options: Options, _host: Host) -> Collector:
    raise OSError("no such bus")


OFFER = CollectorOffer(Options, _build)
