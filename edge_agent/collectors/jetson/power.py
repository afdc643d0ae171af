"""Voltage, current and power of each rail that a power monitor of the board watches (`rails` has the files).

A rail is known by its label, whatever the number of its chip; where two chips have one label, or a channel has none,
the chip's name and address stand in it. Power is the chip's own number where it has one, else voltage times current of
the same beat, in milliwatts as they are. Chips average over many samples: peaks are not seen, and the rails of one
board do not add up, since some feed others.

`hw.host.power` stands only where one rail is the input itself: POM_5V_IN (Nano) and VDD_IN (TX1 to Orin NX), which are
the module's input, VIN (Thor), which is the board's. AGX Xavier and AGX Orin measure no such rail, and no sum is made
up. Limits of the current are looked at now and then. What cannot be read is asked of tegrastats (`order`).

Not handled: the alarms of the chips, whose register forgets them when it is read; energy.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from edge_agent.collectors.jetson.board import Known
from edge_agent.collectors.jetson.order import Lower
from edge_agent.collectors.jetson.rail import Rail
from edge_agent.collectors.jetson.rails import NOT_CONNECTED, Channel, Seen, hwmon_channels, iio_channels, limit_of
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.parts import Fixed, Gauge, Part, label, names_in
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_CHIPS = frozenset({"ina3221", "ina3221x", "ina238"})
_HWMON, _IIO = "sys/class/hwmon", "sys/bus/i2c/drivers/ina3221x"
_PLACE = re.compile(r"/([^/]+)/hwmon/hwmon\d+$")
"""The address of a chip, in its path."""
_INPUTS = frozenset({"POM_5V_IN", "VDD_IN", "VIN"})
_MILLI = 1000
_MOST = 8
"""Chips of one kind of driver."""


class Power:
    """Reads the rails."""

    def __init__(self, _options: NoOptions, host: Host) -> None:
        self._host, self._known = host, Known(host, every=1)  # asked at each look at a chip
        self._rosters = (
            Roster(host, Kind(_HWMON, r"hwmon\d+", self._chip, self._hwmon_parts, _MOST, numbered=True)),
            Roster(host, Kind(_IIO, r"\d{1,3}-[0-9a-f]{4}", self._address, self._iio_parts, _MOST, numbered=True)),
        )
        self._seen: dict[str, Seen] = {}
        self._lower = Lower(host)
        self._inputs: dict[None, str] = {}
        """The one rail that is the input, once it is known: chips may be looked at by two threads."""

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        return [self._lower.better(reading) for roster in self._rosters for reading in roster.collect()]

    def tried(self, reading: Reading) -> tuple[tuple[str, str], ...]:
        """What was asked after the files for this series, each with its answer."""
        return self._lower.tried(reading)

    def _chip(self, path: str) -> str | None:
        name, place = label(self._host, f"{path}/name"), _PLACE.search(path)
        if name not in _CHIPS:
            return None
        key = f"{name} {place[1]}" if place else name
        self._see(key, hwmon_channels, path)
        return key

    def _address(self, path: str) -> str:
        key = f"ina3221x {path.rpartition('/')[2]}"
        self._see(key, iio_channels, path)
        return key

    def _see(self, key: str, channels: Callable[[Host, str, Seen], Iterator[Channel]], path: str) -> None:
        """Read the labels of a chip that was not seen yet: those of all chips are known before a rail is named."""
        if key not in self._seen:
            self._seen[key] = seen = Seen()
            with suppress(OSError):
                tuple(channels(self._host, path, seen))

    def _hwmon_parts(self, key: str, path: str) -> Sequence[Part]:
        parts = self._rails(key, hwmon_channels(self._host, path, self._seen.setdefault(key, Seen())))
        if "temp1_input" in names_in(self._host, path):
            place = {"hw.id": key, "hw.sensor_location": key}
            series = Reading("hw.temperature", None, "Cel", place, digits=3)
            parts.append(Gauge(HostFile(self._host, f"{path}/temp1_input"), series, _MILLI))
        return parts

    def _iio_parts(self, key: str, path: str) -> Sequence[Part]:
        return self._rails(key, iio_channels(self._host, path, self._seen.setdefault(key, Seen())))

    def _rails(self, key: str, channels: Iterator[Channel]) -> list[Part]:
        own, parts = tuple(channels), list[Part]()
        labels = self._labels()
        for channel in own:
            name = self._named(key, channel, labels)
            parts.append(Rail(self._host, channel, name, is_input=self._is_input(key, name, labels)))
            for kind, file in channel.limits.items():
                place = {"hw.id": name, "hw.limit_type": kind}
                parts.append(Fixed(limit_of(self._host, file, Reading("hw.current.limit", None, "A", place, digits=3))))
        return parts

    def _is_input(self, key: str, name: str, labels: Counter[str]) -> bool:
        """Whether this is the one rail that is the input; the first that is taken for it stays it."""
        if name not in _INPUTS or len(_INPUTS & labels.keys()) > 1:
            return False
        return self._inputs.setdefault(None, f"{key} {name}") == f"{key} {name}"

    def _named(self, key: str, channel: Channel, labels: Counter[str]) -> str:
        if channel.label is None and key.startswith("ina238 "):
            board = self._known.board()
            return "VIN" if board is not None and board.soc == "t264" else key
        if channel.label is None:
            return f"{key} {channel.number}"
        return channel.label if labels[channel.label] <= 1 else f"{channel.label} {key}"

    def _labels(self) -> Counter[str]:
        """How often each label is there, on all chips that were seen."""
        seen = [one for chip in list(self._seen.values()) for one in list(chip.labels.values())]
        return Counter(one for one in seen if one != NOT_CONNECTED)


OFFER = CollectorOffer(NoOptions, Power, default=True, claims=_CHIPS)
