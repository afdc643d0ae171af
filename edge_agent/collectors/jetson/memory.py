"""Memory that the GPU and the engines hold, from the lines NvMapMemUsed and NvMapMemFree of /proc/meminfo.

Some L4T kernels write them, others never do: those give nothing. A Jetson's GPU shares the board's memory, so what it
holds is part of `system.memory.usage`, and there is no memory of the GPU's own.

Not handled: who holds it (debugfs of nvmap, root only).
"""

import re
from collections.abc import Iterable

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_LINE = re.compile(rb"^NvMapMem(Used|Free): +(\d{1,18}) kB$", re.MULTILINE)
_KIB = 1024
_REST = 29
"""Beats that are passed over where the kernel tells nothing of it."""
_STATES = {b"Used": {"jetson.nvmap.state": "used"}, b"Free": {"jetson.nvmap.state": "free"}}


class NvMap:
    """Reads /proc/meminfo."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._file = HostFile(host, "proc/meminfo")
        self._seen: set[bytes] = set()
        self._rest = 0

    def collect(self) -> Iterable[Reading]:
        """Read once; where such lines never were, at each 30th beat."""
        if self._rest and not self._seen:
            self._rest -= 1
            return
        self._rest = _REST
        found: dict[bytes, bytes] = {}
        missing = "not reported"
        try:
            found = dict(_LINE.findall(self._file.read()))
        except OSError as error:
            missing = absence(error)
        self._seen |= found.keys()
        for state in sorted(self._seen):
            value = int(found[state]) * _KIB if state in found else None
            why = missing if value is None else None
            yield Reading("jetson.nvmap.usage", value, "By", _STATES[state], source=self._file.source, reason=why)


OFFER = CollectorOffer(NoOptions, NvMap, default=True)
