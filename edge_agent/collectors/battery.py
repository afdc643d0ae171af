"""Batteries and the mains, from /sys/class/power_supply, by the names that their drivers give them (`BAT0`, `AC`).

Of a battery or a UPS: charge (`capacity` in percent, or else what is in it by what goes into it), voltage, current,
power (`power_now`, or else voltage times current; some drivers tell a discharge as less than 0), the seconds left
that its own gauge expects, and what it does. Of the mains and of USB: whether they supply (`hw.status` `ok`).

The kernel makes a thermal zone of the same name for a supply that tells its temperature: that is `thermal`'s then, and
left out here. A charge outside of 0 to 100 % and a temperature of -100 Cel or less, or of 1000 or more, are drivers'
words for not knowing (`invalid`).

Batteries of things that are not this machine (a mouse: `scope` is `Device`) are left out. Not handled: wear, cycles,
energy in watt hours; time left where the battery does not tell it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from edge_agent.collectors.sysfs.combined import Combined
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.parts import Gauge, Part, States, label, names_in, told
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_MICRO = 1_000_000
_CELLS = frozenset({"Battery", "UPS"})
_STATES = {"Charging": "charging", "Discharging": "discharging", "Not charging": "not_charging", "Full": "full"}
_LEFT: Mapping[str, tuple[int, str, str]] = {
    "discharging": (0, "time_to_empty_now", "time_to_empty_avg"),
    "charging": (-1, "time_to_full_now", "time_to_full_avg"),
}
"""What the seconds are until; numbers up to the first mean that there is none; the files, by preference."""
_FULL = (("energy_now", "energy_full"), ("charge_now", "charge_full"))
_PRODUCT = ("voltage_now", "current_now")
_COLDEST, _HOTTEST = -1000, 10_000
_ZONES = "sys/class/thermal"
_MOST = 16


class _Online:
    """Whether a supply supplies, in whatever way."""

    def __init__(self, file: HostFile, series: Reading) -> None:
        self._gauge = Gauge(file, series, least=-1)
        self.series = self._gauge.series

    def read(self) -> Iterable[Reading]:
        """Read once."""
        return [one if one.value is None else one._replace(value=int(one.value > 0)) for one in self._gauge.read()]


class Battery:
    """Reads every power supply of this machine."""

    def __init__(self, options: NoOptions, host: Host) -> None:  # noqa: ARG002 - every collector is built alike
        self._host = host
        self._zoned: set[str] = set()
        self._roster = Roster(host, Kind("sys/class/power_supply", r"[\w.:@+-]{1,64}", self._name, self._parts, _MOST))

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        return self._roster.collect()

    def _name(self, path: str) -> str | None:
        told(self._host, f"{path}/type")
        return None if label(self._host, f"{path}/scope") == "Device" else path.rpartition("/")[2]

    def _parts(self, key: str, path: str) -> Sequence[Part]:
        kind = label(self._host, f"{path}/type")
        if kind in _CELLS:
            return list(self._cell({"hw.id": key}, path))
        if "online" not in names_in(self._host, path):
            return []
        place = {"hw.id": key, "hw.type": "power_supply", "hw.state": "ok"}
        return [_Online(HostFile(self._host, f"{path}/online"), Reading("hw.status", None, "1", place))]

    def _cell(self, place: dict[str, str], path: str) -> Iterator[Part]:
        present = names_in(self._host, path)
        yield from self._charge_and_power(place, path, present)
        for file, name, unit in (("voltage_now", "hw.voltage", "V"), ("current_now", "hw.current", "A")):
            if file in present:
                yield self._gauge(path, file, Reading(name, None, unit, place, digits=6), _MICRO)
        if "temp" in present and not self._has_zone(place["hw.id"]):
            where = {**place, "hw.sensor_location": place["hw.id"]}
            series = Reading("hw.temperature", None, "Cel", where, digits=1)
            yield Gauge(HostFile(self._host, f"{path}/temp"), series, 10, _COLDEST, _HOTTEST)
        for state, (least, *files) in _LEFT.items():
            if left := next((file for file in files if file in present), None):
                series = Reading("hw.battery.time_left", None, "s", {**place, "hw.battery.state": state})
                yield Gauge(HostFile(self._host, f"{path}/{left}"), series, least=least)
        if "status" in present:
            yield self._status(place, path)

    def _has_zone(self, name: str) -> bool:
        """Whether `thermal` tells this supply's temperature; once it did, that stays so."""
        if name not in self._zoned and name in self._zones():
            self._zoned.add(name)
        return name in self._zoned

    def _zones(self) -> Iterator[str | None]:
        with suppress(OSError):
            for zone in names_in(self._host, _ZONES):
                if zone.startswith("thermal_zone"):
                    with suppress(OSError):
                        yield label(self._host, f"{_ZONES}/{zone}/type")

    def _charge_and_power(self, place: dict[str, str], path: str, present: frozenset[str]) -> Iterator[Part]:
        charge = Reading("hw.battery.charge", None, "1", place, digits=2)
        power = Reading("hw.power", None, "W", {**place, "hw.type": "battery"}, digits=6)
        if "capacity" in present:
            yield Gauge(HostFile(self._host, f"{path}/capacity"), charge, 100, -1, 101)
        elif full := next((two for two in _FULL if present.issuperset(two)), None):
            yield Combined(self._two(path, full), charge._replace(digits=4), product=False)
        if "power_now" in present:
            yield self._gauge(path, "power_now", power, _MICRO)
        elif present.issuperset(_PRODUCT):
            yield Combined(self._two(path, _PRODUCT), power, product=True)

    def _status(self, place: dict[str, str], path: str) -> Part:
        states = {
            text: Reading("hw.status", None, "1", {**place, "hw.type": "battery", "hw.state": state})
            for text, state in _STATES.items()
        }
        return States(HostFile(self._host, f"{path}/status"), states, none=("Unknown",))

    def _gauge(self, path: str, file: str, series: Reading, scale: int) -> Gauge:
        return Gauge(HostFile(self._host, f"{path}/{file}"), series, scale)

    def _two(self, path: str, files: tuple[str, str]) -> tuple[HostFile, HostFile]:
        return HostFile(self._host, f"{path}/{files[0]}"), HostFile(self._host, f"{path}/{files[1]}")


OFFER = CollectorOffer(NoOptions, Battery, default=True)
