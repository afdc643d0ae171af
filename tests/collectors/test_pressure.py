"""Stalls, on kernels that report all, some or none."""

from pathlib import Path

import pytest

from edge_agent.collectors.pressure import OFFER
from tests.collectors.tree import FIXTURES, build, plant, table

CPU = """\
some avg10=4.49 avg60=1.77 avg300=0.42 total=4330716
full avg10=0.00 avg60=0.00 avg300=0.00 total=12
"""


def test_stalls_are_seconds(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/pressure/cpu": CPU})
    assert table(build(OFFER, tmp_path, resources=("cpu",)).collect()) == {
        "linux.pressure.stall.time some cpu": 4.330716,
        "linux.pressure.stall.time full cpu": 0.000012,
    }


def test_old_kernels_have_no_full_stall_of_the_processor(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/pressure/cpu": CPU.splitlines()[0]})
    shown = table(build(OFFER, tmp_path, resources=("cpu",)).collect())
    assert shown["linux.pressure.stall.time full cpu"] == "not reported"


@pytest.mark.parametrize("long", [21, 400, 5000])
def test_a_number_of_more_digits_than_the_kernel_writes_costs_its_own_reading_only(tmp_path: Path, long: int) -> None:
    plant(tmp_path, {"proc/pressure/cpu": CPU.replace("4330716", "9" * long)})
    assert table(build(OFFER, tmp_path, resources=("cpu",)).collect()) == {
        "linux.pressure.stall.time some cpu": "malformed",
        "linux.pressure.stall.time full cpu": 0.000012,
    }


def test_interrupts_only_have_full_stalls(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/pressure/irq": CPU.splitlines()[1]})
    assert table(build(OFFER, tmp_path, resources=("irq",)).collect()) == {
        "linux.pressure.stall.time full irq": 0.000012
    }


def test_a_kernel_without_pressure_files_says_so(tmp_path: Path) -> None:
    shown = table(build(OFFER, tmp_path).collect())
    assert len(shown) == 6
    assert set(shown.values()) == {"missing"}


def test_a_recorded_machine_is_read(tmp_path: Path) -> None:
    folder = FIXTURES / "node_exporter/proc/pressure"
    if not folder.exists():
        pytest.skip("the recorded trees are not here")
    plant(tmp_path, {f"proc/pressure/{path.name}": path.read_bytes() for path in folder.iterdir()})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["linux.pressure.stall.time some cpu"] == 14.036781
    assert shown["linux.pressure.stall.time full io"] == 159.229614


def test_files_that_are_not_there_are_looked_for_now_and_then(tmp_path: Path) -> None:
    collector = build(OFFER, tmp_path, resources=("cpu",))
    missing = table(collector.collect())
    plant(tmp_path, {"proc/pressure/cpu": CPU})
    shown = [table(collector.collect()) for _beat in range(30)]
    assert shown[:29] == [missing] * 29
    assert shown[29]["linux.pressure.stall.time some cpu"] == 4.330716


def test_one_file_that_is_missing_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/pressure/cpu": CPU})
    collector = build(OFFER, tmp_path, resources=("cpu", "io"))
    collector.collect()
    plant(tmp_path, {"proc/pressure/cpu": CPU.replace("4330716", "5000000")})
    shown = table(collector.collect())
    assert shown["linux.pressure.stall.time some cpu"] == 5
    assert shown["linux.pressure.stall.time some io"] == "missing"
