"""The fan of JetPack 4, from /sys/devices/pwm-fan: how it is driven, and how fast it turns.

`cur_pwm` is 0 to 255; `rpm_measured` holds a number only while `tach_enable` is not 0: a tachometer that is off is
absent, since its 0 would say that the fan stands. JetPack 5 and later have chips of hwmon in its place. The names are
those that readers of it know (`tach_enable` by NVIDIA's driver); no recording holds them.

Not handled: the temperature curve, tegra_fan in debugfs (root only).
"""

from collections.abc import Iterable, Sequence

from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.parts import Gauge, Part, absent, number
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_NAME = "pwm-fan"
_FULL = 255
_PLACE = {"hw.id": _NAME}


class _Tachometer:
    """Turns a minute, while the tachometer is on."""

    def __init__(self, switch: HostFile, gauge: Gauge) -> None:
        self._switch, self._gauge = switch, gauge
        self.series = gauge.series

    def read(self) -> Iterable[Reading]:
        """Read once; where there is no switch the tachometer is always on."""
        on, _reason = number(self._switch)
        return absent([self], "not measured") if on == 0 else self._gauge.read()


class Fan:
    """Reads the fan."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._host = host
        self._fans = Roster(host, Kind("sys/devices", _NAME, lambda _path: _NAME, self._parts, 1))

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        return self._fans.collect()

    def _parts(self, _key: str, path: str) -> Sequence[Part]:
        ratio = Reading("hw.fan.speed_ratio", None, "1", _PLACE, digits=4)
        speed = Gauge(HostFile(self._host, f"{path}/rpm_measured"), Reading("hw.fan.speed", None, "rpm", _PLACE))
        return [
            Gauge(HostFile(self._host, f"{path}/cur_pwm"), ratio, _FULL),
            _Tachometer(HostFile(self._host, f"{path}/tach_enable"), speed),
        ]


OFFER = CollectorOffer(NoOptions, Fan, default=True)
