"""One number out of two files, where the driver tells no whole one: their product or their share."""

from collections.abc import Iterable

from edge_agent.collectors.sysfs.parts import number, with_value
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.reading import Reading

_MICRO = 1_000_000


class Combined:
    """What two files in millionths make: volts by amperes, or what there is by what there may be (0 or more)."""

    def __init__(self, files: tuple[HostFile, HostFile], series: Reading, *, product: bool) -> None:
        self._files, self._product = files, product
        sign = "*" if product else "/"
        self._one = series._replace(source=f"{files[0].source} {sign} {files[1].source}")
        self.series = (self._one,)

    def read(self) -> Iterable[Reading]:
        """Read both once."""
        (first, reason), (second, other) = number(self._files[0]), number(self._files[1])
        if first is None or second is None:
            return (with_value(self._one, None, reason or other),)
        if self._product:
            return (with_value(self._one, first * second / _MICRO**2),)
        if second <= 0 or first < 0:
            return (with_value(self._one, None, "invalid"),)
        return (with_value(self._one, first / second),)
