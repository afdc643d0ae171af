"""Thermal zones and cooling devices: what is a temperature, what is none, what comes and goes."""

import errno
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.collectors.thermal import OFFER, Options, Thermal
from edge_agent.model.ports import Host
from edge_agent.model.reading import series_of
from tests.collectors.tree import FIXTURES, build, plant, table

CLASS = "sys/class/thermal"


def zone(number: int, kind: str, temp: str | None, **files: str) -> dict[str, str]:
    """The files of a thermal zone."""
    told = {"type": f"{kind}\n", **files} | ({} if temp is None else {"temp": temp})
    return {f"{CLASS}/thermal_zone{number}/{name}": content for name, content in told.items()}


def device(number: int, kind: str, state: str, most: str) -> dict[str, str]:
    """The files of a cooling device."""
    folder = f"{CLASS}/cooling_device{number}"
    return {f"{folder}/type": f"{kind}\n", f"{folder}/cur_state": state, f"{folder}/max_state": most}


def test_zones_are_known_by_their_type(tmp_path: Path) -> None:
    plant(tmp_path, zone(0, "cpu-thermal", "47500\n") | zone(1, "tj-thermal", "-3250\n"))
    assert table(build(OFFER, tmp_path).collect()) == {
        "hw.temperature cpu-thermal cpu-thermal": 47.5,
        "hw.temperature tj-thermal tj-thermal": -3.25,
    }


def test_a_machine_without_zones_yields_nothing(tmp_path: Path) -> None:
    assert table(build(OFFER, tmp_path).collect()) == {}


@pytest.mark.parametrize(
    ("temp", "reason"),
    [
        (None, "missing"),
        ("-256000\n", "invalid"),
        ("", "malformed"),
        ("warm\n", "malformed"),
        ("1" * 9999, "malformed"),
    ],
)
def test_a_zone_that_tells_nothing_costs_its_own_temperature_only(
    tmp_path: Path, temp: str | None, reason: str
) -> None:
    plant(tmp_path, zone(0, "gpu-thermal", temp) | zone(1, "cpu-thermal", "40000\n"))
    assert table(build(OFFER, tmp_path).collect()) == {
        "hw.temperature gpu-thermal gpu-thermal": reason,
        "hw.temperature cpu-thermal cpu-thermal": 40,
    }


def test_a_gated_zone_is_absent_with_its_error(tmp_path: Path) -> None:
    plant(tmp_path, zone(0, "gpu-thermal", "40000\n"))
    host = Host(tmp_path, live=False, errors={f"{CLASS}/thermal_zone0/temp": errno.EAGAIN})
    assert table(Thermal(Options(), host).collect()) == {"hw.temperature gpu-thermal gpu-thermal": "EAGAIN"}


def test_a_folder_in_a_file_s_place_and_a_link_in_circles_are_absent(tmp_path: Path) -> None:
    plant(tmp_path, zone(0, "a", None, **{"temp/x": ""}) | zone(1, "b", None))
    (tmp_path / CLASS / "thermal_zone1/temp").symlink_to("temp")
    shown = table(build(OFFER, tmp_path).collect())
    assert shown == {"hw.temperature a a": "unreadable: EISDIR", "hw.temperature b b": "unreadable: ELOOP"}


def test_the_dummy_of_jetson_boards_is_dropped_and_a_constant_is_not(tmp_path: Path) -> None:
    plant(tmp_path, zone(0, "PMIC-Die", "100000\n") | zone(1, "thermal-fan-est", "100000\n"))
    assert table(build(OFFER, tmp_path).collect()) == {"hw.temperature thermal-fan-est thermal-fan-est": 100}


def test_zones_of_one_type_are_told_apart(tmp_path: Path) -> None:
    plant(tmp_path, zone(10, "acpitz", "10000\n") | zone(9, "acpitz", "9000\n"))
    collector = build(OFFER, tmp_path)
    expected = {"hw.temperature acpitz acpitz": 9, "hw.temperature acpitz#2 acpitz#2": 10}
    assert table(collector.collect()) == expected


def test_trip_points_are_limits(tmp_path: Path) -> None:
    trips = {
        "trip_point_0_type": "passive\n", "trip_point_0_temp": "99000\n",
        "trip_point_1_type": "passive\n", "trip_point_1_temp": "95000\n",
        "trip_point_2_type": "critical\n", "trip_point_2_temp": "104500\n",
        "trip_point_3_type": "active\n", "trip_point_3_temp": "50000\n",
        "trip_point_4_type": "hot\n", "trip_point_4_temp": "-274000\n",
    }  # fmt: skip
    plant(tmp_path, zone(0, "tj", "40000\n", **trips))
    assert table(build(OFFER, tmp_path).collect()) == {
        "hw.temperature tj tj": 40,
        "hw.temperature.limit tj throttled tj": 95,
        "hw.temperature.limit tj critical tj": 104.5,
    }


def test_a_trip_point_that_nobody_set_is_no_limit(tmp_path: Path) -> None:
    trips = {
        "trip_point_0_type": "passive\n", "trip_point_0_temp": "0\n",
        "trip_point_1_type": "hot\n", "trip_point_1_temp": "2147483647\n",
    }  # fmt: skip
    plant(tmp_path, zone(0, "x86_pkg_temp", "40000\n", **trips))
    assert table(build(OFFER, tmp_path).collect()) == {"hw.temperature x86_pkg_temp x86_pkg_temp": 40}


def test_a_limit_is_unknown_while_one_of_its_trip_points_is(tmp_path: Path) -> None:
    trips = {
        "trip_point_0_type": "passive\n", "trip_point_0_temp": "99000\n",
        "trip_point_1_type": "passive\n", "trip_point_1_temp": "warm\n",
    }  # fmt: skip
    plant(tmp_path, zone(0, "tj", "40000\n", **trips))
    collector = build(OFFER, tmp_path)
    assert table(collector.collect())["hw.temperature.limit tj throttled tj"] == "malformed"
    plant(tmp_path, {f"{CLASS}/thermal_zone0/trip_point_1_temp": "95000\n"})
    told = [table(collector.collect())["hw.temperature.limit tj throttled tj"] for _beat in range(60)]
    assert told[-1] == 95


def test_cooling_devices_are_steps(tmp_path: Path) -> None:
    plant(
        tmp_path,
        device(0, "Processor", "1\n", "3\n") | device(1, "Processor", "0", "3\n") | device(2, "powerclamp", "-1", "50"),
    )
    assert table(build(OFFER, tmp_path).collect()) == {
        "linux.cooling.state Processor": 1,
        "linux.cooling.state.limit Processor": 3,
        "linux.cooling.state Processor#2": 0,
        "linux.cooling.state.limit Processor#2": 3,
        "linux.cooling.state powerclamp": "invalid",
        "linux.cooling.state.limit powerclamp": 50,
    }
    assert table(build(OFFER, tmp_path, cooling=False).collect()) == {}


def test_a_zone_that_went_is_gone_and_is_found_again_under_another_number(tmp_path: Path) -> None:
    plant(tmp_path, zone(0, "a", "1000\n") | zone(1, "b", "2000\n"))
    collector = build(OFFER, tmp_path)
    collector.collect()
    shutil.rmtree(tmp_path / CLASS / "thermal_zone1")
    assert table(collector.collect())["hw.temperature b b"] == "missing"
    assert table(collector.collect()) == {"hw.temperature a a": 1, "hw.temperature b b": "gone"}
    plant(tmp_path, zone(7, "b", "3000\n"))
    shown = [table(collector.collect())["hw.temperature b b"] for _beat in range(30)]
    assert shown[-1] == 3
    assert set(shown) == {"gone", 3}


def test_a_zone_that_appears_is_found_within_30_beats(tmp_path: Path) -> None:
    collector = build(OFFER, tmp_path)
    assert table(collector.collect()) == {}
    plant(tmp_path, zone(0, "a", "1000\n"))
    shown = [table(collector.collect()) for _beat in range(30)]
    assert shown[-1] == {"hw.temperature a a": 1}


def test_zones_are_bounded(tmp_path: Path) -> None:
    for number in range(200):
        plant(tmp_path, zone(number, f"z{number}", "1000\n"))
    assert len(table(build(OFFER, tmp_path).collect())) == 128


def test_what_cannot_be_listed_leaves_the_known_ones_as_they_are(tmp_path: Path) -> None:
    plant(tmp_path, zone(0, "a", "1000\n"))
    collector = build(OFFER, tmp_path)
    collector.collect()
    (tmp_path / "sys/class/thermal").rename(tmp_path / "sys/class/other")
    (tmp_path / "sys/class/thermal").symlink_to("thermal")
    assert [table(collector.collect()) for _beat in range(40)][-1] == {"hw.temperature a a": "unreadable: ELOOP"}


def test_a_type_that_cannot_be_read_for_a_while_changes_no_name(tmp_path: Path) -> None:
    plant(tmp_path, zone(0, "a", "1000\n"))
    errors: dict[str, int] = {}
    host = replace(Host(tmp_path, live=False), errors=errors)
    collector = Thermal(Options(), host)
    collector.collect()
    errors[f"{CLASS}/thermal_zone0/type"] = errno.EIO
    assert {str(table(collector.collect())) for _beat in range(40)} == {"{'hw.temperature a a': 1.0}"}


def test_a_series_is_the_same_at_a_boot_with_other_numbers(tmp_path: Path) -> None:
    series = []
    for boot, (number, kind) in enumerate([(0, "iwlwifi_1"), (4, "iwlwifi_2")]):
        trip = {"trip_point_0_type": "critical\n", "trip_point_0_temp": "90000\n"}
        plant(tmp_path / str(boot), zone(number, kind, "41000\n", **trip) | device(number, "fan", "1\n", "3\n"))
        series.append({series_of(one) for one in build(OFFER, tmp_path / str(boot)).collect()})
    assert len(series[0]) == 4
    assert series[0] == series[1]


def test_zones_that_swap_their_numbers_between_two_looks_keep_their_own_readings(tmp_path: Path) -> None:
    plant(tmp_path, zone(0, "a", "1000\n") | zone(1, "b", "2000\n"))
    collector = build(OFFER, tmp_path)
    own = {"hw.temperature a a": 1, "hw.temperature b b": 2}
    assert table(collector.collect()) == own
    folder = tmp_path / CLASS
    for before, after in (("thermal_zone0", "x"), ("thermal_zone1", "thermal_zone0"), ("x", "thermal_zone1")):
        (folder / before).rename(folder / after)
    assert table(collector.collect()) == own


RECORDED: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "agx-orin-jp6": lambda told: dict(told["paths"]["thermal_zones"]),
    "thor-jp7": lambda told: told["readings"]["zones_C"],
    "nano-jp4-thermal": lambda told: told["zones_C"],
}


@pytest.mark.skipif(not FIXTURES.exists(), reason="the recorded boards are not beside this checkout")
@pytest.mark.parametrize("board", RECORDED)
def test_recorded_boards(tmp_path: Path, board: str) -> None:
    zones = RECORDED[board](json.loads((FIXTURES / f"jetson/{board}.json").read_text()))
    scale = 1 if board == "agx-orin-jp6" else 1000
    errors: dict[str, int] = {}
    expected: dict[str, float | str] = {}
    for number, (kind, told) in enumerate(zones.items()):
        gated = isinstance(told, str)
        plant(tmp_path, zone(number, kind, "0\n" if gated else f"{told * scale:.0f}\n"))
        if gated:
            assert told.startswith("EAGAIN")
            errors[f"{CLASS}/thermal_zone{number}/temp"] = errno.EAGAIN
        if kind != "PMIC-Die":
            expected[f"hw.temperature {kind} {kind}"] = "EAGAIN" if gated else told * scale / 1000
    shown = table(Thermal(Options(), Host(tmp_path, live=False, errors=errors)).collect())
    assert shown == expected
    assert len(shown) == {"agx-orin-jp6": 11, "thor-jp7": 5, "nano-jp4-thermal": 6}[board]
