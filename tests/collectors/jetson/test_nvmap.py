"""Memory of the GPU and the engines: only where the kernel tells it."""

from pathlib import Path

from edge_agent.collectors.jetson.memory import OFFER
from tests.collectors.tree import build, plant, table

TOLD = "MemTotal:        4059412 kB\nNvMapMemFree:          0 kB\nNvMapMemUsed:     212344 kB\n"
USED, FREE = "jetson.nvmap.usage used", "jetson.nvmap.usage free"


def test_it_is_told_in_bytes(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/meminfo": TOLD})
    assert table(build(OFFER, tmp_path).collect()) == {USED: 212344 * 1024, FREE: 0}


def test_a_kernel_that_does_not_tell_gives_nothing(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/meminfo": TOLD.splitlines()[0]})
    assert list(build(OFFER, tmp_path).collect()) == []


def test_a_kernel_that_begins_to_tell_is_heard(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/meminfo": TOLD.splitlines()[0]})
    collector = build(OFFER, tmp_path)
    assert list(collector.collect()) == []
    plant(tmp_path, {"proc/meminfo": TOLD})
    assert [len(list(collector.collect())) for _ in range(30)][-1] == 2


def test_what_was_told_once_is_absent_when_it_is_not(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/meminfo": TOLD})
    collector = build(OFFER, tmp_path)
    list(collector.collect())
    plant(tmp_path, {"proc/meminfo": TOLD.splitlines()[0]})
    assert set(table(collector.collect()).values()) == {"not reported"}
    (tmp_path / "proc/meminfo").unlink()
    assert set(table(collector.collect()).values()) == {"missing"}
