"""The doctor's sensors: what a board lacks, and the exact words that open it."""

import asyncio
import os
import shutil
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge_agent.agent.machine import host_of
from edge_agent.cli.checks.sensors import CHECK
from edge_agent.cli.finding import Finding
from edge_agent.cli.remedy import closed, is_closed, program_fix
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading
from tests.cli.test_doctor import config, patient

MACHINES = Path(__file__).parents[1] / "machines"


def found(tmp_path: Path, root: Path, more: str = "") -> dict[str, Finding]:
    """What is found on a machine, by what it says up to its first number."""
    at = patient(config(tmp_path, more=more))
    at = replace(at, ports=replace(at.ports, host=host_of(root)))

    async def scene() -> Iterable[Finding]:
        return await CHECK.look(at)

    return {finding.what.partition(" (")[0]: finding for finding in asyncio.run(scene())}


def test_a_board_whose_debugfs_is_shut_names_the_service_that_reads_it(tmp_path: Path) -> None:
    told = found(tmp_path, MACHINES / "agx-orin-jp6")
    shut = told["only root may read debugfs"]
    assert shut.where.startswith("/sys/kernel/debug/")
    assert "SupplementaryGroups=jtop" in shut.fix
    assert "this is a Jetson, and its device tree is hidden" not in told
    assert any(name.endswith("absent") and finding.state == "ok" for name, finding in told.items())


DEBUGFS, ENERGY = "only root may read debugfs", "only root may read the energy counters"
HIDDEN = "this is a Jetson, and its device tree is hidden"


@pytest.mark.parametrize(
    ("machine", "lacks"),
    [
        ("nano-jp4", {DEBUGFS}),
        ("tx2-jp4", {DEBUGFS}),
        ("xavier-nx-jp5", {DEBUGFS}),
        ("agx-orin-jp6", {DEBUGFS}),
        ("orin-nano-jp6", {DEBUGFS}),
        ("orin-jp7", {DEBUGFS}),
        ("thor-jp7", {DEBUGFS}),
        ("container-without-sys-firmware", {HIDDEN}),
        ("x86-desktop", {ENERGY, "fault"}),
        ("bare-vm", set()),
    ],
)
def test_of_each_machine_what_it_lacks_is_told_and_nothing_else(tmp_path: Path, machine: str, lacks: set[str]) -> None:
    told = found(tmp_path, MACHINES / machine)
    assert {what for what, finding in told.items() if finding.state != "ok"} == lacks
    assert all(finding.fix for finding in told.values() if finding.state != "ok")


def test_a_machine_of_intel_names_the_rule_for_its_energy_counters(tmp_path: Path) -> None:
    told = found(tmp_path, MACHINES / "x86-desktop")
    assert 'SUBSYSTEM=="powercap"' in told[ENERGY].fix
    assert "/etc/udev/rules.d/" in told[ENERGY].fix


def test_energy_counters_are_opened_to_a_group_alone_and_it_is_said_why(tmp_path: Path) -> None:
    told = found(tmp_path, MACHINES / "x86-desktop")
    assert "CVE-2020-8694" in told[ENERGY].fix
    assert "SupplementaryGroups=edge-agent-energy" in told[ENERGY].fix
    assert "a+r" not in told[ENERGY].fix
    assert told["fault"].where.endswith("_input")


def test_of_two_files_behind_one_reading_the_one_that_is_shut_is_told(tmp_path: Path) -> None:
    told = found(tmp_path, MACHINES / "nano-jp4")
    assert [finding.fix for finding in told.values() if "actmon" in finding.fix] == []


def told_of(tmp_path: Path, *machine: str, tree: bool = True) -> dict[str, Finding]:
    """What is found on an Orin Nano without these of its files, or without a device tree that can be seen."""
    root = tmp_path / "root"
    shutil.copytree(MACHINES / "orin-nano-jp6", root, symlinks=True)
    for name in machine:
        for path in root.glob(name):
            path.unlink()
    if not tree:
        shutil.rmtree(root / "sys/firmware")
    return found(tmp_path, root)


def test_a_board_without_its_release_file_or_its_power_monitor_names_them(tmp_path: Path) -> None:
    told = told_of(tmp_path, "etc/nv_tegra_release", "sys/class/hwmon/*", "sys/bus/i2c/drivers/ina3221/*")
    assert "--volume /etc/nv_tegra_release" in told["the board's L4T is not known"].fix
    assert "modprobe ina3221" in told["no power monitor of the board is seen"].fix


def test_a_thor_whose_load_nothing_tells_names_what_would_tell_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(MACHINES / "thor-jp7", root, symlinks=True)
    (root / "nvml.json").unlink()
    told = found(tmp_path, root)["no file tells it here, and NVML does not either: missing"]
    assert "pip install" in told.fix
    assert "[nvidia]" in told.fix


def test_a_board_whose_tree_is_hidden_is_known_by_its_release_too(tmp_path: Path) -> None:
    assert HIDDEN in told_of(tmp_path, "sys/class/devfreq/*", tree=False)
    (tmp_path / "vm/sys/class/devfreq/fb000000.gpu").mkdir(parents=True)
    assert HIDDEN not in found(tmp_path, tmp_path / "vm")


def test_a_container_that_hides_the_board_names_the_mounts(tmp_path: Path) -> None:
    told = found(tmp_path, MACHINES / "container-without-sys-firmware")
    hidden = told["this is a Jetson, and its device tree is hidden"]
    assert "systempaths=unconfined" in hidden.fix
    assert "/etc/nv_tegra_release" in hidden.fix


def test_a_machine_without_anything_fails(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert found(tmp_path, tmp_path / "empty")["no collector reads anything"].state == "fail"


LET_GO = threading.Event()
"""What a hanging source waits for."""


@dataclass(frozen=True)
class Options:
    """`hangs`: a beat does not end until the test let go; else it breaks."""

    hangs: bool = False


class Broken:
    """A source that hangs, or breaks."""

    def __init__(self, options: Options, _host: Host) -> None:
        self._hangs = options.hangs

    def collect(self) -> Iterable[Reading]:
        """Do either."""
        if self._hangs:
            LET_GO.wait()
            return []
        raise ValueError("no such register")


OFFER = CollectorOffer(Options, Broken)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("timeout = 0.1\nhangs = true\n", "did not return within 0.1 s; not asked again until it does"),
        ("", "ValueError: no such register"),
    ],
)
def test_a_source_that_hangs_or_breaks_is_told_and_holds_nothing(tmp_path: Path, options: str, said: str) -> None:
    more = f'[collectors."tests.cli.test_sensors"]\n{options}'
    try:
        told = found(tmp_path, MACHINES / "nano-jp4", more)
    finally:
        LET_GO.set()
    assert told[said].where == "collector tests.cli.test_sensors"


def test_a_file_that_others_may_not_read_is_shut_and_its_group_is_named(tmp_path: Path) -> None:
    file = tmp_path / "etc/one"
    file.parent.mkdir()
    file.write_text("1")
    for mode, shut in ((0o644, False), (0o640, True), (0o400, True)):
        file.chmod(mode)
        assert is_closed(tmp_path, "/etc/one") == shut
    assert "`z /etc/one 0444 - - -` in /etc/tmpfiles.d/" in closed(tmp_path, "/etc/one").fix
    file.chmod(0o644)
    file.parent.chmod(0o700)
    assert is_closed(tmp_path, "/etc/one")
    assert "`z /etc 0755 - - -` in" in closed(tmp_path, "/etc/one").fix
    assert not is_closed(tmp_path, "/etc/none")
    if os.geteuid() == 0:
        file.parent.chmod(0o755)
        file.chmod(0o640)
        os.chown(file, 0, 44)
        assert "SupplementaryGroups=" in closed(tmp_path, "/etc/one").fix


def test_a_file_of_a_device_is_opened_by_a_rule_that_holds_whatever_its_number(tmp_path: Path) -> None:
    chip = tmp_path / "sys/devices/platform/soc/hwmon/hwmon3"
    (tmp_path / "sys/class/hwmon").mkdir(parents=True)
    chip.mkdir(parents=True)
    (chip / "in1_input").touch(mode=0o400)
    (tmp_path / "sys/class/hwmon/hwmon3").symlink_to(os.path.relpath(chip, tmp_path / "sys/class/hwmon"))
    source, rule = (
        "/sys/class/hwmon/hwmon3/in1_input",
        'SUBSYSTEM=="hwmon", ACTION=="add", RUN+="/bin/chmod a+r /sys%p/in1_input"',
    )
    assert rule in closed(tmp_path, source).fix
    (chip / "subsystem").symlink_to("../../../../../class/hwmon")
    assert rule in closed(tmp_path, source).fix
    assert rule in closed(tmp_path, "/sys/devices/platform/soc/hwmon/hwmon3/in1_input").fix


def test_a_shut_file_of_a_chip_is_told_by_its_number_of_now(tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(MACHINES / "x86-desktop", root, symlinks=True)
    file = "sys/devices/platform/nct6775.656/hwmon/hwmon2/in0_input"
    (root / file).chmod(0o400)
    (root / file).parent.joinpath("subsystem").symlink_to("../../../../../class/hwmon")
    with suppress(FileNotFoundError):
        (root / "errors.toml").unlink()
    told = [finding for finding in found(tmp_path, root).values() if "in0_input" in finding.fix]
    assert ['SUBSYSTEM=="hwmon"' in finding.fix for finding in told] == [True]


@pytest.mark.parametrize("name", ["jtop", "tegrastats", "nvml", "other"])
@pytest.mark.parametrize("reason", ["missing", "stale"])
def test_every_program_has_a_fix(name: str, reason: str) -> None:
    assert program_fix(name, reason)
