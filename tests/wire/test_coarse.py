"""Thinning: counts and means are those of the readings, extremes exact, no counter falsified, nothing invented."""

import itertools
import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.model.anchor import Anchor
from edge_agent.model.failure import Malformed
from edge_agent.model.reading import Series, Tick
from edge_agent.wire.batch import BatchBuilder, Thins, parse, survey, unzip
from edge_agent.wire.coarse import Coarsener, stand_in_epoch
from tests.wire.fuzz import steady
from tests.wire.moving import Machine
from tests.wire.thinning import (
    EPOCH,
    MOST,
    RESOURCE,
    SIXTY,
    TEN,
    Named,
    body,
    coarser,
    counter,
    gaps,
    gauge,
    only,
    opened,
    readings,
    thinned,
    windows,
)


def rounding(series: Series) -> float:
    """How far a mean may lie off, having been rounded once."""
    return 1e-9 if series.digits is None else 0.5001 * 10.0 ** -(series.digits + 2)


GAUGES = [("heat", 1), ("load", None), ("speed", 0)]
COUNTERS = ["bytes", "packets"]


REASONS = (None, "gone", "odd")
TICKS = st.tuples(
    st.sampled_from([0, 1, 400, 1000, 2500, 9000, 70_000]),
    st.sampled_from("ab"),
    st.lists(st.sampled_from([None, -500, -7, 0, 0, 1, 3, 8, 30]), min_size=5, max_size=5),
    st.integers(0, 3**5 - 1),
    st.integers(0, 2**5 - 1),
)
"""A step in ms, a collector, what each series shows, why it shows nothing, and which of them are left out."""
some = settings(steady, max_examples=40)


@st.composite
def lives(draw: st.DrawFn) -> list[bytes]:
    """Some batches, one after another on one axis, of two collectors whose series come and go."""
    at = draw(st.sampled_from([-30_000, -1, 0, 9999, 123_456]))
    made: list[bytes] = []
    for batch in draw(st.lists(st.lists(TICKS, max_size=8), min_size=1, max_size=4)):
        ticks: list[Tick] = []
        for step, collector, values, why, out in batch:
            at += step
            reasons = [REASONS[why // 3**index % 3] for index in range(5)]
            offered = [
                gauge(value, name, digits, reason)
                for (name, digits), value, reason in zip(GAUGES, values, reasons, strict=False)
            ] + [
                counter(None if value is None else abs(value), name, reason)
                for name, value, reason in zip(COUNTERS, values[3:], reasons[3:], strict=True)
            ]
            kept = tuple(one for index, one in enumerate(offered) if not out >> index & 1)
            ticks.append(Tick(collector, at, kept))
        made.append(body(ticks))
    return made


@some
@given(lives(), st.sampled_from([TEN, SIXTY, 700]))
def test_windows_are_made_of_all_readings_and_of_nothing_else(bodies: list[bytes], window: int) -> None:
    batch = only(thinned(bodies, window))
    found = windows(batch)
    made: dict[tuple[Named, int], list[float]] = {}
    for named, own in readings(map(parse, bodies), "gauge").items():
        for at, value in own:
            made.setdefault((named, at // window * window), []).append(value)
    assert found.keys() == made.keys()
    for key, values in made.items():
        mean, least, greatest, count = found[key]
        assert (least, greatest, count) == (min(values), max(values), len(values))
        assert mean == pytest.approx(math.fsum(values) / count, abs=rounding(key[0][1]))
    assert survey(unzip(thinned(bodies, window)[0].payload, MOST)).readings == sum(
        len(own) for owns in (made, readings([batch], "counter")) for own in owns.values()
    )


@some
@given(lives(), st.sampled_from([TEN, SIXTY]))
def test_counters_keep_real_readings_with_both_sides_of_each_fall(bodies: list[bytes], window: int) -> None:
    kept = readings([only(thinned(bodies, window))], "counter")
    taken = readings(map(parse, bodies), "counter")
    assert kept.keys() == taken.keys()
    for named, own in taken.items():
        needed = [own[0], own[-1]]
        for before, after in itertools.pairwise(own):
            if after[1] < before[1]:
                needed += [before, after]
            if after[0] // window != before[0] // window:
                needed.append(before)
        assert set(kept[named]) == set(needed)
        rest = iter(own)
        assert all(reading in rest for reading in kept[named]), "in order, and none twice"


@some
@given(lives())
def test_windows_of_windows_are_windows_of_readings(bodies: list[bytes]) -> None:
    fine = thinned(bodies, TEN)
    twice, once = only(coarser(fine)), only(thinned(bodies, SIXTY))
    direct, indirect = windows(once), windows(twice)
    assert direct.keys() == indirect.keys()
    for key, (mean, *rest) in direct.items():
        assert list(indirect[key][1:]) == rest
        assert indirect[key][0] == pytest.approx(mean, abs=2 * rounding(key[0][1]))
    assert readings([twice], "counter") == readings([once], "counter")
    assert gaps(twice, "gauge") == gaps(once, "gauge")
    assert gaps(twice, "counter") == gaps(once, "counter")
    assert (twice.axis, twice.resource, twice.stat) == (once.axis, once.resource, once.stat)


@some
@given(lives())
def test_a_window_without_a_value_has_the_last_reason(bodies: list[bytes]) -> None:
    batch, reasons, there = only(thinned(bodies)), dict[tuple[Named, int], str](), set[tuple[Named, int]]()
    for one in map(parse, bodies):
        for (named, at), reason in sorted(gaps(one, "gauge").items(), key=lambda gap: gap[0][1]):
            reasons[named, at // TEN * TEN] = reason
    for named, own in readings(map(parse, bodies), "gauge").items():
        there.update((named, at // TEN * TEN) for at, _ in own)
    assert gaps(batch, "gauge") == {key: reason for key, reason in reasons.items() if key not in there}


@some
@given(lives())
def test_the_same_batches_give_the_same_bytes(bodies: list[bytes]) -> None:
    assert thinned(bodies) == thinned(bodies)
    assert b"NaN" not in unzip(thinned(bodies)[0].payload, MOST)


def test_a_stand_in_is_written_as_the_design_says() -> None:
    bodies = [
        body(
            [
                Tick("gpu", 10_000, (gauge(20.0), counter(5))),
                Tick("gpu", 11_000, (gauge(20.1), counter(9))),
                Tick("gpu", 12_000, (gauge(20.1), counter(2))),
                Tick("gpu", 13_000, (gauge(None, reason="gone"), counter(3))),
            ],
            anchor=Anchor(0, 50, 13_000),
            missed=[["gpu", 2, "stalled"]],
            unfit=1,
        ),
        body(
            [Tick("gpu", 20_000, (gauge(None, reason="gone"), counter(None, reason="gone")))],
            anchor=Anchor(5, 45, 20_000),
            missed=[["cpu", 1, "hung"], ["gpu", 3, "stalled"]],
            unfit=2,
            note="last",
        ),
        body([Tick("gpu", 31_000, (gauge(19.0), counter(4)))], anchor=Anchor(5, 45, 19_000), note="first"),
    ]
    (one,) = thinned(bodies)
    assert one.ranges == ((0, 3),)
    family = ["heat", "Cel", "gauge", 1, "", {}]
    assert orjson.loads(unzip(one.payload, MOST)) == {
        "v": 1,
        "axis": "boot-1",
        "anchor": [5, 45, 20_000],
        "resource": RESOURCE,
        "stat": {"missed": [["cpu", 1, "hung"], ["gpu", 5, "stalled"]], "unfit": 3, "note": "first"},
        "thins": {"epoch": "0000000000000077", "ranges": [[0, 3]], "window": 10_000},
        "tracks": [
            {
                "collector": "gpu",
                "t0": 10_000,
                "dt": [0, 10_000, 10_000],
                "families": [family],
                "cells": [20_067, None, -1067],
                "least": [200, None, -10],
                "greatest": [201, None, -11],
                "counts": [3, None, 1],
                "gaps": [[0, 1, 2, "gone"]],
            },
            {
                "collector": "gpu",
                "t0": 10_000,
                "dt": [0, 1000, 1000, 1000, 7000, 11_000],
                "families": [["bytes", "By", "counter", 0, "", {}]],
                "cells": [5, 4, -7, 1, None, 1],
                "gaps": [[0, 4, 5, "gone"]],
            },
        ],
    }


def test_the_epoch_of_stand_ins_is_a_function_of_epoch_and_window() -> None:
    assert stand_in_epoch(EPOCH, TEN) == stand_in_epoch(EPOCH, TEN) < 2**63
    found = {stand_in_epoch(epoch, window) for epoch in range(100) for window in (TEN, SIXTY)}
    assert len(found) == 200
    assert stand_in_epoch(0x77, 10_000) == 0x7401_EDFF_A48E_5E5E


def test_another_axis_or_resource_starts_another_stand_in() -> None:
    first, second = body([Tick("gpu", 0, (gauge(1),))]), body([Tick("gpu", 0, (gauge(2),))], axis="boot-2")
    document = orjson.loads(second)
    third = orjson.dumps({**document, "resource": {"device.id": "car-3", "site": "lab"}})
    found = thinned([first, first, second, third, third])
    assert [one.ranges for one in found] == [((0, 2),), ((2, 3),), ((3, 5),)]
    assert [opened(one).axis for one in found] == ["boot-1", "boot-2", "boot-2"]


def test_numbers_that_are_left_out_are_left_out_of_the_ranges() -> None:
    coarsener = Coarsener(EPOCH, TEN)
    for seq in (3, 4, 9):
        coarsener.add([(seq, seq + 1)], body([Tick("gpu", seq * 1000, (gauge(seq),))]))
    batch = only(coarsener.pack())
    assert batch.thins == Thins(EPOCH, ((3, 5), (9, 10)), TEN)
    assert windows(batch)[("gpu", batch.tracks[0].series[0]), 0] == (5.333, 3.0, 9.0, 3)


def test_two_readings_at_one_instant_stay_two() -> None:
    ticks = [Tick("a", at, (counter(value),)) for at, value in ((0, 50), (0, 3), (0, 9), (4000, 10))]
    (found,) = readings([only(thinned([body(ticks)]))], "counter").values()
    assert found == [(0, 50), (0, 3), (4000, 10)]


def test_a_batch_that_does_not_hold_leaves_what_was_added_before() -> None:
    coarsener, good = Coarsener(EPOCH, TEN), body([Tick("gpu", 0, (gauge(1),))])
    coarsener.add([(0, 1)], good)
    other = unzip(thinned([good])[0].payload, MOST).replace(b"0000000000000077", b"0000000000000078")
    sixty = unzip(thinned([good], SIXTY)[0].payload, MOST)
    early = orjson.dumps({**orjson.loads(good), "tracks": [{**orjson.loads(good)["tracks"][0], "t0": -(2**53)}]})
    for bad, field in ((b"{", None), (other, "thins.epoch"), (sixty, "thins.window"), (early, "tracks")):
        with pytest.raises(Malformed) as refused:
            coarsener.add([(1, 2)], bad)
        assert refused.value.field == field
    assert coarsener.pack() == thinned([good])


def test_a_batch_without_ticks_is_stood_for_too() -> None:
    batch = only(thinned([body([], unfit=3), body([])]))
    assert (batch.tracks, batch.stat) == ((), {"unfit": 3})


def test_a_machine_takes_a_tenth_in_windows_of_ten_seconds() -> None:
    machine, bodies, full = Machine(3), [], 0
    for _, some in itertools.groupby(machine.ticks(600), lambda tick: tick.at // TEN):
        builder = BatchBuilder("boot-1", RESOURCE)
        for tick in some:
            builder.add(tick)
        payload = builder.pack(None, {})
        full += len(payload)
        bodies.append(unzip(payload, MOST))
    fine = thinned(bodies)
    assert sum(len(one.payload) for one in fine) < full / 5
    assert sum(len(one.payload) for one in coarser(fine)) < full / 12
