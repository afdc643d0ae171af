"""Temperatures and cooling of the kernel's thermal zones, from /sys/class/thermal.

`thermal_zone*/{type,temp}` is milli-degrees Celsius; a zone is known by its type (without the number that `iwlwifi_1`
counts itself by), two of one type by their order. A
block that is switched off answers with EAGAIN, or with -256000: absent either way. `PMIC-Die` of Jetson boards is a
constant in the driver and is left out. `trip_point_*_{type,temp}` are read at each look at the zone: the lowest
critical, hot and passive ones are its limits (`throttled` is where the kernel starts to slow things down). Drivers give
0, or what is far below it, for a trip point that nobody set. Paths: Documentation/ABI/testing/sysfs-class-thermal.

`cooling_device*/{type,cur_state,max_state}` are steps of a fan or of a throttle, 0 when it does nothing; names are
custom, since semantic conventions have none. On boards whose throttles are cooling devices (`*-throttle-alert`), more
than 0 says that it throttles now.

Zones and devices are read one after another: while one takes long, all wait, and the beats that go by are told as
missed; other collectors are not held up.

Not handled: which zone drives which cooling device.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.lasting import lasting_name, lasting_path
from edge_agent.collectors.sysfs.parts import Fixed, Gauge, Part, label, names_in, number, told
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_FOLDER = "sys/class/thermal"
_DUMMIES = frozenset({"PMIC-Die"})
_NO_TEMPERATURE = -100_000
_NO_STATE = -1
"""`intel_powerclamp` says it while it is not in use."""
_HOTTEST = 1_000_000
_LIMITS = {"critical": "critical", "hot": "hot", "passive": "throttled"}
_TRIP = re.compile(r"trip_point_\d{1,3}_type")
_MOST_ZONES, _MOST_DEVICES = 64, 64


@dataclass(frozen=True, slots=True)
class Options:
    """`cooling`: also read the cooling devices."""

    cooling: bool = True


class Thermal:
    """Reads thermal zones, and cooling devices if asked to."""

    def __init__(self, options: Options, host: Host) -> None:
        self._host = host
        zones = Kind(_FOLDER, r"thermal_zone\d+", self._zone_type, self._zone, _MOST_ZONES, numbered=True)
        devices = Kind(_FOLDER, r"cooling_device\d+", self._type, self._device, _MOST_DEVICES, numbered=True)
        self._rosters = [Roster(host, kind) for kind in ([zones, devices] if options.cooling else [zones])]

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        return [reading for roster in self._rosters for reading in roster.collect()]

    def _type(self, path: str) -> str:
        return lasting_name(told(self._host, f"{path}/type"))

    def _zone_type(self, path: str) -> str | None:
        found = self._type(path)
        return None if found in _DUMMIES else found

    def _zone(self, key: str, path: str) -> list[Part]:
        place = {"hw.id": key, "hw.sensor_location": key}
        series = Reading("hw.temperature", None, "Cel", place, digits=3)
        temperature = Gauge(HostFile(self._host, f"{path}/temp"), series, 1000, _NO_TEMPERATURE)
        return [temperature, *(Fixed(limit) for limit in self._limits(place, path))]

    def _limits(self, place: dict[str, str], path: str) -> Iterator[Reading]:
        found: dict[str, list[Reading]] = {}
        for trip in sorted(name for name in names_in(self._host, path) if _TRIP.fullmatch(name)):
            try:
                kind = label(self._host, f"{path}/{trip}")
            except OSError:
                continue
            if kind is not None and kind in _LIMITS:
                file = HostFile(self._host, f"{path}/{trip.removesuffix('type')}temp")
                raw, reason = number(file)
                source = lasting_path(file.source)
                if raw is None or 0 < raw < _HOTTEST:
                    value, attributes = None if raw is None else raw / 1000, {**place, "hw.limit_type": _LIMITS[kind]}
                    limit = Reading("hw.temperature.limit", value, "Cel", attributes, "gauge", 3, source, reason)
                    found.setdefault(kind, []).append(limit)
        for limits in found.values():
            # One that cannot be read may be the lowest.
            yield min(limits, key=lambda limit: -math.inf if limit.value is None else limit.value)

    def _device(self, key: str, path: str) -> list[Part]:
        place = {"linux.cooling.device": key}
        state = Reading("linux.cooling.state", None, "{step}", place)
        file = HostFile(self._host, f"{path}/max_state")
        most, reason = number(file)
        limit = Reading(
            "linux.cooling.state.limit", most, "{step}", place, source=lasting_path(file.source), reason=reason
        )
        return [Gauge(HostFile(self._host, f"{path}/cur_state"), state, least=_NO_STATE), Fixed(limit)]


OFFER = CollectorOffer(Options, Thermal, default=True)
