"""Load averages, from /proc/loadavg: threads that run or wait, damped over 1, 5 and 15 minutes."""

from collections.abc import Iterable
from dataclasses import dataclass

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_NAMES = tuple(f"system.cpu.load_average.{span}" for span in ("1m", "5m", "15m"))


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing can be set."""


class Load:
    """Reads /proc/loadavg."""

    def __init__(self, options: Options, host: Host) -> None:  # noqa: ARG002 - every collector is built alike
        self._file = HostFile(host, "proc/loadavg")

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        source = self._file.source
        try:
            values = [float(word) for word in self._file.read().split()[:3]]
            return [
                Reading(name, value, "{thread}", digits=2, source=source)
                for name, value in zip(_NAMES, values, strict=True)
            ]
        except OSError as error:
            reason = absence(error)
        except ValueError:
            reason = "malformed"
        return [Reading(name, None, "{thread}", digits=2, source=source, reason=reason) for name in _NAMES]


OFFER = CollectorOffer(Options, Load, default=True)
