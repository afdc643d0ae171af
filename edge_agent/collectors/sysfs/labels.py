"""Labels that hold: what a sensor was called when that could be read last.

A label is an attribute of its sensor's series, so one that cannot be read for a while, or reads as nothing, must not
make another series of it. Before it was ever read there is none.
"""

from edge_agent.collectors.sysfs.parts import label
from edge_agent.model.ports import Host

_MOST = 4096


class Labels:
    """Remembers the last good label of each sensor; beyond `_MOST` sensors nothing more is remembered."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._known: dict[str, str] = {}

    def read(self, sensor: str, name: str) -> str | None:
        """The label of a sensor, in the file of this name below the root."""
        try:
            text = label(self._host, name)
        except OSError:
            text = None
        if text is None:
            return self._known.get(sensor)
        if len(self._known) < _MOST or sensor in self._known:
            self._known[sensor] = text
        return text
