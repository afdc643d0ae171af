"""Channels of the power monitors (INA3221, INA238) that a board has, as the files of two kinds of driver name them.

JetPack 4 has the driver `ina3221x` of industrial I/O: `rail_name_N`, `in_voltageN_input` mV, `in_currentN_input` mA,
`in_powerN_input` mW, channels from 0. Later releases have hwmon chips: `inN_label`, `inN_input` mV, `currN_input` mA,
channels from 1; `ina238` has one, with `power1_input` in microwatts. Channels 4 and up of an INA3221 are shunt voltages
and sums, no rails. A channel called NC is not connected.

A channel keeps the label and the file of power that it was seen with: one that cannot be read for a while changes no
rail's name. One whose label was never read is left out until it is.
"""

import re
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from edge_agent.collectors.sysfs.lasting import lasting_path
from edge_agent.collectors.sysfs.parts import fetch, label, names_in
from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

NOT_CONNECTED = "NC"
_IIO_POWER, _INA238_POWER = 1_000, 1_000_000
_LIMIT = re.compile(rb"\s*(-?\d{1,10})\s*(?:ma)?\s*", re.IGNORECASE)
"""Milliamperes, and the unit that JetPack 4 writes behind them."""


class Channel(NamedTuple):
    """The files of one rail, by paths below the root. `power` is None where power is voltage times current."""

    number: int
    label: str | None
    voltage: str
    current: str
    power: str | None
    power_scale: int
    limits: Mapping[str, str]
    """Files of limits of the current, by the kind of limit."""


class Seen:
    """What was seen of one chip: the labels of its channels, and which of them have a number for power."""

    def __init__(self) -> None:
        self.labels: dict[int, str] = {}
        self.powers: set[int] = set()

    def label(self, host: Host, path: str, number: int, names: Container[str]) -> str | None:
        """The label of a channel; empty where it has none, None while it cannot be told."""
        if path.rpartition("/")[2] not in names and number not in self.labels:
            return ""
        try:
            found = label(host, path)
        except OSError:
            found = None
        if found is not None:
            self.labels[number] = found
        return self.labels.get(number)

    def power(self, path: str, number: int, names: Container[str]) -> str | None:
        """The file of a channel's power, None where it has none."""
        if path.rpartition("/")[2] in names:
            self.powers.add(number)
        return path if number in self.powers else None


def iio_channels(host: Host, path: str, seen: Seen) -> Iterator[Channel]:
    """The rails of a chip of JetPack 4, at its folder of the driver; OSError where they cannot be told now."""
    for device in sorted(name for name in names_in(host, path) if name.startswith("iio:device")):
        folder = f"{path}/{device}"
        names = names_in(host, folder)
        for number in range(3):
            name = seen.label(host, f"{folder}/rail_name_{number}", number, names)
            limits = {"critical": f"crit_current_limit_{number}", "warning": f"warn_current_limit_{number}"}
            if name and name != NOT_CONNECTED:
                yield Channel(
                    number,
                    name,
                    f"{folder}/in_voltage{number}_input",
                    f"{folder}/in_current{number}_input",
                    seen.power(f"{folder}/in_power{number}_input", number, names),
                    _IIO_POWER,
                    {kind: f"{folder}/{file}" for kind, file in limits.items() if file in names},
                )


def hwmon_channels(host: Host, path: str, seen: Seen) -> Iterator[Channel]:
    """The rails of a chip of hwmon; OSError where they cannot be told now."""
    names = names_in(host, path)
    for number in (1, 2, 3):
        voltage, current = f"in{number}_input", f"curr{number}_input"
        name = seen.label(host, f"{path}/in{number}_label", number, names)
        if name in {None, NOT_CONNECTED} or (name == "" and not {voltage, current} <= names):
            continue
        limits = {"critical": f"curr{number}_crit", "max": f"curr{number}_max"}
        yield Channel(
            number,
            name or None,
            f"{path}/{voltage}",
            f"{path}/{current}",
            seen.power(f"{path}/power{number}_input", number, names),
            _INA238_POWER,
            {kind: f"{path}/{file}" for kind, file in limits.items() if file in names},
        )


def limit_of(host: Host, name: str, series: Reading) -> Reading:
    """A limit in amperes as it is now, or why it cannot be read."""
    file = HostFile(host, name)
    series = series._replace(source=lasting_path(file.source))
    try:
        found = _LIMIT.fullmatch(fetch(file))
    except OSError as error:
        return series._replace(reason=absence(error))
    return series._replace(value=int(found[1]) / 1000) if found else series._replace(reason="malformed")
