"""Readings that were taken on real boards, put where the boards have them, come out as what was published.

The recordings name files and numbers, not whole trees: each tree here is built from one of them, and every number that
is in it is looked for. Words are compared in `test_recorded_words`, which names those that are not.
"""

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.collectors import frequency, hwmon, memory, thermal, uptime
from edge_agent.collectors.jetson import emc, gpu, overcurrent, power
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from tests.collectors.jetson.test_power import chip
from tests.collectors.tree import FIXTURES, build, plant, table

RECORDED = FIXTURES / "jetson"
ORIN = {"proc/device-tree/compatible": b"nvidia,tegra234\0"}
THOR = {"proc/device-tree/compatible": b"nvidia,tegra264\0"}

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recordings in {RECORDED}")

Shown = dict[str, float | str | None]


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_bytes())


def shown(offer: CollectorOffer[Any], root: Path) -> Shown:
    return table(build(offer, root).collect())


def zones(root: Path, found: dict[str, Any], scale: int = 1000) -> Shown:
    """What the thermal collector says of these zones: degrees, or words that begin with an errno's name."""
    errors = {}
    for number, (kind, degrees) in enumerate(found.items()):
        folder = f"sys/class/thermal/thermal_zone{number}"
        plant(root, {f"{folder}/type": f"{kind}\n"})
        if isinstance(degrees, str):
            errors[f"{folder}/temp"] = getattr(errno, degrees.split()[0])
            plant(root, {f"{folder}/temp": ""})
        else:
            plant(root, {f"{folder}/temp": f"{round(degrees * scale)}\n"})
    readings = thermal.OFFER.build(thermal.OFFER.options(), Host(root, live=False, errors=errors)).collect()
    return {reading.attributes["hw.id"]: reading.reason or reading.value for reading in readings}


def test_agx_orin_with_jetpack_6(tmp_path: Path) -> None:
    said = recorded("agx-orin-jp6")
    paths = said["paths"]
    for name in ("/proc/device-tree/model", "/proc/device-tree/compatible"):
        plant(tmp_path, {name[1:]: paths[name]})
    load = next(path for path in paths if path.endswith("/load"))
    plant(tmp_path, {load[1:]: "1000\n"})
    for path, files in paths.items():
        if "/hwmon/hwmon" in path:
            rails = {
                int(number): (files[f"in{number}_label"], files[f"in{number}_input"], files[f"curr{number}_input"])
                for number in "123"
                if f"in{number}_label" in files
            }
            chip(tmp_path, int(path[-1]), rails, path.split("/")[6])
    rails_shown = shown(power.OFFER, tmp_path)
    for rail, milliwatts in said["expected_mW"].items():
        assert rails_shown[f"hw.power {rail} voltage"] == pytest.approx(milliwatts / 1000)
    assert len(rails_shown) == 3 * len(said["expected_mW"])
    assert shown(gpu.OFFER, tmp_path)["hw.gpu.utilization general gpu"] == 1
    expected = {kind: told if told == "EAGAIN" else told / 1000 for kind, told in paths["thermal_zones"]}
    assert zones(tmp_path, dict(paths["thermal_zones"]), 1) == expected
    assert list(expected.values()).count("EAGAIN") == 3


def test_orin_nano_super_with_jetpack_6(tmp_path: Path) -> None:
    said = recorded("orin-nano-super-jp6")["readings"]
    entry = "sys/class/devfreq/17000000.gpu"
    plant(
        tmp_path,
        {
            **ORIN,
            f"{entry}/device/load": f"{said['gpu_load_permille']}\n",
            f"{entry}/cur_freq": f"{said['gpu_cur_hz']}\n",
            f"{entry}/max_freq": f"{said['gpu_max_hz']}\n",
            "sys/class/hwmon/hwmon9/name": "pwmfan\n",
            "sys/class/hwmon/hwmon9/pwm1": f"{said['fan_pwm_0_255']}\n",
            "proc/meminfo": f"MemTotal: {said['mem_total_kB']} kB\nMemAvailable: {said['mem_available_kB']} kB\n",
        },
    )
    chip(tmp_path, 1, {n: (rail, *both) for n, (rail, both) in enumerate(said["rails_mV_mA"].items(), 1)})
    board = shown(gpu.OFFER, tmp_path)
    assert board["hw.gpu.utilization general gpu"] == 0.999
    assert board["hw.gpu.speed gpu"] == board["hw.gpu.speed.limit gpu max"] == 1020000000
    rails = shown(power.OFFER, tmp_path)
    for rail, (millivolts, milliamperes) in said["rails_mV_mA"].items():
        assert rails[f"hw.voltage {rail} voltage"] == millivolts / 1000
        assert rails[f"hw.current {rail} voltage"] == milliamperes / 1000
    assert rails["hw.host.power"] == rails["hw.power VDD_IN voltage"] == pytest.approx(4.968 * 1.52)
    fans = build(hwmon.OFFER, tmp_path).collect()
    assert [reading.value for reading in fans if reading.name == "hw.fan.speed_ratio"] == [77 / 255]
    assert zones(tmp_path, {"gpu-thermal": said["temp_gpu_millideg"]}, 1) == {"gpu-thermal": 50.468}
    whole = shown(memory.OFFER, tmp_path)
    assert whole["system.memory.limit"] == said["mem_total_kB"] * 1024
    assert whole["system.memory.linux.available"] == said["mem_available_kB"] * 1024


def test_the_over_current_counters_of_orin_nano_super(tmp_path: Path) -> None:
    said = recorded("orin-nano-super-jp6-oc")["readings"]
    files = {f"sys/class/hwmon/hwmon3/{name}": f"{value}\n" for name, value in said.items() if name[:2] == "oc"}
    plant(tmp_path, {**ORIN, "sys/class/hwmon/hwmon3/name": f"{said['hwmon name']}\n", **files})
    volts, amperes = said["VDD_IN_mV"][1], said["VDD_IN_mA"][1]
    folder = chip(tmp_path, 1, {1: ("VDD_IN", volts, amperes)})
    plant(folder, {"curr1_crit": str(said["curr1_crit_mA"]), "curr1_max": str(said["curr1_max_mA"])})
    counters = shown(overcurrent.OFFER, tmp_path)
    causes = ("under_voltage", "average", "instantaneous")
    assert [counters[f"jetson.oc.events {cause}"] for cause in causes] == [0, 0, 27390]
    assert [counters[f"jetson.oc.throttles {cause}"] for cause in causes] == [1, 1, 1]
    rails = shown(power.OFFER, tmp_path)
    assert rails["hw.host.power"] == pytest.approx(5.024 * 2.4)
    assert rails["hw.current.limit VDD_IN critical"] == rails["hw.current.limit VDD_IN max"] == 4.984
    plant(tmp_path, {"proc/uptime": f"{said['uptime_s']}.00 0.00\n"})
    assert shown(uptime.OFFER, tmp_path)["system.uptime"] == 3605


def test_a_processors_clock_is_the_scaled_one_and_the_one_that_logs_a_warning_is_never_read(tmp_path: Path) -> None:
    said = recorded("orin-nano-super-jp6-oc")["readings"]
    (words, real) = next((name, value) for name, value in said.items() if name.startswith("cpu scaling"))
    folder = "sys/devices/system/cpu/cpu0/cpufreq"
    plant(tmp_path, {f"{folder}/scaling_cur_freq": f"{words.split()[2]}\n", f"{folder}/cpuinfo_cur_freq": f"{real}\n"})
    told = [reading.value for reading in build(frequency.OFFER, tmp_path).collect() if reading.value is not None]
    assert 1_728_000_000 in told
    assert 862_000_000 not in told


def test_the_paths_of_an_orin_nano(tmp_path: Path) -> None:
    paths = recorded("orin-nano-jp6-paths")["paths"]
    chips = tmp_path / "sys/class/hwmon"
    chips.mkdir(parents=True)
    monitor, counters = paths["ina3221"][1:], paths["soctherm_oc"][1:]
    plant(tmp_path, {f"{monitor}/{name}": text for name, text in paths["labels"].items()})
    plant(tmp_path, {f"{monitor}/{name}": "0\n" for name in paths["alarms"]})
    plant(
        tmp_path, {f"{monitor}/name": "ina3221\n", f"{monitor}/in1_input": "5016\n", f"{monitor}/curr1_input": "1000\n"}
    )
    plant(tmp_path, {f"{counters}/name": "soctherm_oc\n", f"{counters}/oc1_event_cnt": "4\n"})
    for path in (monitor, counters):
        (tmp_path / path / "device").symlink_to("../..")
        (chips / path.rpartition("/")[2]).symlink_to(f"../../../{path}")
    clock = paths["gpu"][1:]
    plant(tmp_path, {**ORIN, clock: "306000000\n", f"{clock.split('/devfreq')[0]}/load": "0\n"})
    (tmp_path / clock).parent.joinpath("device").symlink_to("../..")
    (tmp_path / "sys/class/devfreq").mkdir()
    (tmp_path / "sys/class/devfreq/17000000.gpu").symlink_to(f"../../../{clock.rpartition('/')[0]}")
    limit, _, hertz = paths["emc_cap"].partition(" = ")
    plant(tmp_path, {limit[1:]: f"{hertz}\n"})
    rails = shown(power.OFFER, tmp_path)
    assert rails["hw.host.power"] == pytest.approx(5.016)
    assert [name for name in rails if name.startswith("hw.power")] == [
        f"hw.power {rail} voltage" for rail in ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")
    ]
    assert shown(overcurrent.OFFER, tmp_path) == {"jetson.oc.events under_voltage": 4}
    board = shown(gpu.OFFER, tmp_path)
    assert (board["hw.gpu.utilization general gpu"], board["hw.gpu.speed gpu"]) == (0, 306000000)
    assert shown(emc.OFFER, tmp_path)["jetson.emc.frequency.limit"] == 3199000000


def test_thor_with_jetpack_7(tmp_path: Path) -> None:
    said = recorded("thor-jp7")["readings"]
    plant(tmp_path, THOR)
    fans = {"name": "pwmfan\n", "pwm1": f"{said['pwm1']}\n"}
    counts = {"name": "tachometer\n", "rpm": f"{said['rpm']}\n"}
    plant(tmp_path, {f"sys/class/hwmon/hwmon8/{name}": text for name, text in fans.items()})
    plant(tmp_path, {f"sys/class/hwmon/hwmon9/{name}": text for name, text in counts.items()})
    rails = {n: (rail, 10_000, round(watts * 100)) for n, (rail, watts) in enumerate(said["rails_W"].items(), 1)}
    chip(tmp_path, 0, rails, "2-0040")
    found = shown(power.OFFER, tmp_path)
    for rail, watts in said["rails_W"].items():
        assert found[f"hw.power {rail} voltage"] == pytest.approx(watts)
    assert "hw.host.power" not in found
    turning = {reading.name: reading.value for reading in build(hwmon.OFFER, tmp_path).collect()}
    assert turning["hw.fan.speed_ratio"] == 58 / 255
    assert turning["hw.fan.speed"] == 1786
    expected = {kind: "EAGAIN" if isinstance(told, str) else told for kind, told in said["zones_C"].items()}
    assert zones(tmp_path, said["zones_C"]) == expected
    trip = "sys/class/thermal/thermal_zone0/trip_point_0"
    plant(tmp_path, {f"{trip}_type": "critical\n", f"{trip}_temp": f"{round(said['critical_C'] * 1000)}\n"})
    limits = [one for one in build(thermal.OFFER, tmp_path).collect() if one.name == "hw.temperature.limit"]
    assert [(one.attributes["hw.limit_type"], one.value) for one in limits] == [("critical", 114.5)]


def test_the_zones_of_a_nano_with_jetpack_4(tmp_path: Path) -> None:
    said = recorded("nano-jp4-thermal")["zones_C"]
    assert zones(tmp_path, said) == {kind: told for kind, told in said.items() if kind != "PMIC-Die"}
