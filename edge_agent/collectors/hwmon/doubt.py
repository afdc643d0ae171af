"""What a channel says of itself besides its number: that it is broken, or that a limit was passed.

`*_fault` set means that the number cannot be believed; nor can it while that is not known. Alarms are the status
`degraded` of the channel: 1 while any of them is set, unknown while none is and one of them cannot be read.
"""

from collections.abc import Iterable, Sequence

from edge_agent.collectors.sysfs.lasting import lasting_path
from edge_agent.collectors.sysfs.parts import Gauge, absent, number
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.reading import Reading


class Faulty:
    """A channel that says itself whether it can be believed."""

    def __init__(self, gauge: Gauge, fault: HostFile) -> None:
        self._gauge, self._fault = gauge, fault
        self.series = gauge.series

    def read(self) -> Iterable[Reading]:
        """Read once."""
        fault, reason = number(self._fault)
        return self._gauge.read() if fault == 0 else absent([self._gauge], reason or "fault")


class Alarm:
    """Whether any of a channel's alarms is set."""

    def __init__(self, files: Sequence[HostFile], series: Reading) -> None:
        self._files = files
        self._one = series._replace(source=lasting_path(files[0].source))
        self.series: Sequence[Reading] = (self._one,)

    def read(self) -> Iterable[Reading]:
        """Read once."""
        said = [number(file) for file in self._files]
        if any(raw for raw, _reason in said):
            return (self._one._replace(value=1),)
        reason = next((reason for _raw, reason in said if reason), None)
        return (self._one._replace(value=None if reason else 0, reason=reason),)
