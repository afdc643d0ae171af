"""How long the machine has been running, from /proc/uptime (proc_uptime(5)): seconds since it booted, suspend included.

In a container it is that of the machine, unless the file itself was laid over (lxcfs does that).
"""

import re
from collections.abc import Iterable

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import NO_ATTRIBUTES, Reading

_LINE = re.compile(rb"(\d{1,12}\.\d\d) ")


class Uptime:
    """Reads /proc/uptime."""

    def __init__(self, options: NoOptions, host: Host) -> None:  # noqa: ARG002 - every collector is built alike
        self._file = HostFile(host, "proc/uptime")

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        value, reason = None, None
        try:
            found = _LINE.match(self._file.reread())
        except OSError as error:
            reason = absence(error)
        else:
            value, reason = (float(found[1]), None) if found else (None, "malformed")
        return [Reading("system.uptime", value, "s", NO_ATTRIBUTES, "gauge", 2, self._file.source, reason)]


OFFER = CollectorOffer(NoOptions, Uptime, default=True)
