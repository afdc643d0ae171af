"""The memory controller: activity by clock, each release's files, and absences that say what is closed."""

import errno
from pathlib import Path

import pytest

from edge_agent.collectors.jetson.emc import OFFER, Emc
from edge_agent.model.ports import Host
from tests.collectors.tree import build, plant, table

BOARD = {"proc/device-tree/compatible": b"nvidia,tegra234\0"}
CLOCK, USE, LIMIT = "jetson.emc.frequency", "jetson.emc.utilization", "jetson.emc.frequency.limit"


@pytest.mark.parametrize(
    ("clock", "activity"),
    [
        ("sys/kernel/debug/bpmp/debug/clk/emc/rate", "sys/kernel/actmon_avg_activity/mc_all"),
        ("sys/kernel/debug/clk/override.emc/clk_rate", "sys/kernel/actmon_avg_activity/mc_all"),
        ("sys/kernel/debug/bpmp/debug/clk/emc/rate", "sys/kernel/debug/cactmon/mc_all"),
    ],
)
def test_use_is_activity_by_clock(tmp_path: Path, clock: str, activity: str) -> None:
    plant(tmp_path, {**BOARD, clock: "1600000000\n", activity: "92000\n"})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown == {CLOCK: 1600000000, USE: pytest.approx(0.0575)}


def test_without_root_it_is_absent_with_the_reason(tmp_path: Path) -> None:
    plant(tmp_path, BOARD)
    errors = dict.fromkeys(
        ("sys/kernel/debug/bpmp/debug/clk/emc/rate", "sys/kernel/debug/cactmon/mc_all"), errno.EACCES
    )
    shown = table(Emc(OFFER.options(), Host(tmp_path, live=False, errors=errors)).collect())
    assert shown == {CLOCK: "unreadable: EACCES", USE: "unreadable: EACCES"}


def test_what_the_firmware_counts_is_not_taken_for_the_kernels_clock(tmp_path: Path) -> None:
    plant(tmp_path, {**BOARD, "sys/class/devfreq/bwmgr/cur_freq": "665600000\n"})
    plant(tmp_path, {"sys/kernel/debug/bpmp/debug/actmon/mc_all_avg_activity": "92000\n"})
    assert table(build(OFFER, tmp_path).collect()) == {CLOCK: 665600000, USE: "missing"}


@pytest.mark.parametrize(
    ("chip", "source"),
    [
        (b"nvidia,tegra210\0", "/sys/kernel/debug/clk/override.emc/clk_rate"),
        (b"nvidia,tegra194\0", "/sys/kernel/debug/bpmp/debug/clk/emc/rate"),
    ],
)
def test_a_closed_clock_is_told_where_that_chip_has_it(tmp_path: Path, chip: bytes, source: str) -> None:
    plant(tmp_path, {"proc/device-tree/compatible": chip})
    readings = Emc(OFFER.options(), Host(tmp_path, live=False, errors={"sys/kernel/debug": errno.EACCES})).collect()
    assert [(one.source, one.reason) for one in readings if one.name == CLOCK] == [(source, "unreadable: EACCES")]


def test_activity_alone_is_no_use(tmp_path: Path) -> None:
    plant(tmp_path, {**BOARD, "sys/kernel/actmon_avg_activity/mc_all": "92000\n"})
    assert table(build(OFFER, tmp_path).collect()) == {CLOCK: "missing", USE: "missing"}


def test_a_clock_of_zero_gives_no_use(tmp_path: Path) -> None:
    plant(tmp_path, {**BOARD, "sys/class/devfreq/bwmgr/cur_freq": "0\n", "sys/kernel/debug/cactmon/mc_all": "0\n"})
    assert table(build(OFFER, tmp_path).collect()) == {CLOCK: 0, USE: "no clock"}


@pytest.mark.parametrize(("text", "said"), [("3199000000\n", 3199000000), ("0\n", "no limit")])
def test_a_limit_is_told_where_there_is_one(tmp_path: Path, text: str, said: object) -> None:
    plant(tmp_path, {**BOARD, "sys/kernel/nvpmodel_clk_cap/emc": text})
    assert table(build(OFFER, tmp_path).collect())[LIMIT] == said


def test_another_machine_gives_nothing(tmp_path: Path) -> None:
    errors = {"sys/kernel/debug/bpmp/debug/clk/emc/rate": errno.EACCES}
    assert list(Emc(OFFER.options(), Host(tmp_path, live=False, errors=errors)).collect()) == []
