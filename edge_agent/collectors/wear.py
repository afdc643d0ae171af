"""How much of an eMMC's life is used, from /sys/block/mmcblk*/device/{life_time,pre_eol_info} (kernel: mmc-dev-attrs).

`life_time` is the device's own estimate for its two kinds of cells, in tenths, upward: 0x01 is up to 10 % used, 0x0a up
to 100 %, 0x0b more than that, which is told as 1.1. `pre_eol_info` is what is left of the spare blocks: 0x01 normal,
0x02 80 % are used, 0x03 90 %. 0x00 is `not reported`. The device is known by its own name and serial number: blocks
are numbered as they come up. The kernel asks the device once, at its start: numbers are as old as that.

SD cards do not tell their wear. NVMe drives tell it to root only, by a command; sysfs has nothing of it. Not handled:
UFS.
"""

import re
from collections.abc import Iterable, Sequence

from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.lasting import lasting_path
from edge_agent.collectors.sysfs.parts import Part, States, absent, fetch, names_in, told, with_value
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_LIFE = re.compile(rb"\s*0x([0-9a-fA-F]{2})\s+0x([0-9a-fA-F]{2})\s*")
_STEPS, _BEYOND = 10, 11
_CELLS = ("a", "b")
"""Type A cells are the fast, sturdy ones (pseudo-SLC), type B the dense ones."""
_SPARE = {"0x01": "ok", "0x02": "degraded", "0x03": "predicted_failure"}
_MOST = 8


class _Life:
    """Two estimates in one file."""

    def __init__(self, file: HostFile, place: dict[str, str]) -> None:
        self._file = file
        self.series = tuple(
            Reading(
                "hw.physical_disk.endurance_utilization",
                None,
                "1",
                {**place, "hw.physical_disk.state": "used", "mmc.cells": cells},
                digits=1,
                source=lasting_path(file.source),
            )
            for cells in _CELLS
        )

    def read(self) -> Iterable[Reading]:
        """Read once."""
        try:
            found = _LIFE.fullmatch(fetch(self._file))
        except OSError as error:
            return absent([self], absence(error))
        if found is None:
            return absent([self], "malformed")
        return [
            _estimate(series, int(step, 16)) for series, step in zip(self.series, (found[1], found[2]), strict=True)
        ]


class Wear:
    """Reads every eMMC."""

    def __init__(self, options: NoOptions, host: Host) -> None:  # noqa: ARG002 - every collector is built alike
        self._host = host
        kind = Kind("sys/block", r"mmcblk\d+", self._device, self._parts, _MOST, numbered=True, otherwise=self._block)
        self._roster = Roster(host, kind)

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        return self._roster.collect()

    def _device(self, path: str) -> str | None:
        """Name and serial number, where it tells of its life."""
        if names_in(self._host, f"{path}/device").isdisjoint(("life_time", "pre_eol_info")):
            return None
        return " ".join(told(self._host, f"{path}/device/{file}") for file in ("name", "serial"))

    def _block(self, path: str) -> str:
        """What it is where it tells not both of them."""
        return path.rpartition("/")[2]

    def _parts(self, key: str, path: str) -> Sequence[Part]:
        place, device = {"hw.id": key}, f"{path}/device"
        present, parts = names_in(self._host, device), list[Part]()
        if "life_time" in present:
            parts.append(_Life(HostFile(self._host, f"{device}/life_time"), place))
        if "pre_eol_info" in present:
            states = {
                text: Reading("hw.status", None, "1", {**place, "hw.type": "physical_disk", "hw.state": state})
                for text, state in _SPARE.items()
            }
            parts.append(States(HostFile(self._host, f"{device}/pre_eol_info"), states, none=("0x00",)))
        return parts


def _estimate(series: Reading, step: int) -> Reading:
    if not step:
        return with_value(series, None, "not reported")
    return with_value(series, step / _STEPS) if step <= _BEYOND else with_value(series, None, "malformed")


OFFER = CollectorOffer(NoOptions, Wear, default=True)
