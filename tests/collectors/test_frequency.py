"""Clocks of processors, shared, switched off, or not known at all."""

from pathlib import Path

import pytest

from edge_agent.collectors.frequency import OFFER
from tests.collectors.tree import build, plant, table

FOLDER = "sys/devices/system/cpu"


def policy(root: Path, first: int, *others: int, clock: str) -> None:
    """One clock and the processors that it drives."""
    plant(root, {f"{FOLDER}/cpufreq/policy{first}/scaling_cur_freq": clock})
    for cpu in (first, *others):
        link = root / FOLDER / f"cpu{cpu}/cpufreq"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../cpufreq/policy{first}")


def test_clocks_are_hertz_by_processor(tmp_path: Path) -> None:
    policy(tmp_path, 0, 1, clock="1728000\n")
    policy(tmp_path, 10, clock="729600\n")
    plant(tmp_path, {f"{FOLDER}/online": "0-1,10\n"})
    assert table(build(OFFER, tmp_path).collect()) == {
        "system.cpu.frequency 0": 1_728_000_000,
        "system.cpu.frequency 1": 1_728_000_000,
        "system.cpu.frequency 10": 729_600_000,
    }


def test_a_processor_that_is_switched_off_is_offline(tmp_path: Path) -> None:
    policy(tmp_path, 0, 1, clock="1728000\n")
    (tmp_path / FOLDER / "cpu2").mkdir()
    plant(tmp_path, {f"{FOLDER}/online": "0\n"})
    collector = build(OFFER, tmp_path)
    assert table(collector.collect()) == {
        "system.cpu.frequency 0": 1_728_000_000,
        "system.cpu.frequency 1": "offline",
        "system.cpu.frequency 2": "offline",
    }
    plant(tmp_path, {f"{FOLDER}/online": "0-1\n"})
    assert table(collector.collect())["system.cpu.frequency 1"] == 1_728_000_000


def test_a_machine_without_cpufreq_yields_nothing(tmp_path: Path) -> None:
    for cpu in range(4):
        (tmp_path / FOLDER / f"cpu{cpu}").mkdir(parents=True)
    plant(tmp_path, {f"{FOLDER}/online": "0-2\n"})
    assert table(build(OFFER, tmp_path).collect()) == {}


@pytest.mark.parametrize(("clock", "reason"), [("<unknown>\n", "malformed"), ("0\n", "invalid"), ("", "malformed")])
def test_a_clock_that_is_not_known_is_absent(tmp_path: Path, clock: str, reason: str) -> None:
    policy(tmp_path, 0, clock=clock)
    policy(tmp_path, 1, clock="1000\n")
    shown = table(build(OFFER, tmp_path).collect())
    assert shown == {"system.cpu.frequency 0": reason, "system.cpu.frequency 1": 1_000_000}


@pytest.mark.parametrize("online", ["", "x", "0-", "3-1-2", "\xff"])
def test_without_a_list_of_those_online_each_clock_tells_for_itself(tmp_path: Path, online: str) -> None:
    policy(tmp_path, 0, clock="1000\n")
    plant(tmp_path, {f"{FOLDER}/online": online.encode("latin-1")})
    assert table(build(OFFER, tmp_path).collect()) == {"system.cpu.frequency 0": 1_000_000}


def test_the_clock_that_only_root_may_read_is_never_opened(tmp_path: Path) -> None:
    policy(tmp_path, 0, clock="1000\n")
    plant(tmp_path, {f"{FOLDER}/cpufreq/policy0/cpuinfo_cur_freq": "7\n"})
    (reading,) = build(OFFER, tmp_path).collect()
    assert reading.source == "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
