"""Chips over boots: names and sources whatever the numbers, chips that swap them, too many, and ones that sleep."""

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.collectors.hwmon import OFFER, Hwmon, Options
from edge_agent.model.ports import Host
from edge_agent.model.reading import series_of
from tests.collectors.test_hwmon import CLASS, chip, shown
from tests.collectors.tree import build, plant


def test_a_series_is_the_same_at_a_boot_with_other_numbers(tmp_path: Path) -> None:
    files = {"name": "x\n", "temp1_input": "1000\n", "temp1_max": "9000\n", "temp1_alarm": "0\n"}
    first, second = tmp_path / "first", tmp_path / "second"
    chip(first, 0, "platform/x.0/i2c-1/1-0040/hwmon", files)
    chip(second, 7, "platform/x.0/i2c-1/1-0040/hwmon", files)
    series = [[series_of(one) for one in build(OFFER, root).collect()] for root in (first, second)]
    assert len(series[0]) == 3
    assert series[0] == series[1]
    assert series[0][0].source == "/sys/devices/platform/x.0/i2c-*/*-0040/hwmon/hwmon*/temp1_input"


def test_chips_that_swap_their_numbers_between_two_looks_keep_their_own_readings(tmp_path: Path) -> None:
    for name, number in (("a", 0), ("b", 1)):
        chip(tmp_path, number, f"platform/{name}.0/hwmon", {"name": f"{name}\n", "temp1_input": f"{number + 1}000\n"})
    collector = build(OFFER, tmp_path)
    own = {"hw.temperature a@platform/a.0/temp1": 1, "hw.temperature b@platform/b.0/temp1": 2}
    assert shown(collector.collect()) == own
    for name, before, after in (("a", 0, 1), ("b", 1, 0)):
        folder = tmp_path / f"sys/devices/platform/{name}.0/hwmon"
        (folder / f"hwmon{before}").rename(folder / f"hwmon{after}")
        (tmp_path / CLASS / f"hwmon{before}").unlink()
    for name, number in (("a", 1), ("b", 0)):
        (tmp_path / CLASS / f"hwmon{number}").symlink_to(f"../../devices/platform/{name}.0/hwmon/hwmon{number}")
    assert set(shown(collector.collect()).values()) == {"missing"}
    assert shown(collector.collect()) == own


@pytest.mark.parametrize(
    ("name", "known"),
    [("mt7921_phy3", "mt7921"), ("mt7996_phy0_1", "mt7996_1"), ("iwlwifi_2", "iwlwifi"), ("a_1", "a_1")],
)
def test_numbers_that_wireless_cards_give_themselves_are_left_out(tmp_path: Path, name: str, known: str) -> None:
    chip(tmp_path, 0, "pci0000:00/0000:03:00.0/hwmon", {"name": f"{name}\n", "temp1_input": "1000\n"})
    assert shown(build(OFFER, tmp_path).collect()) == {f"hw.temperature {known}@pci0000:00/0000:03:00.0/temp1": 1}


def test_an_i2c_bus_that_the_wiring_does_not_number_goes_by_its_adapter(tmp_path: Path) -> None:
    for number in (4, 9):
        root, bus = tmp_path / str(number), f"pci0000:00/0000:00:1f.4/i2c-{number}"
        chip(root, 0, f"{bus}/{number}-0051/hwmon", {"name": "spd5118\n", "temp1_input": "1000\n"})
        plant(root, {f"sys/devices/{bus}/name": "SMBus I801 adapter at efa0\n"})
        key = "spd5118@pci0000:00/0000:00:1f.4/SMBus I801 adapter at efa0/0051/temp1"
        assert shown(build(OFFER, root).collect()) == {f"hw.temperature {key}": 1}
        (root / f"sys/devices/{bus}/of_node").symlink_to("none")
        key = f"spd5118@{bus}/{number}-0051/temp1"
        assert shown(build(OFFER, root).collect()) == {f"hw.temperature {key}": 1}


class _Asked(dict[str, int]):
    """Errors of no file, which remember which files were asked for."""

    def __init__(self) -> None:
        super().__init__({"none": errno.EIO})
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key.rpartition("/")[2])
        return super().get(key, default)


def test_a_card_that_sleeps_is_not_woken(tmp_path: Path) -> None:
    device, status = "pci0000:00/0000:03:00.0", "power/runtime_status"
    files = {"name": "amdgpu\n", "temp1_input": "40000\n", "temp1_label": "edge\n", "temp1_crit": "90000\n"}
    chip(tmp_path, 0, f"{device}/hwmon", files)
    (tmp_path / f"sys/devices/{device}/hwmon/hwmon0/device").symlink_to("../..")
    plant(tmp_path, {f"sys/devices/{device}/{status}": "suspended\n"})
    errors = _Asked()
    collector = Hwmon(Options(), replace(Host(tmp_path, live=False), errors=errors))
    key = f"hw.temperature amdgpu@{device}/temp1"
    assert [shown(collector.collect()) for _beat in range(61)][-1] == {key: "suspended"}
    assert errors.names.isdisjoint({"temp1_input", "temp1_crit"})
    plant(tmp_path, {f"sys/devices/{device}/{status}": "active\n"})
    limit = f"hw.temperature.limit amdgpu@{device}/temp1 critical"
    assert [shown(collector.collect()) for _beat in range(60)][-1] == {key: 40, limit: 90}
    plant(tmp_path, {f"sys/devices/{device}/{status}": "suspended\n"})
    errors.names.clear()
    assert [shown(collector.collect()) for _beat in range(61)][-1] == {key: "suspended", limit: "suspended"}
    assert errors.names.isdisjoint({"temp1_input", "temp1_crit"})


def test_of_too_many_chips_disks_are_left_out_first_and_the_same_ones_at_each_boot(tmp_path: Path) -> None:
    for boot, numbers in enumerate([(0, 1, 2, 3), (3, 2, 1, 0)]):
        root = tmp_path / str(boot)
        for number, (name, device) in zip(
            numbers, [("drivetemp", "a"), ("drivetemp", "b"), ("cpu", "c"), ("z", "d")], strict=True
        ):
            chip(root, number, f"platform/{device}/hwmon", {"name": f"{name}\n", "temp1_input": "1000\n"})
        assert [one.attributes["hw.parent"] for one in build(OFFER, root, most_chips=3).collect()] == [
            "cpu@platform/c", "z@platform/d", "drivetemp@platform/a",
        ]  # fmt: skip
