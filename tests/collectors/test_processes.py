"""Threads and processes: what is told at each read, what now and then, and what without the files."""

from pathlib import Path

import pytest

from edge_agent.collectors.processes import OFFER
from tests.collectors.tree import build, plant, table

MACHINE = {
    "proc/loadavg": "0.21 0.37 0.39 2/719 19737\n",
    "proc/stat": "cpu  1 2\nintr 5 5\nctxt 9\nbtime 1418183276\nprocesses 26442\nprocs_running 3\nprocs_blocked 0\n",
    "proc/1/stat": "1 (init) S\n",
    "proc/42/stat": "42 (sh) R\n",
    "proc/self/stat": "",
    "proc/4x/stat": "",
}


def test_threads_and_processes_are_counted(tmp_path: Path) -> None:
    plant(tmp_path, MACHINE)
    assert table(build(OFFER, tmp_path).collect()) == {
        "linux.thread.count": 719,
        "linux.thread.runnable": 2,
        "linux.thread.blocked": 0,
        "system.process.created": 26442,
        "system.process.count": 2,
    }


def test_what_is_costly_is_read_now_and_then(tmp_path: Path) -> None:
    plant(tmp_path, MACHINE)
    collector = build(OFFER, tmp_path, every=3)
    assert [len(list(collector.collect())) for _ in range(5)] == [5, 2, 2, 5, 2]


def test_made_processes_are_a_counter(tmp_path: Path) -> None:
    plant(tmp_path, MACHINE)
    kinds = {reading.name: reading.kind for reading in build(OFFER, tmp_path).collect()}
    assert {name for name, kind in kinds.items() if kind == "counter"} == {"system.process.created"}


def test_a_tree_without_processes_does_not_say_that_there_are_none(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/loadavg": MACHINE["proc/loadavg"]})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["system.process.count"] == "none listed"
    assert shown["system.process.created"] == shown["linux.thread.blocked"] == "missing"
    assert shown["linux.thread.count"] == 719


def test_processes_that_are_kept_from_sight_are_not_counted(tmp_path: Path) -> None:
    plant(tmp_path, {name: text for name, text in MACHINE.items() if "proc/1/" not in name})
    assert table(build(OFFER, tmp_path).collect())["system.process.count"] == "hidden"


def test_a_recorded_tree_whose_links_lead_out_of_it_does_not_tell_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "proc").symlink_to("/proc")
    assert table(build(OFFER, tmp_path).collect())["system.process.count"] == "unreadable: ELOOP"
    (tmp_path / "proc").unlink()
    (tmp_path / "proc").symlink_to("../" * 30 + "run")
    assert table(build(OFFER, tmp_path).collect())["system.process.count"] == "missing"


@pytest.mark.parametrize("content", ["", "0.1 0.2 0.3 x/y 1\n", b"\0\xff\xfe", "1" * 9999, "1 1 1 1/" + "9" * 99])
def test_a_file_that_says_nothing_costs_its_own_readings_only(tmp_path: Path, content: str | bytes) -> None:
    plant(tmp_path, {**MACHINE, "proc/loadavg": content})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["linux.thread.count"] == shown["linux.thread.runnable"] == "malformed"
    assert shown["linux.thread.blocked"] == 0
    plant(tmp_path, {**MACHINE, "proc/stat": content})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["system.process.created"] == shown["linux.thread.blocked"] == "not reported"
    assert shown["linux.thread.count"] == 719


def test_a_machine_without_its_proc_still_names_its_readings(tmp_path: Path) -> None:
    assert set(table(build(OFFER, tmp_path).collect()).values()) == {"missing"}
