"""Readings of the recorded machine of node_exporter and of recorded cards, against what others read from them.

`sys.ttar` is a machine put together by node_exporter for its own tests, `e2e-output.txt` what it says of it. Each of
its metrics of sensors stands in one of two tables: compared, or left out with the reason; each of ours is compared with
one of them, or stands in a third table with the reason why not. What a metric's samples are called here is written out
by hand, so that no rule of the collectors is its own judge.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge_agent.collectors import battery, frequency, hwmon, powercap, thermal, wear
from edge_agent.model.reading import Reading
from tests.collectors.tree import FIXTURES, build

NODE = FIXTURES / "node_exporter"
CARDS = FIXTURES / "gpu-sysfs"
OFFERS = (thermal.OFFER, hwmon.OFFER, frequency.OFFER, battery.OFFER, powercap.OFFER, wear.OFFER)
FAMILIES = re.compile(
    r"node_(hwmon|thermal|cooling|cpu_scaling|cpu_frequency|cpu_core|cpu_package|rapl|power_supply|nvme)_\w+"
)

pytestmark = pytest.mark.skipif(not NODE.exists(), reason="the recorded machines are not beside this checkout")

CHIPS = {
    "platform_coretemp_0": "coretemp@platform/coretemp.0",
    "platform_coretemp_1": "coretemp@platform/coretemp.1",
    "platform_applesmc_768": "applesmc@platform/applesmc.768",
    "nct6779": "nct6779@platform/nct6775.656",
    "hwmon4": "unnamed",
    "ieee80211_phy0_mt7996_phy0_0": "mt7996_0@platform/soc/18000000.wifi",
    "ieee80211_phy0_mt7996_phy0_1": "mt7996_1@platform/soc/18000000.wifi",
    "ieee80211_phy0_mt7996_phy0_2": "mt7996_2@platform/soc/18000000.wifi",
}


class Twin(NamedTuple):
    """What a metric is called here; its number times `scale` is ours."""

    name: str
    attributes: Mapping[str, str]
    scale: float = 1


MAX, CRITICAL, ALARM = {"hw.limit_type": "max"}, {"hw.limit_type": "critical"}, {"hw.state": "degraded"}
COMPARED = {
    "node_hwmon_temp_celsius": Twin("hw.temperature", {}),
    "node_hwmon_temp_crit_celsius": Twin("hw.temperature.limit", CRITICAL),
    "node_hwmon_temp_max_celsius": Twin("hw.temperature.limit", MAX),
    "node_hwmon_temp_crit_alarm_celsius": Twin("hw.status", ALARM),
    "node_hwmon_fan_rpm": Twin("hw.fan.speed", {}),
    "node_hwmon_fan_max_rpm": Twin("hw.fan.speed.limit", MAX),
    "node_hwmon_fan_alarm": Twin("hw.status", ALARM),
    "node_hwmon_in_volts": Twin("hw.voltage", {}),
    "node_hwmon_in_max_volts": Twin("hw.voltage.limit", MAX),
    "node_hwmon_in_alarm": Twin("hw.status", ALARM),
    "node_thermal_zone_temp": Twin("hw.temperature", {"hw.id": "cpu-thermal"}),
    "node_cooling_device_cur_state": Twin("linux.cooling.state", {"linux.cooling.device": "Processor"}),
    "node_cooling_device_max_state": Twin("linux.cooling.state.limit", {"linux.cooling.device": "Processor"}),
    "node_cpu_scaling_frequency_hertz": Twin("system.cpu.frequency", {}),
    "node_rapl_package_joules_total": Twin("hw.energy", {"hw.id": "package-0"}),
    "node_rapl_core_joules_total": Twin("hw.energy", {"hw.id": "package-0/core"}),
    "node_power_supply_capacity": Twin("hw.battery.charge", {"hw.id": "BAT0"}, 0.01),
    "node_power_supply_power_watt": Twin("hw.power", {"hw.id": "BAT0"}),
    "node_power_supply_voltage_volt": Twin("hw.voltage", {"hw.id": "BAT0"}),
    "node_power_supply_online": Twin("hw.status", {"hw.id": "AC", "hw.state": "ok"}),
}
_SETTING = "a setting of fan control or of the chip, not a reading"
LEFT_OUT = {
    r"node_hwmon_pwm_\w+": _SETTING,
    r"node_hwmon_fan_(manual|output|pulses|target_rpm|tolerance)": _SETTING,
    r"node_hwmon_\w+_beep_enabled": _SETTING,
    r"node_hwmon_(fan_min_rpm|in_min_volts)": "a lower limit; only the upper ones are read",
    r"node_hwmon_freq_freq_mhz": "the clock of a card: for a collector of cards",
    r"node_hwmon_intrusion_alarm": "no sensor: a switch of the case",
    r"node_hwmon_(chip_names|sensor_label)": "names: attributes here",
    r"node_cpu_frequency_hertz": "from /proc/cpuinfo, which only some processors fill",
    r"node_cpu_scaling_(frequency_(max|min)_hertz|governor)": "a setting",
    r"node_power_supply_(cyclecount|energy_\w+|voltage_min_design)": "not read: charge as a share is",
    r"node_power_supply_(info|present)": "names, and a state that is compared below",
    r"node_cpu_(core|package)_throttles_total": "not read: of the processors of one maker only",
    r"node_nvme_\w+": "what a drive is, not how it does: sysfs has no reading of it",
}
ONLY_OURS = {
    "hw.battery.time_left": "the recorded battery does not tell it",
    "hw.current": "the recorded chips and battery have none",
    "hw.current.limit": "the recorded chips have none",
    "hw.fan.speed_ratio": "the recorded chips have settings of pwm, but not what it is now",
    "hw.physical_disk.endurance_utilization": "the recorded machine has no eMMC, and theirs does not read it",
    "hw.power.limit": "the recorded chips have none",
}
"""Our metrics of sensors that are not compared with theirs, each with its reason."""
ATTRIBUTES = re.compile(r"hw\.(id|name|parent|type|state|sensor_location|limit_type|\w+\.state)|linux\.cooling\.device")
LIMITED = ("hw.temperature", "hw.fan.speed", "hw.voltage", "hw.current", "hw.power")
"""What a chip may have a limit of."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded machine as a tree."""
    root = tmp_path_factory.mktemp("machine")
    unpack(NODE / "sys.ttar", root)
    return root


@pytest.fixture(scope="module")
def readings(machine: Path) -> list[Reading]:
    """All that is read of it."""
    whole = {path: path.read_bytes() for path in machine.glob("**/energy_uj")}
    for path in whole:
        path.write_bytes(b"0\n")  # energy is told since the first read
    built = [build(offer, machine) for offer in OFFERS]
    for collector in built:
        list(collector.collect())
    for path, text in whole.items():
        path.write_bytes(text)
    return [reading for collector in built for reading in collector.collect()]


def unpack(archive: Path, root: Path) -> None:
    """Write out the folders, files and links of a ttar archive."""
    lines = iter(archive.read_bytes().split(b"\n"))
    path = root
    for line in lines:
        key, _colon, said = line.partition(b": ")
        if key in {b"Path", b"Directory"}:
            path = root / said.decode()
            (path if key == b"Directory" else path.parent).mkdir(parents=True, exist_ok=True)
        elif key == b"SymlinkTo":
            path.symlink_to(said.decode())
        elif key == b"Lines":
            text = b"".join(next(lines) + b"\n" for _line in range(int(said)))
            path.write_bytes(text.replace(b"EOF\n", b"").replace(b"NULLBYTE", b"\0"))


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each sample of the families that are compared."""
    for match in re.finditer(r"^(node_\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE):
        if FAMILIES.fullmatch(match[1]):
            yield match[1], dict(re.findall(r'(\w+)="([^"]*)"', match[2] or "")), float(match[3])


def expected() -> list[tuple[str, dict[str, str], float]]:
    """What node_exporter says of the machine."""
    return list(samples((NODE / "e2e-output.txt").read_text(errors="replace")))


def found(readings: list[Reading], twin: Twin, labels: Mapping[str, str]) -> list[Reading]:
    """The readings here that are the twins of a sample."""
    wanted = dict(twin.attributes)
    if "chip" in labels:
        wanted["hw.id"] = f"{CHIPS[labels['chip']]}/{labels['sensor']}"
    if "cpu" in labels:
        wanted["cpu.logical_number"] = labels["cpu"]
    return [one for one in readings if one.name == twin.name and wanted.items() <= one.attributes.items()]


def is_unset(name: str, value: float) -> bool:
    """Whether this is the limit of a chip of which nobody set the register: left out here."""
    return COMPARED[name].name.endswith(".limit") and name.startswith("node_hwmon_") and value <= 0


def test_each_metric_is_compared_or_left_out_with_a_reason() -> None:
    names = {name for name, _labels, _value in expected()}
    assert len(names) > 60
    assert names >= COMPARED.keys()
    for name in names:
        reasons = [reason for pattern, reason in LEFT_OUT.items() if re.fullmatch(pattern, name)]
        assert len(reasons) == (name not in COMPARED), name


def ours() -> set[str]:
    """The names of all metrics that the collectors of sensors can tell, as they stand in their files."""
    files = [Path(str(module.__file__)) for module in (battery, frequency, powercap, thermal, wear)]
    files += Path(str(hwmon.__file__)).parent.glob("*.py")
    said = {name for file in files for name in re.findall(r'"((?:hw|linux|system)\.[a-z0-9_.]+)"', file.read_text())}
    return {name for name in said if not ATTRIBUTES.fullmatch(name)} | {f"{name}.limit" for name in LIMITED}


def test_each_of_our_metrics_is_compared_or_has_its_reason() -> None:
    compared = {twin.name for twin in COMPARED.values()}
    assert ours() == compared | ONLY_OURS.keys()
    assert not compared & ONLY_OURS.keys()


def test_every_compared_sample_agrees(readings: list[Reading]) -> None:
    count = 0
    for name, labels, value in expected():
        if name in COMPARED:
            twins = found(readings, COMPARED[name], labels)
            if is_unset(name, value):
                assert not twins, (name, labels)
                continue
            assert len(twins) == 1, (name, labels)
            assert twins[0].value == pytest.approx(value * COMPARED[name].scale, rel=1e-9), (name, labels)
            count += 1
    assert count == 75


def test_nothing_is_read_that_the_other_does_not_tell(readings: list[Reading]) -> None:
    told = [
        found(readings, COMPARED[name], labels)[0]
        for name, labels, value in expected()
        if name in COMPARED and not is_unset(name, value)
    ]
    more = [one for one in readings if one not in told]
    states = {one.attributes["hw.state"]: one.value for one in more}
    assert states == {"charging": 0, "discharging": 1, "not_charging": 0, "full": 0}  # status="Discharging" of its info
    assert len(more) == len(states)


def test_every_reading_is_of_a_series_of_its_own(readings: list[Reading]) -> None:
    assert len({(one.name, *sorted(one.attributes.items())) for one in readings}) == len(readings)


def recorded() -> list[Path]:
    """The hwmon folder of each recorded card."""
    return sorted(CARDS.glob("*/*/card*/device/hwmon/hwmon*"))


def card(root: Path, folder: Path) -> dict[str, Any]:
    """A tree with that folder; what the recording's own project (LACT) reads from the card."""
    target = root / "sys/class/hwmon" / folder.name
    target.mkdir(parents=True)
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    snapshot = (folder.parents[3] / "expected.snap").read_text()
    stats: dict[str, Any] = json.loads(snapshot[snapshot.index("\n{") :])["stats"]
    return stats


@pytest.mark.parametrize("folder", recorded(), ids=lambda folder: folder.parents[3].name)
def test_cards_read_as_the_project_that_recorded_them_reads_them(tmp_path: Path, folder: Path) -> None:
    stats = card(tmp_path, folder)
    told = [one for one in build(hwmon.OFFER, tmp_path).collect() if not one.name.endswith("limit")]
    temperatures = {one.attributes["hw.sensor_location"]: one.value for one in told if one.name == "hw.temperature"}
    known = {name: known["current"] for name, known in stats["temps"].items()}
    unlabelled = {"gpu": "temp1"}  # the i915 driver gives no label, and LACT calls its one temperature so
    assert temperatures == {
        unlabelled.get(name, name) if name not in temperatures else name: known[name] for name in known
    }
    power = [one.value for one in told if one.name == "hw.power" and one.attributes["hw.id"].endswith("power1")]
    drawn = stats["power"].get("current", stats["power"].get("average"))
    assert power == ([] if drawn is None else [pytest.approx(drawn, rel=1e-6)])
    voltage = {one.value for one in told if one.name == "hw.voltage" and one.attributes["hw.id"].endswith("in0")}
    assert voltage == ({stats["voltage"]["gpu"] / 1000} if "gpu" in stats["voltage"] else set())
    fans = {one.value for one in told if one.name == "hw.fan.speed" and one.attributes["hw.id"].endswith("fan1")}
    assert fans == ({stats["fan"]["speed_current"]} if "speed_current" in stats["fan"] else set())
    assert not [one for one in told if one.value is None]
