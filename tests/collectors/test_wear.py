"""The life of an eMMC, as it estimates it itself."""

from pathlib import Path

import pytest

from edge_agent.collectors.wear import OFFER
from tests.collectors.tree import build, plant, table

DEVICE = "sys/block/mmcblk0/device"
NAME = {f"{DEVICE}/name": "BJTD4R\n", f"{DEVICE}/serial": "0x1234abcd\n"}
A, B = (f"hw.physical_disk.endurance_utilization BJTD4R 0x1234abcd used {cells}" for cells in ("a", "b"))


@pytest.mark.parametrize(
    ("life", "a", "b"),
    [
        ("0x01 0x0a\n", 0.1, 1.0),
        ("0x0B 0x00\n", 1.1, "not reported"),
        ("0x0c 0x02\n", "malformed", 0.2),
        ("", "malformed", "malformed"),
        ("1 2\n", "malformed", "malformed"),
    ],
)
def test_life_is_told_in_tenths(tmp_path: Path, life: str, a: float | str, b: float | str) -> None:
    plant(tmp_path, NAME | {f"{DEVICE}/life_time": life})
    assert table(build(OFFER, tmp_path).collect()) == {A: a, B: b}


@pytest.mark.parametrize(("text", "state"), [("0x01", "ok"), ("0x02", "degraded"), ("0x03", "predicted_failure")])
def test_spare_blocks_are_a_status(tmp_path: Path, text: str, state: str) -> None:
    plant(tmp_path, NAME | {f"{DEVICE}/pre_eol_info": f"{text}\n"})
    shown = table(build(OFFER, tmp_path).collect())
    assert len(shown) == 3
    assert [name for name, value in shown.items() if value] == [f"hw.status BJTD4R 0x1234abcd {state} physical_disk"]


def test_spare_blocks_that_are_not_reported_are_absent(tmp_path: Path) -> None:
    plant(tmp_path, NAME | {f"{DEVICE}/pre_eol_info": "0x00\n"})
    assert set(table(build(OFFER, tmp_path).collect()).values()) == {"not reported"}


def test_cards_drives_and_boot_partitions_yield_nothing(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "sys/block/mmcblk1/device/name": "SD16G\n",
            "sys/block/mmcblk0boot0/device/life_time": "0x01 0x01\n",
            "sys/block/nvme0n1/device/model": "x\n",
        },
    )
    assert table(build(OFFER, tmp_path).collect()) == {}


def test_a_device_without_a_name_is_known_by_its_block(tmp_path: Path) -> None:
    plant(tmp_path, {f"{DEVICE}/life_time": "0x01 0x01\n"})
    assert {one.attributes["hw.id"] for one in build(OFFER, tmp_path).collect()} == {"mmcblk0"}
