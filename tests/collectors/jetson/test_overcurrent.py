"""Over-current: counters by cause, where the causes are known."""

from pathlib import Path

import pytest

from edge_agent.collectors.jetson.overcurrent import OFFER
from tests.collectors.tree import build, plant, table

CHIP = "sys/class/hwmon/hwmon3"
FILES = {
    f"{CHIP}/name": "soctherm_oc\n",
    **{f"{CHIP}/oc{number}_event_cnt": f"{count}\n" for number, count in ((1, 0), (2, 0), (3, 27390))},
    **{f"{CHIP}/oc{number}_throt_en": f"{on}\n" for number, on in ((1, 1), (2, 0), (3, 1))},
}


def test_orin_names_the_causes(tmp_path: Path) -> None:
    plant(tmp_path, {**FILES, "proc/device-tree/compatible": b"nvidia,tegra234\0"})
    readings = list(build(OFFER, tmp_path).collect())
    assert table(readings) == {
        "jetson.oc.events under_voltage": 0,
        "jetson.oc.events average": 0,
        "jetson.oc.events instantaneous": 27390,
        "jetson.oc.throttles under_voltage": 1,
        "jetson.oc.throttles average": 0,
        "jetson.oc.throttles instantaneous": 1,
    }
    assert {reading.kind for reading in readings if reading.name == "jetson.oc.events"} == {"counter"}


@pytest.mark.parametrize("chip", [b"nvidia,tegra264\0", b""])
def test_elsewhere_they_keep_their_numbers(tmp_path: Path, chip: bytes) -> None:
    plant(tmp_path, {**FILES, "proc/device-tree/compatible": chip})
    assert table(build(OFFER, tmp_path).collect())["jetson.oc.events oc3"] == 27390


def test_a_counter_that_cannot_be_read_is_absent(tmp_path: Path) -> None:
    plant(tmp_path, {**FILES, f"{CHIP}/oc2_event_cnt": ""})
    shown = table(build(OFFER, tmp_path).collect())
    assert (shown["jetson.oc.events oc2"], shown["jetson.oc.events oc3"]) == ("malformed", 27390)


def test_a_machine_without_the_chip_gives_nothing(tmp_path: Path) -> None:
    plant(tmp_path, {f"{CHIP}/name": "coretemp\n"})
    assert list(build(OFFER, tmp_path).collect()) == []
