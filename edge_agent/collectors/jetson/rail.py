"""One rail: its voltage, current and power, read together, so that a product is of one beat.

Power is the chip's own number where it has one, else voltage times current, to the milliwatt, which is as fine as chips
and tegrastats tell it. What of it cannot be read is absent with its reason; the rest stands. The rail that is the
board's input gives `hw.host.power` too.
"""

from collections.abc import Iterable, Sequence

from edge_agent.collectors.jetson.rails import Channel
from edge_agent.collectors.sysfs.lasting import lasting_path
from edge_agent.collectors.sysfs.parts import number
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.ports import Host
from edge_agent.model.reading import NO_ATTRIBUTES, Reading

_MILLI, _MICRO = 1000, 1_000_000


class Rail:
    """One channel: voltage, current and power are read together."""

    def __init__(self, host: Host, channel: Channel, name: str, *, is_input: bool) -> None:
        place = {"hw.id": name, "hw.type": "voltage"}
        self._volts, self._amperes = HostFile(host, channel.voltage), HostFile(host, channel.current)
        self._watts = HostFile(host, channel.power) if channel.power else None
        self._scale = channel.power_scale
        volts, amperes = lasting_path(self._volts.source), lasting_path(self._amperes.source)
        source = lasting_path(self._watts.source) if self._watts else f"{volts} * {amperes}"
        digits = 6 if self._watts and self._scale > _MILLI else 3
        power = Reading("hw.power", None, "W", place, digits=digits, source=source)
        total = power._replace(name="hw.host.power", attributes=NO_ATTRIBUTES)
        self._powers = (power, total) if is_input else (power,)
        self._voltage = Reading("hw.voltage", None, "V", place, digits=3, source=volts)
        self._current = Reading("hw.current", None, "A", place, digits=3, source=amperes)
        self.series: Sequence[Reading] = (*self._powers, self._voltage, self._current)

    def read(self) -> Iterable[Reading]:
        """Read once."""
        volts, no_volts = number(self._volts)
        amperes, no_amperes = number(self._amperes)
        watts, why = None, no_volts or no_amperes
        if self._watts is not None:
            raw, why = number(self._watts)
            watts = None if raw is None else raw / self._scale
        elif volts is not None and amperes is not None:
            watts = volts * amperes / _MICRO
        return (
            *(power._replace(value=watts, reason=why) for power in self._powers),
            self._voltage._replace(value=None if volts is None else volts / _MILLI, reason=no_volts),
            self._current._replace(value=None if amperes is None else amperes / _MILLI, reason=no_amperes),
        )
