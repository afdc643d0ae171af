"""Load averages, from /proc/loadavg: threads that run or wait, damped over 1, 5 and 15 minutes."""

import re
from collections.abc import Iterable

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_NAMES = tuple(f"system.cpu.load_average.{span}" for span in ("1m", "5m", "15m"))
_LOADS = re.compile(rb"(\d{1,15}\.\d\d) (\d{1,15}\.\d\d) (\d{1,15}\.\d\d) ")


class Load:
    """Reads /proc/loadavg."""

    def __init__(self, options: NoOptions, host: Host) -> None:  # noqa: ARG002 - every collector is built alike
        self._file = HostFile(host, "proc/loadavg")

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        source = self._file.source
        found, reason = None, "malformed"
        try:
            found = _LOADS.match(self._file.reread())
        except OSError as error:
            reason = absence(error)
        if found:
            return [
                Reading(name, float(value), "{thread}", digits=2, source=source)
                for name, value in zip(_NAMES, found.groups(), strict=True)
            ]
        return [Reading(name, None, "{thread}", digits=2, source=source, reason=reason) for name in _NAMES]


OFFER = CollectorOffer(NoOptions, Load, default=True)
