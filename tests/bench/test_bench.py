"""The bench's own arithmetic: goals, medians, the table, and what a process is said to have spent."""

import os

import pytest

from edge_agent.wire.batch import parse, unzip
from tests.bench.batches import SERIES, batches
from tests.bench.figures import Figure, Goal, Sheet, table, typical, written
from tests.bench.meter import memory, spent

_JUDGED = [
    (Goal("at most", 2.0), 2.0, "met"),
    (Goal("at most", 2.0), 2.5, "MISSED by 25 %"),
    (Goal("at most", 2.0), 2.0001, "MISSED by 1 %"),
    (Goal("at least", 0.5), 0.5, "met"),
    (Goal("at least", 0.5), 0.4, "MISSED by 20 %"),
]


@pytest.mark.parametrize(("goal", "value", "verdict"), _JUDGED)
def test_a_goal_says_how_far_a_value_is_off(goal: Goal, value: float, verdict: str) -> None:
    figure = Figure("part", "name", value, "s", goal)
    assert goal.verdict(value) == verdict
    assert figure.missed == (verdict != "met")
    assert figure.told()["verdict"] == verdict


def test_a_figure_of_several_rounds_is_their_median() -> None:
    assert typical("part", "name", [9.0, 1.0, 2.0], "s").value == 2.0


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (12.345, "12.3"), (150, "150"), (999.7, "1,000"), (2014322.4, "2,014,322")]
)
def test_numbers_are_written_with_the_digits_that_count(value: float, text: str) -> None:
    assert written(value) == text


def test_the_table_sets_figures_goals_and_footnotes_below_each_other() -> None:
    sheet = Sheet()
    sheet.add(Figure("agent", "memory", 50.0, "MiB", Goal("at most", 40.0), "a note"))
    sheet.add(typical("drain", "speed", [1.0, 3.0, 2000.0], "1/s"))
    sheet.footnote("Where it goes", ["here", "there"])
    lines = table(sheet).splitlines()
    assert lines[0].split() == ["part", "figure", "value", "unit", "goal", "verdict", "note"]
    assert lines[2].split() == ["agent", "memory", "50", "MiB", "<=", "40", "MISSED", "by", "25", "%", "a", "note"]
    assert lines[3].endswith("3 rounds, 1 to 2,000")
    assert lines[-3:] == ["Where it goes", "    here", "    there"]


def test_batches_move_and_end_when_they_were_told_to() -> None:
    first, second = (parse(unzip(payload, 2**20)) for payload in batches(2, 3, "axis", 1_000_000))
    assert [track.instants[-1] for track in second.tracks] == [1_000_000] * len(second.tracks)
    assert sum(len(track.series) for track in first.tracks) == SERIES
    columns = [column for batch in (first, second) for track in batch.tracks for column in track.columns]
    assert sum(len(set(column)) > 1 for column in columns) > SERIES


def test_what_a_process_spent_is_read_from_outside() -> None:
    before = spent(os.getpid())
    sum(range(2_000_000))
    after = spent(os.getpid())
    assert after.cpu >= before.cpu >= 0
    assert after.switches >= before.switches > 0
    assert after.flash >= before.flash
    assert 0 < memory(os.getpid()).uss <= memory(os.getpid()).rss
