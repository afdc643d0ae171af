"""The tree of the bench is of the size it claims, moves, and is the same each time."""

from collections.abc import Iterable
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from edge_agent.model.offers import Collector
from edge_agent.model.reading import Reading, series_of
from tests.bench.tree import write
from tests.collectors.tree import build

NAMES = ("cpu", "memory", "load", "pressure", "network")


def readings(collectors: Iterable[Collector]) -> list[Reading]:
    return [reading for collector in collectors for reading in collector.collect()]


def test_the_tree_gives_about_150_readings_and_moves(tmp_path: Path) -> None:
    collectors = [build(import_module(f"edge_agent.collectors.{name}").OFFER, tmp_path) for name in NAMES]
    write(tmp_path, 0)
    readings(collectors)
    seen = []
    for step in range(1, 30):
        write(tmp_path, step)
        seen.append(readings(collectors))
        assert all(reading.value is not None for reading in seen[-1])
    assert 140 <= len(seen[0]) <= 160
    moved = sum(before.value != after.value for before, after in zip(seen[-2], seen[-1], strict=True))
    assert moved > 60
    for before, after in pairwise(seen):
        for was, now in zip(before, after, strict=True):
            assert series_of(was) == series_of(now)
            assert was.kind == "gauge" or (was.value or 0) <= (now.value or 0)


def test_a_step_is_always_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a", 7)
    write(tmp_path / "b", 6)
    write(tmp_path / "b", 7)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
