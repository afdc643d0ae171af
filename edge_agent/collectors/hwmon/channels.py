"""The channels of a chip, by the names of its files (kernel: Documentation/hwmon/sysfs-interface.rst).

`temp1_input` is the number, `temp1_label` what it is, `temp1_fault` whether it can be believed, `temp1_crit` and
`temp1_max` its limits (read at each look at the chip), `temp1_alarm`, `temp1_crit_alarm` and others its alarms; a
channel may have alarms alone, as the supply of a Raspberry Pi has (`rpi_volt`). `power1_average` stands in where a card
has no `power1_input`. `rpm` is the tachometer of Jetson boards. The name of a channel is its label, or else its number
on the chip, which the wiring fixes.

Numbers that mean that nothing is measured are `invalid`: a temperature of -100 Cel or less, turns a minute below 0 or
of 65535, which several drivers tell of a fan that their register knows nothing of (16 bits of ones: nct6687, max31785,
embedded controllers of laptops), a `pwm` beyond its 255 steps, and 0 Cel or less of a ThinkPad, whose controller says 0
of a sensor that the model does not have. Limits that are not above 0, or that no temperature could reach, are registers
that nobody set, and are left out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.collectors.hwmon.doubt import Alarm, Faulty
from edge_agent.collectors.sysfs.labels import Labels
from edge_agent.collectors.sysfs.lasting import lasting_path
from edge_agent.collectors.sysfs.parts import Fixed, Gauge, Part, number
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.ports import Host
from edge_agent.model.reading import Kind, Reading

_MILLI, _MICRO, _BYTE = 1_000, 1_000_000, 255


class _Quantity(NamedTuple):
    """What one kind of channel measures; `type` is `hw.type` of its status."""

    name: str
    unit: str
    scale: int
    digits: int
    type: str
    kind: Kind = "gauge"
    bounds: tuple[int | None, int | None] = (None, None)
    """Raw numbers up to the first, or from the second on, mean that nothing is measured."""


_QUANTITIES: Mapping[str, _Quantity] = {
    "temp": _Quantity("hw.temperature", "Cel", _MILLI, 3, "temperature", bounds=(-100_000, None)),
    "fan": _Quantity("hw.fan.speed", "rpm", 1, 0, "fan", bounds=(-1, 65_535)),
    "rpm": _Quantity("hw.fan.speed", "rpm", 1, 0, "fan", bounds=(-1, 65_535)),
    "pwm": _Quantity("hw.fan.speed_ratio", "1", _BYTE, 4, "fan", bounds=(-1, _BYTE + 1)),
    "in": _Quantity("hw.voltage", "V", _MILLI, 3, "voltage"),
    "curr": _Quantity("hw.current", "A", _MILLI, 3, "voltage"),
    "power": _Quantity("hw.power", "W", _MICRO, 6, "power_supply"),
    "energy": _Quantity("hw.energy", "J", _MICRO, 6, "power_supply", "counter", (-1, None)),
}
_INPUT = re.compile(r"((temp|fan|in|curr|power|energy)\d{1,3})_(input|average)|((pwm)\d{1,3})|(rpm)")
_ALARM = re.compile(r"((temp|fan|in|curr|power)\d{1,3})_(\w+_)?alarm")
_LIMITED = frozenset({"temp", "fan", "in", "curr", "power"})
_LIMITS = {"crit": "critical", "max": "max"}
LIMITS = tuple(f"_{suffix}" for suffix in _LIMITS)
"""How the names of their files end."""
_HOTTEST = 1_000_000
_OWNERS = {
    "gpu": frozenset({"amdgpu", "radeon", "nouveau", "i915", "xe"}),
    "cpu": frozenset({"coretemp", "k10temp", "zenpower", "fam15h_power", "amd_energy"}),
    "physical_disk": frozenset({"nvme", "drivetemp"}),
}
"""What the power and energy of a chip are those of; others are power supplies, or stand in a supply's wire."""
DISKS, CARDS = _OWNERS["physical_disk"], _OWNERS["gpu"]
_NOT_THERE = {("platform/thinkpad_hwmon", "temp"): (0, None)}
"""Bounds of chips of a device, whatever they say that they are."""
_SHUNTS = {"ina3221": frozenset({"in4", "in5", "in6", "in7"})}
"""Voltages that a chip tells in microvolts (kernel: Documentation/hwmon/ina3221.rst)."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A chip as its channels are looked for: by what it is known, its folder below the root, and the names in there."""

    host: Host
    key: str
    folder: str
    present: frozenset[str]

    def file(self, name: str) -> HostFile:
        """One of its files."""
        return HostFile(self.host, f"{self.folder}/{name}")


def driver_of(key: str) -> str:
    """The driver of the chip that is known by this."""
    return key.partition("@")[0].partition("#")[0]


def device_of(key: str) -> str:
    """The device that it sits on."""
    return key.partition("@")[2].partition("#")[0]


def channels(chip: Chip, labels: Labels, *, alarms: bool) -> list[Sequence[Part]]:
    """The parts of each channel of a chip."""
    found: dict[str, tuple[str, str]] = {}
    alarming: dict[str, list[str]] = {}
    for name in sorted(chip.present):  # so that `_input` comes after `_average` and takes its place
        if match := _INPUT.fullmatch(name):
            found[match[1] or match[4] or match[6]] = (name, match[2] or match[5] or match[6])
        elif alarms and (match := _ALARM.fullmatch(name)):
            alarming.setdefault(match[1], []).append(name)
            found.setdefault(match[1], ("", match[2]))
    return [
        list(_parts(chip, channel, *found[channel], alarming.get(channel, ()), labels)) for channel in sorted(found)
    ]


def _parts(chip: Chip, channel: str, file: str, kind: str, alarming: Sequence[str], labels: Labels) -> Iterator[Part]:
    quantity, scale, driver = _QUANTITIES[kind], _QUANTITIES[kind].scale, driver_of(chip.key)
    digits, bounds = quantity.digits, _NOT_THERE.get((device_of(chip.key), kind), quantity.bounds)
    if channel in _SHUNTS.get(driver, ()):
        scale, digits = _MICRO, 6
    attributes = {"hw.id": f"{chip.key}/{channel}", "hw.parent": chip.key}
    said = labels.read(attributes["hw.id"], f"{chip.folder}/{channel}_label") or channel
    if kind in {"power", "energy"}:
        attributes["hw.name"] = said
        attributes["hw.type"] = next((owner for owner, drivers in _OWNERS.items() if driver in drivers), quantity.type)
    else:
        attributes["hw.sensor_location"] = said
    series = Reading(quantity.name, None, quantity.unit, attributes, quantity.kind, digits)
    if file:
        gauge = Gauge(chip.file(file), series, scale, *bounds)
        fault = f"{channel}_fault"
        yield Faulty(gauge, chip.file(fault)) if fault in chip.present else gauge
        yield from _limits(chip, channel, kind, series, scale)
    if alarming:
        status = {"hw.type": quantity.type, **attributes, "hw.state": "degraded"}
        yield Alarm([chip.file(name) for name in alarming], Reading("hw.status", None, "1", status))


def _limits(chip: Chip, channel: str, kind: str, series: Reading, scale: int) -> Iterator[Part]:
    for suffix, limit in _LIMITS.items():
        name = f"{channel}_{suffix}"
        if kind in _LIMITED and name in chip.present:
            file = chip.file(name)
            raw, reason = number(file)
            if raw is None or (raw > 0 and (kind != "temp" or raw < _HOTTEST)):
                value = None if raw is None else raw / scale
                attributes = {**series.attributes, "hw.limit_type": limit}
                limited = series._replace(name=f"{series.name}.limit", attributes=attributes)
                limited = limited._replace(source=lasting_path(file.source))
                yield Fixed(limited._replace(value=value, reason=reason))
