"""Memory, swap and paging: each series, and what becomes of it where the kernel does not report it."""

from pathlib import Path

import pytest

from edge_agent.collectors.memory import OFFER
from tests.collectors.tree import FIXTURES, build, plant, table

MEMINFO = """\
MemTotal:        1000 kB
MemFree:          300 kB
MemAvailable:     600 kB
Buffers:           20 kB
Cached:           200 kB
SwapCached:         0 kB
Active(anon):       7 kB
Shmem:             30 kB
SReclaimable:      11 kB
SUnreclaim:        12 kB
SwapTotal:        400 kB
SwapFree:         100 kB
"""
VMSTAT = """\
nr_free_pages 977769
pswpin 1476
pswpout 35045
pgfault 1000
pgmajfault 400
"""


def test_memory_and_swap_are_bytes_and_ratios(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/meminfo": MEMINFO, "proc/vmstat": VMSTAT})
    assert table(build(OFFER, tmp_path).collect()) == {
        "system.memory.limit": 1000 * 1024,
        "system.memory.usage used": 400 * 1024,
        "system.memory.usage free": 300 * 1024,
        "system.memory.usage buffers": 20 * 1024,
        "system.memory.usage cached": 200 * 1024,
        "system.memory.utilization used": 0.4,
        "system.memory.linux.available": 600 * 1024,
        "system.memory.linux.shared": 30 * 1024,
        "system.memory.linux.slab.usage reclaimable": 11 * 1024,
        "system.memory.linux.slab.usage unreclaimable": 12 * 1024,
        "system.paging.usage used": 300 * 1024,
        "system.paging.usage free": 100 * 1024,
        "system.paging.utilization used": 0.75,
        "system.paging.operations in major": 1476,
        "system.paging.operations out major": 35045,
        "system.paging.faults major": 400,
        "system.paging.faults minor": 600,
    }


def test_without_swap_there_is_no_share_of_it(tmp_path: Path) -> None:
    without = MEMINFO.replace("400 kB", "0 kB").replace("100 kB", "0 kB")
    plant(tmp_path, {"proc/meminfo": without, "proc/vmstat": VMSTAT})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["system.paging.usage used"] == 0
    assert shown["system.paging.utilization used"] == "there is none"


def test_what_the_kernel_does_not_report_is_absent(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/meminfo": MEMINFO.replace("MemAvailable", "MemOther"), "proc/vmstat": ""})
    shown = table(build(OFFER, tmp_path).collect())
    absent = {name for name, value in shown.items() if value == "not reported"}
    assert absent == {
        "system.memory.usage used",
        "system.memory.utilization used",
        "system.memory.linux.available",
        "system.paging.operations in major",
        "system.paging.operations out major",
        "system.paging.faults major",
        "system.paging.faults minor",
    }


def test_a_missing_file_costs_its_own_readings_only(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/vmstat": VMSTAT})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["system.memory.limit"] == "missing"
    assert shown["system.paging.faults major"] == 400


@pytest.mark.parametrize("long", [21, 400, 5000])
def test_a_number_of_more_digits_than_the_kernel_writes_costs_what_comes_of_it_only(tmp_path: Path, long: int) -> None:
    digits = "9" * long
    plant(tmp_path, {"proc/meminfo": f"MemTotal: {digits} kB\nMemAvailable: 600 kB\n", "proc/vmstat": VMSTAT})
    shown = table(build(OFFER, tmp_path).collect())
    assert {name for name, value in shown.items() if value == "malformed"} == {
        "system.memory.limit",
        "system.memory.usage used",
        "system.memory.utilization used",
    }
    assert shown["system.memory.linux.available"] == 600 * 1024
    assert shown["system.paging.faults major"] == 400


def test_paging_can_be_left_out(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/meminfo": MEMINFO})
    assert not [name for name in table(build(OFFER, tmp_path, paging=False).collect()) if "faults" in name]


def test_a_recorded_machine_is_read(tmp_path: Path) -> None:
    folder = FIXTURES / "node_exporter/proc"
    if not folder.exists():
        pytest.skip("the recorded trees are not here")
    plant(tmp_path, {f"proc/{name}": (folder / name).read_bytes() for name in ("meminfo", "vmstat")})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["system.memory.usage buffers"] == 2.256896e07
    assert shown["system.paging.operations in major"] == 1476
