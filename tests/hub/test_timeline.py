"""Timelines: true time lies in `ts` give or take `ts_err`, and an interval is what the axis measured."""

import random
import sqlite3
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.hub import timeline
from edge_agent.hub.timeline import BUCKET_MS, Timeline
from edge_agent.model.anchor import Anchor

TRUE = 1_700_000_000_000


def learnt(anchors: Sequence[Anchor], ceiling: int = TRUE + 10**9) -> Timeline:
    """The timeline that a hub makes of anchors as they come."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(timeline.SCHEMA)
    for anchor in anchors:
        timeline.learn(connection, 1, [anchor])
    made = timeline.load(connection, 1, ceiling)
    connection.close()
    return made


@given(st.integers(0, 2**32), st.integers(-200, 200), st.integers(0, 40))
def test_true_time_lies_within_the_error_whatever_the_crystal_does(seed: int, ppm: int, count: int) -> None:
    chance = random.Random(seed)

    def offset(at: int) -> int:
        return TRUE + at * ppm // 1_000_000

    anchors = []
    for _ in range(count + 1):
        at = chance.randrange(50 * BUCKET_MS)
        low, high = chance.randrange(1, 2000), chance.randrange(1, 2000)
        anchors.append(Anchor(offset(at) - low, offset(at) + high, at))
    line = learnt(anchors)
    for at in (chance.randrange(60 * BUCKET_MS) for _ in range(50)):
        stamp = line.stamp(at)
        assert stamp.flag == "anchored"
        assert stamp.error is not None
        assert abs(stamp.ts - (at + offset(at))) <= stamp.error + 1  # the truth of this test is rounded, too


def test_an_interval_stays_what_the_axis_measured_however_anchors_come() -> None:
    anchors = [Anchor(TRUE - 400, TRUE + 300, 5 * BUCKET_MS)]
    for better in (Anchor(TRUE - 30, TRUE + 90, 9 * BUCKET_MS), Anchor(TRUE - 8, TRUE + 2, 2 * BUCKET_MS)):
        anchors.append(better)
        line = learnt(anchors)
        stamps = [line.stamp(at).ts for at in range(0, 10 * BUCKET_MS, 1000)]
        assert {after - before for before, after in pairwise(stamps)} == {1000}
        assert line.offsets == (line.stamp(0).ts, line.stamp(0).ts)


def test_a_better_anchor_moves_a_whole_boot_together() -> None:
    before = learnt([Anchor(TRUE - 1000, TRUE + 3000, 0)])
    after = learnt([Anchor(TRUE - 1000, TRUE + 3000, 0), Anchor(TRUE - 5, TRUE + 5, BUCKET_MS * 3)])
    moved = {after.stamp(at).ts - before.stamp(at).ts for at in range(0, BUCKET_MS * 3, 7777)}
    assert moved == {-1000}
    for at in range(0, BUCKET_MS * 3, 7777):
        then, now = before.stamp(at).error, after.stamp(at).error
        assert then is not None
        assert now is not None
        assert now < then


def test_an_axis_that_stood_still_is_bounded_by_the_hull_of_both_sides() -> None:
    pause = 3_600_000
    line = learnt([Anchor(TRUE - 10, TRUE + 10, 0), Anchor(TRUE + pause - 10, TRUE + pause + 10, 20 * BUCKET_MS)])
    for at, offset in ((0, TRUE), (20 * BUCKET_MS, TRUE + pause)):
        stamp = line.stamp(at)
        assert abs(stamp.ts - at - offset) <= 10
    for at in range(BUCKET_MS, 20 * BUCKET_MS, BUCKET_MS):
        stamp = line.stamp(at)
        assert stamp.error is not None
        assert stamp.ts - stamp.error <= at + TRUE
        assert at + TRUE + pause <= stamp.ts + stamp.error
    assert line.offsets == (TRUE, TRUE + pause)


def test_anchors_that_contradict_each_other_at_once_leave_their_hull() -> None:
    line = learnt([Anchor(TRUE - 5, TRUE + 5, 1000), Anchor(TRUE + 95, TRUE + 105, 1000)])
    stamp = line.stamp(1000)
    assert stamp == (1000 + TRUE + 50, 55, "anchored")


def test_without_an_anchor_a_point_lies_before_its_arrival_and_says_so() -> None:
    assert learnt([], ceiling=TRUE).stamp(5) == (TRUE + 5, None, "approximate")


@pytest.mark.parametrize("at", [-(2**53), 0, 2**53])
def test_one_anchor_serves_both_sides_of_itself(at: int) -> None:
    stamp = learnt([Anchor(TRUE, TRUE, 1000)]).stamp(at)
    assert stamp.ts == at + TRUE
    assert stamp.error == -(-abs(at - 1000) * 200 // 1_000_000)
