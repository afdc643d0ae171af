"""Whatever becomes of one file of a board, nothing is raised, no 0 stands for it, and other readings stay."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from edge_agent.model.reading import Reading
from tests.collectors.jetson.test_power import ORIN, chip, nano
from tests.collectors.tree import build, plant

NAMES = ("board", "gpu", "power", "emc", "engines", "modes", "overcurrent", "fan", "memory")
CPUS, GPU, OC = "sys/devices/system/cpu/cpufreq/policy0", "sys/class/devfreq/17000000.gpu", "sys/class/hwmon/hwmon8"
FILES: dict[str, str | bytes] = {
    "proc/device-tree/compatible": b"nvidia,p3701\0nvidia,tegra234\0",
    "proc/device-tree/model": b"NVIDIA Jetson AGX Orin Developer Kit\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=2 NAME=MODE_15W >\n",
    "var/lib/nvpmodel/status": "pmode:0002\n",
    "proc/meminfo": "NvMapMemUsed:     212344 kB\nNvMapMemFree:     5 kB\n",
    f"{CPUS}/scaling_min_freq": "5\n",
    f"{CPUS}/scaling_max_freq": "5\n",
    f"{GPU}/cur_freq": "611000000\n",
    f"{GPU}/min_freq": "306000000\n",
    f"{GPU}/max_freq": "306000000\n",
    f"{GPU}/device/load": "412\n",
    "sys/class/devfreq/15340000.vic/device/load": "33\n",
    "sys/kernel/debug/clk/nvdec/clk_rate": "268800000\n",
    "sys/kernel/debug/clk/nvdec/clk_enable_count": "1\n",
    "sys/kernel/debug/bpmp/debug/clk/emc/rate": "1600000000\n",
    "sys/kernel/actmon_avg_activity/mc_all": "92000\n",
    "sys/kernel/nvpmodel_clk_cap/emc": "3199000000\n",
    f"{OC}/name": "soctherm_oc\n",
    f"{OC}/oc1_event_cnt": "3\n",
    f"{OC}/oc1_throt_en": "1\n",
    "sys/devices/pwm-fan/cur_pwm": "80\n",
    "sys/devices/pwm-fan/tach_enable": "1\n",
    "sys/devices/pwm-fan/rpm_measured": "1890\n",
}


def board(root: Path) -> list[Path]:
    """A board that has everything; its files."""
    plant(root, FILES)
    chip(root, 3, ORIN)
    nano(root)
    return sorted(path for path in root.rglob("*") if path.is_file())


def restore(file: Path, content: bytes) -> None:
    """What it was before."""
    if file.is_dir() and not file.is_symlink():
        file.rmdir()
    else:
        file.unlink(missing_ok=True)
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def binary(file: Path) -> None:
    file.write_bytes(bytes(range(256)))


def endless(file: Path) -> None:
    file.write_bytes(b"9" * 100_000)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def circle(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def vanished(file: Path) -> None:
    file.unlink()


def said(collectors: list[Any]) -> dict[object, Reading]:
    readings = [reading for collector in collectors for reading in collector.collect()]
    found: dict[object, Reading] = {
        (reading.name, *sorted(reading.attributes.items())): reading for reading in readings
    }
    assert len(found) == len(readings)
    return found


SPOILS = pytest.mark.parametrize(
    "spoil", [empty, binary, endless, folder, circle, vanished], ids=lambda spoil: spoil.__name__
)
OFFERS = [import_module(f"edge_agent.collectors.jetson.{name}").OFFER for name in NAMES]


@SPOILS
def test_one_bad_file_costs_its_own_readings_only(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    for file in board(tmp_path):
        collectors = [build(offer, tmp_path) for offer in OFFERS]
        before, content = said(collectors), file.read_bytes()
        spoil(file)
        after = said(collectors)
        restore(file, content)
        for key, reading in before.items():
            if reading.value is None or after[key].value == reading.value:
                continue
            assert after[key].value is None, f"{file}: {after[key]}"
            assert file.name in after[key].source or file.name in reading.source, f"{file}: {after[key]}"


@SPOILS
def test_a_file_that_is_bad_from_the_start_raises_nothing(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    for file in board(tmp_path):
        content = file.read_bytes()
        spoil(file)
        collectors = [build(offer, tmp_path) for offer in OFFERS]
        for _ in range(2):
            assert all((one.value is None) == (one.reason is not None) for one in said(collectors).values())
        restore(file, content)
