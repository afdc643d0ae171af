"""The power mode by files, and clocks that are pinned."""

from pathlib import Path

import pytest

from edge_agent.collectors.jetson.modes import OFFER
from tests.collectors.tree import build, plant, table

STATUS = "var/lib/nvpmodel/status"
BOARD: dict[str, str | bytes] = {
    "proc/device-tree/compatible": b"nvidia,tegra234\0",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1\n<POWER_MODEL ID=2 NAME=MODE_15W>\n"
    "< PM_CONFIG DEFAULT=2 >\n",
}
MODE, PINNED = "jetson.nvpmodel.mode", "jetson.clocks.pinned"


def ends(cpu: tuple[int, int] = (1, 1), gpu: tuple[int, int] = (5, 5)) -> dict[str, str | bytes]:
    """The ends of two policies' and the GPU's clocks; the second policy is pinned."""
    files: dict[str, str | bytes] = {}
    for name, (least, most) in {"policy0": cpu, "policy4": (7, 7)}.items():
        folder = f"sys/devices/system/cpu/cpufreq/{name}"
        files |= {f"{folder}/scaling_min_freq": f"{least}\n", f"{folder}/scaling_max_freq": f"{most}\n"}
    folder = "sys/class/devfreq/17000000.gpu"
    return files | {f"{folder}/min_freq": f"{gpu[0]}\n", f"{folder}/max_freq": f"{gpu[1]}\n"}


@pytest.mark.parametrize("text", ["pmode:0002", "pmode:0002 fmode:quiet\n", "pmode: 2\n"])
def test_the_mode_has_its_number_and_its_name(tmp_path: Path, text: str) -> None:
    plant(tmp_path, {**BOARD, STATUS: text})
    assert table(build(OFFER, tmp_path).collect())[f"{MODE} 2 MODE_15W"] == 1


def test_a_mode_that_was_is_zero(tmp_path: Path) -> None:
    plant(tmp_path, {**BOARD, STATUS: "pmode:0002"})
    collector = build(OFFER, tmp_path)
    list(collector.collect())
    plant(tmp_path, {STATUS: "pmode:0000"})
    shown = table(collector.collect())
    assert (shown[f"{MODE} 2 MODE_15W"], shown[f"{MODE} 0 MAXN"]) == (0, 1)


def test_a_mode_without_a_name_keeps_its_number(tmp_path: Path) -> None:
    plant(tmp_path, {**BOARD, STATUS: "pmode:0009"})
    assert table(build(OFFER, tmp_path).collect())[f"{MODE} 9"] == 1


@pytest.mark.parametrize(("text", "said"), [(None, "missing"), ("", "malformed"), (b"\xff\0", "malformed")])
def test_a_status_that_says_nothing_is_an_absence(tmp_path: Path, text: str | bytes | None, said: str) -> None:
    plant(tmp_path, BOARD if text is None else {**BOARD, STATUS: text})
    assert table(build(OFFER, tmp_path).collect())[MODE] == said


def test_known_modes_are_absent_while_the_status_cannot_be_read(tmp_path: Path) -> None:
    plant(tmp_path, {**BOARD, STATUS: "pmode:0002"})
    collector = build(OFFER, tmp_path)
    list(collector.collect())
    (tmp_path / STATUS).unlink()
    assert table(collector.collect())[f"{MODE} 2 MODE_15W"] == "missing"


@pytest.mark.parametrize(("cpu", "gpu", "said"), [((1, 1), (5, 5), 1), ((1, 2), (5, 5), 0), ((1, 1), (4, 5), 0)])
def test_clocks_are_pinned_when_all_of_them_are(
    tmp_path: Path, cpu: tuple[int, int], gpu: tuple[int, int], said: int
) -> None:
    plant(tmp_path, {**BOARD, **ends(cpu, gpu)})
    assert table(build(OFFER, tmp_path).collect())[PINNED] == said


def test_one_end_that_is_unknown_leaves_it_unknown(tmp_path: Path) -> None:
    plant(tmp_path, {**BOARD, **ends()})
    plant(tmp_path, {"sys/devices/system/cpu/cpufreq/policy4/scaling_max_freq": "soon"})
    assert table(build(OFFER, tmp_path).collect())[PINNED] == "malformed"


def test_one_that_is_not_pinned_is_enough_whatever_the_others_are(tmp_path: Path) -> None:
    plant(tmp_path, {**BOARD, **ends(gpu=(4, 5))})
    plant(tmp_path, {"sys/devices/system/cpu/cpufreq/policy4/scaling_max_freq": "soon"})
    collector = build(OFFER, tmp_path)
    assert [table(collector.collect())[PINNED] for _ in range(3)] == [0, 0, 0]
    plant(tmp_path, ends())
    assert table(collector.collect())[PINNED] == 1


def test_processors_without_a_gpu_are_not_all(tmp_path: Path) -> None:
    plant(tmp_path, {**BOARD, **{name: text for name, text in ends().items() if "gpu" not in name}})
    assert table(build(OFFER, tmp_path).collect())[PINNED] == "missing"


def test_a_status_that_is_bound_into_a_container_is_enough(tmp_path: Path) -> None:
    plant(tmp_path, {STATUS: "pmode:0002"})
    assert table(build(OFFER, tmp_path).collect())[f"{MODE} 2"] == 1


def test_a_status_that_is_bound_later_is_found(tmp_path: Path) -> None:
    collector = build(OFFER, tmp_path)
    assert list(collector.collect()) == []
    plant(tmp_path, {STATUS: "pmode:0000"})
    assert [table(collector.collect()) for _ in range(31)][-1][f"{MODE} 0"] == 1


def test_another_machine_gives_nothing(tmp_path: Path) -> None:
    plant(tmp_path, ends())
    assert list(build(OFFER, tmp_path).collect()) == []


def test_the_series_of_a_mode_that_has_a_name_by_now_is_gone(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/device-tree/compatible": b"nvidia,tegra234\0", STATUS: "pmode:0002"})
    collector = build(OFFER, tmp_path)
    assert table(collector.collect())[f"{MODE} 2"] == 1
    plant(tmp_path, BOARD)
    for _beat in range(31):
        list(collector.collect())
    shown = table(collector.collect())
    assert (shown[f"{MODE} 2"], shown[f"{MODE} 2 MODE_15W"]) == ("gone", 1)
