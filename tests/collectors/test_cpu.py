"""Processor times and shares, read twice from small trees."""

from pathlib import Path

import pytest

from edge_agent.collectors.cpu import OFFER
from tests.collectors.tree import FIXTURES, build, plant, table

FIRST = """\
cpu  300 20 100 4000 50 6 4 2 0 0
cpu0 100 10 50 2000 30 3 2 1 0 0
cpu1 200 10 50 2000 20 3 2 1 0 0
intr 1 2 3
btime 1700000000
"""
LATER = """\
cpu  350 20 120 4127 48 6 4 3 0 0
cpu0 150 10 60 2037 30 3 2 2 0 0
cpu1 200 10 60 2090 18 3 2 1 0 0
intr 1 2 3
"""


def test_each_processor_has_its_seconds_in_each_mode(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/stat": FIRST})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["system.cpu.logical.count"] == 2
    assert shown["system.cpu.time 0 user"] == 1.0
    assert shown["system.cpu.time 0 iowait"] == 0.3
    assert shown["system.cpu.time 1 interrupt"] == 0.05
    assert len(shown) == 1 + 2 * 2 * 7


def test_the_first_read_has_no_shares(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/stat": FIRST})
    shown = table(build(OFFER, tmp_path).collect())
    assert {value for key, value in shown.items() if key.startswith("system.cpu.utilization")} == {"first read"}


def test_shares_are_of_the_time_since_the_last_read(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/stat": FIRST})
    collector = build(OFFER, tmp_path)
    collector.collect()
    plant(tmp_path, {"proc/stat": LATER})
    shown = table(collector.collect())
    assert shown["system.cpu.utilization 0 user"] == pytest.approx(50 / 98)
    assert shown["system.cpu.utilization 0 steal"] == pytest.approx(1 / 98)
    assert shown["system.cpu.utilization 1 idle"] == pytest.approx(0.9)


def test_a_share_of_a_counter_that_fell_is_absent(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/stat": FIRST})
    collector = build(OFFER, tmp_path)
    collector.collect()
    plant(tmp_path, {"proc/stat": LATER})
    assert table(collector.collect())["system.cpu.utilization 1 iowait"] == "fell"


def test_no_time_between_two_reads_gives_no_share(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/stat": FIRST})
    collector = build(OFFER, tmp_path)
    collector.collect()
    assert table(collector.collect())["system.cpu.utilization 0 user"] == "no time passed"


@pytest.mark.parametrize("options", [{"most_cores": 1}, {"per_core": False}])
def test_a_large_host_gives_one_series_a_mode(tmp_path: Path, options: dict[str, int]) -> None:
    plant(tmp_path, {"proc/stat": FIRST})
    shown = table(build(OFFER, tmp_path, **options).collect())
    assert len(shown) == 1 + 2 * 7
    assert shown["system.cpu.time user"] == 3.0


def test_a_processor_that_was_switched_off_is_absent_and_comes_back(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/stat": FIRST})
    collector = build(OFFER, tmp_path)
    collector.collect()
    plant(tmp_path, {"proc/stat": "".join(line for line in LATER.splitlines(keepends=True) if "cpu1" not in line)})
    shown = table(collector.collect())
    assert shown["system.cpu.logical.count"] == 1
    assert shown["system.cpu.time 1 user"] == "offline"
    assert shown["system.cpu.utilization 1 user"] == "offline"
    plant(tmp_path, {"proc/stat": LATER})
    assert table(collector.collect())["system.cpu.time 1 idle"] == 20.9


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing"),
        ("", "malformed"),
        ("cpu 1 2\nintr 1\n", "malformed"),
        ("cpu0 a b c d e f g h\nintr", "malformed"),
        *((FIRST.replace("cpu0 ", f"cpu0 {'9' * long} "), "malformed") for long in (21, 400, 5000)),
    ],
)
def test_a_file_that_says_nothing_costs_no_exception(tmp_path: Path, content: str | None, reason: str) -> None:
    plant(tmp_path, {"proc/stat": FIRST})
    collector = build(OFFER, tmp_path)
    collector.collect()
    (tmp_path / "proc/stat").unlink()
    if content is not None:
        plant(tmp_path, {"proc/stat": content})
    shown = table(collector.collect())
    assert len(shown) == 1 + 2 * 2 * 7
    assert set(shown.values()) == {reason}


def test_a_machine_without_the_file_still_names_its_count(tmp_path: Path) -> None:
    assert table(build(OFFER, tmp_path).collect()) == {"system.cpu.logical.count": "missing"}


def test_a_recorded_machine_is_read(tmp_path: Path) -> None:
    stat = FIXTURES / "node_exporter/proc/stat"
    if not stat.exists():
        pytest.skip("the recorded trees are not here")
    plant(tmp_path, {"proc/stat": stat.read_bytes()})
    shown = table(build(OFFER, tmp_path).collect())
    assert shown["system.cpu.logical.count"] == 8
    assert shown["system.cpu.time 0 idle"] == 10870.69
    assert shown["system.cpu.time 7 system"] == 101.64


def test_a_mode_that_rested_moves_on_from_where_it_was(tmp_path: Path) -> None:
    collector = build(OFFER, tmp_path)
    shown = []
    for user, idle in ((100, 2000), (100, 2100), (125, 2175), (125, 2275)):
        plant(tmp_path, {"proc/stat": FIRST.replace("cpu0 100 10 50 2000", f"cpu0 {user} 10 50 {idle}")})
        shown.append(table(collector.collect()))
    assert [one["system.cpu.time 0 user"] for one in shown] == [1.0, 1.0, 1.25, 1.25]
    assert [one["system.cpu.time 0 idle"] for one in shown] == [20.0, 21.0, 21.75, 22.75]
    assert [one["system.cpu.utilization 0 user"] for one in shown] == ["first read", 0, 0.25, 0]
    assert [one["system.cpu.utilization 0 idle"] for one in shown] == ["first read", 1, 0.75, 1]
