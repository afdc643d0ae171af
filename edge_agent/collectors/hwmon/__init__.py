"""Sensors of the kernel's hardware monitoring, from /sys/class/hwmon: chips of boards, drives, cards and fans.

Temperatures, fans, voltages, currents, power, energy, what a fan is driven with (`pwm*`, a share of 255), limits and
alarms; `channels` says which files and which names. A chip is known by its driver's name and the device that it sits
on, never by the number of its folder. A channel whose `*_fault` is set is absent with the reason `fault`. A chip whose
name cannot be read is not read until it can: somebody may own it. One that has none is `unnamed`. A graphics card or
disk that the kernel sent to sleep (`device/power/runtime_status`) is absent as `suspended`: reading would wake it.

A chip that takes long, or never answers, is absent as `hung` meanwhile and holds up no other (`sysfs.roster`). Where
there are more chips than `most_chips` disks come last; those beyond are not read.

Left to others: chips that an enabled collector claims, what a thermal zone shows here once more (`thermal`), batteries
(`battery`). Not handled: humidity, intrusion, frequencies of cards, the settings of fan control.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.collectors.hwmon.channels import CARDS, DISKS, LIMITS, Chip, channels, driver_of
from edge_agent.collectors.hwmon.chip import chip, files_at, zone_names
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.labels import Labels
from edge_agent.collectors.sysfs.parts import Part, label, names_in, told
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_SLEEPERS = CARDS | DISKS


@dataclass(frozen=True, slots=True)
class Options:
    """`alarms`: also read alarms; some chips keep one until it is read, and then forget it.

    `most_chips` and `most_channels` (of one chip) bound how much is read.
    """

    alarms: bool = True
    most_chips: int = 32
    most_channels: int = 64


class Hwmon:
    """Reads every chip that nobody else reads."""

    def __init__(self, options: Options, host: Host) -> None:
        self._options, self._host = options, host
        self._zones: frozenset[str] = frozenset()
        self._labels = Labels(host)
        kind = Kind(
            "sys/class/hwmon",
            r"hwmon\d+",
            self._chip,
            self._channels,
            options.most_chips,
            numbered=True,
            before=self._see_zones,
            otherwise=self._unnamed,
            rests=self._rests,
            rank=_is_disk,
        )
        self._roster = Roster(host, kind)

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        return self._roster.collect()

    def _see_zones(self) -> None:
        self._zones = zone_names(self._host)

    def _chip(self, path: str) -> str | None:
        return chip(self._host, path, told(self._host, f"{files_at(self._host, path)}/name"), self._zones)

    def _unnamed(self, path: str) -> str | None:
        names = names_in(self._host, files_at(self._host, path))
        return chip(self._host, path, "unnamed", self._zones) if names and "name" not in names else None

    def _rests(self, key: str, path: str) -> str | None:
        if driver_of(key) not in _SLEEPERS:
            return None
        try:
            status = label(self._host, f"{path}/device/power/runtime_status")
        except OSError:
            return None
        return status if status == "suspended" else None

    def _channels(self, key: str, path: str) -> Sequence[Part]:
        folder = files_at(self._host, path)
        present = names_in(self._host, folder)
        if self._rests(key, path):  # its limits are read when it is awake
            present = frozenset(name for name in present if not name.endswith(LIMITS))
        found = Chip(self._host, key, folder, present)
        every = channels(found, self._labels, alarms=self._options.alarms)
        return [part for parts in every[: self._options.most_channels] for part in parts]


def _is_disk(key: str) -> bool:
    return driver_of(key) in DISKS


OFFER = CollectorOffer(Options, Hwmon, default=True)
