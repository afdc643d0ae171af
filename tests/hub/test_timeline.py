"""Timelines: true time lies in `ts` give or take `ts_err`, and an interval is what the axis measured."""

import random
import sqlite3
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.hub import timeline
from edge_agent.hub.timeline import BUCKET_MS, Room, Timeline
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


class Truth:
    """A boot as it was: a crystal that is off by `ppm`, and an axis that stood still `pauses` times."""

    def __init__(self, chance: random.Random, ppm: int, pauses: int, length: int = 60 * BUCKET_MS) -> None:
        self._ppm = ppm
        self._jumps = [(chance.randrange(length), 1 << chance.randrange(4, 36)) for _ in range(pauses)]

    def offset(self, at: int) -> int:
        return TRUE + at * self._ppm // 1_000_000 + sum(size for jump, size in self._jumps if jump <= at)

    def claim(self, chance: random.Random, at: int) -> Anchor:
        return Anchor(self.offset(at) - chance.randrange(1, 2000), self.offset(at) + chance.randrange(1, 2000), at)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(-200, 200), st.integers(0, 5), st.integers(0, 40))
def test_true_time_lies_within_the_error_whatever_the_crystal_does_and_however_the_axis_stood_still(
    seed: int, ppm: int, pauses: int, count: int
) -> None:
    chance = random.Random(seed)
    truth = Truth(chance, ppm, pauses)
    ends = [truth.claim(chance, 0), truth.claim(chance, 60 * BUCKET_MS)]
    between = [truth.claim(chance, chance.randrange(50 * BUCKET_MS)) for _ in range(count)]
    line = learnt([*between, *ends])
    for at in (chance.randrange(60 * BUCKET_MS) for _ in range(50)):
        stamp = line.stamp(at)
        assert stamp.flag == "anchored"
        assert stamp.error is not None
        assert abs(stamp.ts - (at + truth.offset(at))) <= stamp.error + 1  # the truth of this test is rounded, too


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(-200, 200), st.integers(0, 5))
def test_the_order_of_readings_is_that_of_the_axis(seed: int, ppm: int, pauses: int) -> None:
    chance = random.Random(seed)
    truth = Truth(chance, ppm, pauses)
    anchors = [truth.claim(chance, chance.randrange(60 * BUCKET_MS)) for _ in range(30)]
    anchors.append(Anchor(TRUE - 10**7, TRUE - 10**7 + 5, chance.randrange(60 * BUCKET_MS)))  # somebody was wrong
    line = learnt(anchors)
    stamps = [line.stamp(at).ts for at in sorted(chance.randrange(61 * BUCKET_MS) for _ in range(500))]
    assert stamps == sorted(stamps)
    assert all(line.offsets[0] <= line.stamp(at).ts - at <= line.offsets[1] for at in range(0, 61 * BUCKET_MS, 999_999))


@pytest.mark.parametrize("count", [1, 2, 50])
def test_of_ten_minutes_at_most_four_claims_are_kept_and_each_as_it_came(count: int) -> None:
    chance = random.Random(count)
    truth = Truth(chance, 50, 0)
    anchors = [truth.claim(chance, at) for at in chance.sample(range(2 * BUCKET_MS), count)]
    connection = sqlite3.connect(":memory:")
    connection.executescript(timeline.SCHEMA)
    for anchor in anchors:
        timeline.learn(connection, 1, [anchor])
    kept = timeline.claims(connection, 1)
    connection.close()
    assert set(kept) <= set(anchors)
    for bucket in (0, 1):
        here = [anchor for anchor in anchors if anchor.at // BUCKET_MS == bucket]
        left = [anchor for anchor in kept if anchor.at // BUCKET_MS == bucket]
        assert len(left) <= 4
        if here:
            end = (bucket + 1) * BUCKET_MS
            assert max(one.floor(end) for one in left) == max(one.floor(end) for one in here)
            assert min(one.roof(end - BUCKET_MS) for one in left) == min(one.roof(end - BUCKET_MS) for one in here)
            assert {min(here, key=lambda one: one.at), max(here, key=lambda one: one.at)} <= set(left)


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


def test_after_the_last_pause_that_can_be_known_the_error_is_small_again() -> None:
    pause = 10 * 365 * 86_400_000
    before = [Anchor(TRUE - 10, TRUE + 10, at * BUCKET_MS) for at in range(10)]
    after = [Anchor(TRUE + pause - 10, TRUE + pause + 10, at * BUCKET_MS) for at in range(10, 20)]
    line = learnt([*before, *after])
    for at in range(0, 20 * BUCKET_MS, 50_000):
        stamp = line.stamp(at)
        assert stamp.error is not None
        between = 9 * BUCKET_MS < at < 10 * BUCKET_MS
        assert stamp.error >= pause if between else stamp.error <= 10 + 120
        assert between or stamp.ts - at == TRUE + (pause if at >= 10 * BUCKET_MS else 0)


def test_anchors_that_contradict_each_other_at_once_leave_their_hull() -> None:
    stamp = learnt([Anchor(TRUE - 5, TRUE + 5, 1000), Anchor(TRUE + 95, TRUE + 105, 1000)]).stamp(1000)
    assert stamp == (1000 + TRUE + 100, 105, "anchored")


def test_a_step_down_is_taken_back_over_ten_times_its_length() -> None:
    line = learnt([Anchor(TRUE + 395, TRUE + 405, 0), Anchor(TRUE - 5, TRUE + 5, 2 * BUCKET_MS)])
    middle = BUCKET_MS
    assert line.stamp(middle).ts == middle + TRUE + 400
    assert line.stamp(middle + 2000).ts == middle + 2000 + TRUE + 200
    assert line.stamp(middle + 4000).ts == middle + 4000 + TRUE
    stamps = [line.stamp(at).ts for at in range(middle - 100, middle + 5000)]
    assert all(after >= before for before, after in pairwise(stamps))


@pytest.mark.parametrize("years", [-10, 10])
def test_a_hub_that_was_years_off_for_a_while_moves_nothing_but_its_own_error(years: int) -> None:
    lie = years * 365 * 86_400_000
    wrong = range(20, 25)
    anchors = [
        Anchor(offset - 10, offset + 10, bucket * BUCKET_MS)
        for bucket in range(60)
        for offset in (TRUE + (lie if bucket in wrong else 0),)
    ]
    line = learnt(anchors)
    assert {line.stamp(at).ts - at for at in range(0, 60 * BUCKET_MS, 77_777)} == {TRUE}
    for at in range(0, 60 * BUCKET_MS, 77_777):
        error = line.stamp(at).error
        assert error is not None
        about = 19 * BUCKET_MS <= at <= 25 * BUCKET_MS
        assert error >= abs(lie) - 1000 if about else error <= 10 + 120, at // BUCKET_MS


def test_a_kernel_that_counted_a_suspend_a_second_too_long_is_followed() -> None:
    before = [Anchor(TRUE + 990, TRUE + 1010, at * BUCKET_MS) for at in range(3)]
    after = [Anchor(TRUE - 10, TRUE + 10, at * BUCKET_MS) for at in range(3, 5)]
    line = learnt([*before, *after])
    assert line.stamp(0).ts == TRUE + 1000
    assert line.stamp(4 * BUCKET_MS).ts == 4 * BUCKET_MS + TRUE
    between = line.stamp(2 * BUCKET_MS + 5)
    assert between.error is not None
    assert between.ts - between.error <= 2 * BUCKET_MS + 5 + TRUE
    assert between.error < 2500


def test_claims_without_end_that_contradict_each_other_are_worked_through_in_time() -> None:
    anchors = [
        Anchor(TRUE + lie - 5, TRUE + lie + 5, at * BUCKET_MS) for at in range(2000) for lie in (at % 2 * 10**9,)
    ]
    stamps = [Timeline(anchors, 0).stamp(at) for at in (0, 10**6, 10**9)]
    assert all(stamp.error is not None for stamp in stamps)


def test_without_an_anchor_a_point_lies_before_its_arrival_and_says_so() -> None:
    assert learnt([], ceiling=TRUE).stamp(5) == (TRUE + 5, None, "approximate")


@pytest.mark.parametrize("at", [-(2**53), 0, 2**53])
def test_one_anchor_serves_both_sides_of_itself(at: int) -> None:
    stamp = learnt([Anchor(TRUE, TRUE, 1000)]).stamp(at)
    assert stamp.ts == at + TRUE
    assert stamp.error == -(-abs(at - 1000) * 200 // 1_000_000)


def test_an_axis_between_two_others_lies_in_the_middle_of_what_they_leave() -> None:
    line = Timeline([], TRUE + 10**12, Room(1000, 61_000, TRUE, TRUE + 10_000))
    for at in (1000, 31_000, 61_000):
        assert line.stamp(at) == (at + TRUE + 5000, 5000 + 12 if at != 31_000 else 5000 + 6, "approximate")


@pytest.mark.parametrize(
    ("lo", "hi", "ceiling", "offset"),
    [
        (None, None, 7, 7),
        (5, None, 7, 7),
        (9, None, 7, 9),
        (None, 5, 7, 5),
        (None, 9, 7, 7),
        (9, 3, 7, 7),
    ],
)
def test_where_a_side_is_open_or_none_is_left_the_ceiling_is_kept_as_near_as_can_be(
    lo: int | None, hi: int | None, ceiling: int, offset: int
) -> None:
    assert Timeline([], ceiling, Room(0, 10, lo, hi)).stamp(3) == (3 + offset, None, "approximate")


def test_both_sides_of_each_pause_are_kept_so_that_little_lies_in_doubt() -> None:
    told = range(0, 590_000, 2000)
    claims = [Anchor(TRUE + at // 100_000 * 30_000 - 10, TRUE + at // 100_000 * 30_000 + 10, at) for at in told]
    line = learnt(claims)
    doubtful = [at for at in told if (line.stamp(at).error or 0) > 1000]
    assert len(doubtful) <= 5
    for claim in claims:
        stamp = line.stamp(claim.at)
        assert stamp.error is not None
        assert abs(stamp.ts - claim.at - claim.offset) <= stamp.error
