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

A zone or device that takes long, or never answers, is absent as `hung` meanwhile, and holds up no other
(`sysfs.roster`).

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
_ZONE, _DEVICE = "thermal_zone", "cooling_device"
_MOST = 128
"""Zones and devices; zones come first."""


@dataclass(frozen=True, slots=True)
class Options:
    """`cooling`: also read the cooling devices."""

    cooling: bool = True


class Thermal:
    """Reads thermal zones, and cooling devices if asked to."""

    def __init__(self, options: Options, host: Host) -> None:
        self._host = host
        pattern = rf"({_ZONE}|{_DEVICE})\d+" if options.cooling else rf"{_ZONE}\d+"
        self._roster = Roster(
            host, Kind(_FOLDER, pattern, self._type, self._parts, _MOST, numbered=True, rank=_is_device)
        )

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        return self._roster.collect()

    def _type(self, path: str) -> str | None:
        found = lasting_name(told(self._host, f"{path}/type"))
        what = _DEVICE if path.rpartition("/")[2].startswith(_DEVICE) else _ZONE
        return None if what == _ZONE and found in _DUMMIES else f"{what} {found}"

    def _parts(self, key: str, path: str) -> list[Part]:
        what, _space, name = key.partition(" ")
        return self._device(name, path) if what == _DEVICE else self._zone(name, path)

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


def _is_device(key: str) -> bool:
    return key.startswith(_DEVICE)


OFFER = CollectorOffer(Options, Thermal, default=True)
