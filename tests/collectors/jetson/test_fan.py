"""The fan of JetPack 4: its drive, and its speed while somebody counts."""

from pathlib import Path

import pytest

from edge_agent.collectors.jetson.fan import OFFER
from tests.collectors.tree import build, plant, table

FAN = "sys/devices/pwm-fan"
RATIO, SPEED = "hw.fan.speed_ratio pwm-fan", "hw.fan.speed pwm-fan"


def test_drive_and_speed_are_told(tmp_path: Path) -> None:
    plant(tmp_path, {f"{FAN}/cur_pwm": "51\n", f"{FAN}/tach_enable": "1\n", f"{FAN}/rpm_measured": "1890\n"})
    assert table(build(OFFER, tmp_path).collect()) == {RATIO: pytest.approx(0.2), SPEED: 1890}


def test_a_tachometer_that_is_off_is_no_fan_that_stands(tmp_path: Path) -> None:
    plant(tmp_path, {f"{FAN}/cur_pwm": "51\n", f"{FAN}/tach_enable": "0\n", f"{FAN}/rpm_measured": "0\n"})
    assert table(build(OFFER, tmp_path).collect()) == {RATIO: pytest.approx(0.2), SPEED: "not measured"}


def test_a_fan_without_a_tachometer_has_no_speed(tmp_path: Path) -> None:
    plant(tmp_path, {f"{FAN}/cur_pwm": "0\n"})
    assert table(build(OFFER, tmp_path).collect()) == {RATIO: 0, SPEED: "missing"}


def test_a_machine_without_it_gives_nothing(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/devices/platform/pwm-fan/hwmon/hwmon1/pwm1": "80\n"})
    assert list(build(OFFER, tmp_path).collect()) == []
