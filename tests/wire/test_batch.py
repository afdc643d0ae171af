"""Batches: what goes in comes out, the same ticks give the same bytes, and what cannot be held is counted."""

import itertools
import math
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.anchor import Anchor
from edge_agent.model.reading import Kind, Reading, Tick, series_of
from edge_agent.wire.batch import Batch, BatchBuilder, Gap, parse, survey, unzip
from tests.wire.fuzz import steady
from tests.wire.moving import Machine

MOST = 2**24
ANCHOR = Anchor(1_700_000_000_000, 1_700_000_000_040, 5000)
RESOURCE = {"device.id": "board-17", "site": "car-3"}


def built(*ticks: Tick) -> BatchBuilder:
    """A builder that was given these ticks."""
    builder = BatchBuilder("boot/1", RESOURCE)
    for tick in ticks:
        builder.add(tick)
    return builder


def opened(builder: BatchBuilder) -> Batch:
    """What a builder's payload says."""
    return parse(unzip(builder.pack(None, {}), MOST))


def heat(value: float | None, digits: int | None = 1, reason: str | None = None) -> Reading:
    """A temperature."""
    return Reading("hw.temperature", value, "Cel", digits=digits, source="/sys", reason=reason)


def test_a_batch_is_written_as_the_design_says() -> None:
    builder = built(
        Tick("heat", 1000, (heat(20.04), Reading("hw.errors", 7, "{error}", {"b": "2", "a": "1"}, "counter"))),
        Tick("heat", 2001, (heat(20.5), Reading("hw.errors", None, "{error}", {"a": "1", "b": "2"}, "counter"))),
        Tick("heat", 3000, (heat(None, reason="gone"),)),
        Tick("heat", 4000, (heat(None, reason="gone"), Reading("load", 0.1, "1", digits=None))),
    )
    assert orjson.loads(unzip(builder.pack(ANCHOR, {"missed": [["heat", 2, "stalled"]]}), MOST)) == {
        "v": 1,
        "axis": "boot/1",
        "anchor": [1_700_000_000_000, 1_700_000_000_040, 5000],
        "resource": RESOURCE,
        "tracks": [
            {
                "collector": "heat",
                "t0": 1000,
                "dt": [0, 1001, 999, 1000],
                "families": [
                    ["hw.temperature", "Cel", "gauge", 1, "/sys", {}],
                    ["hw.errors", "{error}", "counter", 0, "", {"a": ["1"], "b": ["2"]}],
                    ["load", "1", "gauge", None, "", {}],
                ],
                "cells": [200, 5, None, None, 7, None, None, None, None, None, None, 0.1],
                "gaps": [[0, 2, 4, "gone"]],
            }
        ],
        "stat": {"missed": [["heat", 2, "stalled"]]},
    }
    assert (builder.readings, builder.ticks) == (4, 4)


def test_series_that_differ_by_attribute_values_only_are_one_family() -> None:
    def core(number: str, value: float | None, kind: Kind = "gauge", **more: str) -> Reading:
        return Reading("load", value, "1", {"core": number, **more}, kind, reason=None if value is not None else "gone")

    tick = Tick("cpu", 0, (core("0", 1), core("0", 2, "counter"), core("1", None), core("0", 3, mode="user")))
    body = unzip(built(tick, replace(tick, at=1000)).pack(None, {}), MOST)
    (track,) = orjson.loads(body)["tracks"]
    assert track["families"] == [
        ["load", "1", "gauge", 0, "", {"core": ["0", "1"]}],
        ["load", "1", "counter", 0, "", {"core": ["0"]}],
        ["load", "1", "gauge", 0, "", {"core": ["0"], "mode": ["user"]}],
    ]
    assert track["cells"] == [1, 0, None, None, 2, 0, 3, 0]
    assert track["gaps"] == [[1, 0, 2, "gone"]]
    (back,) = parse(body).tracks
    assert set(back.series) == {series_of(reading) for reading in tick.readings}


def test_a_batch_comes_back_with_real_values() -> None:
    batch = opened(
        built(
            Tick("heat", 1000, (heat(20.04), Reading("bytes", 2**53, "By", kind="counter"))),
            Tick("other", 1500, (heat(-3.25, digits=2),)),
            Tick("heat", 2000, (heat(None, reason="gone"), Reading("bytes", 5, "By", kind="counter"))),
            Tick("heat", 3000, (heat(19.96),)),
        )
    )
    first, other = batch.tracks
    assert (batch.axis, batch.anchor, batch.resource, batch.stat) == ("boot/1", None, RESOURCE, {})
    assert first.instants == [1000, 2000, 3000]
    assert first.series == [series_of(heat(0)), series_of(Reading("bytes", 0, "By", kind="counter"))]
    assert first.columns == [[20.0, None, 20.0], [2**53, 5, None]]
    assert first.gaps == [Gap(0, 1, 2, "gone")]
    assert (other.collector, other.instants, other.columns) == ("other", [1500], [[-3.25]])


@steady
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from("abc"),
                st.sampled_from([None, 0, 3]),
                st.none() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6),
            ),
            max_size=6,
            unique_by=lambda offered: offered[:2],
        ),
        max_size=12,
    )
)
def test_every_value_comes_back_to_its_digits(offers: list[list[tuple[str, int | None, float | None]]]) -> None:
    ticks = [
        Tick("any", at, tuple(Reading(name, value, "1", digits=digits) for name, digits, value in offer))
        for at, offer in enumerate(offers)
    ]
    batch = opened(built(*ticks))
    found = {
        (series.name, series.digits, at): value
        for track in batch.tracks
        for series, column in zip(track.series, track.columns, strict=True)
        for at, value in zip(track.instants, column, strict=True)
    }
    for at, offer in enumerate(offers):
        for name, digits, value in offer:
            back = found.pop((name, digits, at))
            if value is None or back is None:
                assert back is value
            else:
                tolerance = 0.0 if digits is None else 0.5000001 * 10**-digits
                assert math.isclose(back, value, rel_tol=1e-12, abs_tol=tolerance)
    assert set(found.values()) <= {None}


@pytest.mark.parametrize(
    ("value", "digits", "reason"),
    [
        (math.nan, 0, "nan"),
        (math.nan, None, "nan"),
        (math.inf, 3, "infinite"),
        (-math.inf, None, "infinite"),
        (2**53 + 1, 0, "too_large"),
        (-(2.0**50), 1, "too_large"),
        (1e300, 15, "too_large"),
        pytest.param(10**400, None, "too_large", id="an int beyond all floats"),
    ],
)
def test_what_is_no_number_to_keep_is_null_with_its_reason(value: float, digits: int | None, reason: str) -> None:
    track = opened(built(Tick("x", 0, (heat(1, digits),)), Tick("x", 1, (heat(value, digits),)))).tracks[0]
    assert track.columns == [[1, None]]
    assert track.gaps == [Gap(0, 1, 2, reason)]


def test_a_gap_ends_where_the_reason_changes_or_a_value_comes() -> None:
    reasons = ["a", "a", "b", None, "b", "b"]
    ticks = [Tick("x", at, (heat(None if reason else 5, reason=reason),)) for at, reason in enumerate(reasons)]
    assert opened(built(*ticks)).tracks[0].gaps == [Gap(0, 0, 2, "a"), Gap(0, 2, 3, "b"), Gap(0, 4, 6, "b")]


def test_a_series_not_offered_is_null_without_a_reason() -> None:
    track = opened(built(Tick("x", 0, (heat(1),)), Tick("x", 1, ()), Tick("x", 2, (heat(2),)))).tracks[0]
    assert track.columns == [[1.0, None, 2.0]]
    assert track.gaps == []


def test_readings_may_change_places_come_and_go() -> None:
    offers = ["abc", "acb", "c", "", "abcd", "dcba"]
    ticks = [
        Tick("x", at, tuple(Reading(name, ord(name) + at, "1", {"of": name}) for name in offered))
        for at, offered in enumerate(offers)
    ]
    track = opened(built(*ticks)).tracks[0]
    for series, column in zip(track.series, track.columns, strict=True):
        expected = [ord(series.name) + at if series.name in offered else None for at, offered in enumerate(offers)]
        assert column == expected


def test_changed_attributes_unit_kind_or_digits_are_another_series() -> None:
    reading = Reading("x", 1, "1", {"a": "1"})
    variants = [
        reading,
        reading._replace(attributes={"a": "2"}),
        reading._replace(unit="By"),
        reading._replace(kind="counter"),
        reading._replace(digits=1),
        reading._replace(source="/proc"),
    ]
    track = opened(built(*(Tick("x", at, (variant,)) for at, variant in enumerate(variants)))).tracks[0]
    assert track.series == [series_of(variant) for variant in variants]


def test_the_same_ticks_give_the_same_bytes() -> None:
    ticks = list(Machine(3).ticks(10))
    turned = [
        Tick(
            tick.collector,
            tick.at,
            tuple(
                reading._replace(attributes=dict(sorted(reading.attributes.items(), reverse=True)))
                for reading in tick.readings
            ),
        )
        for tick in ticks
    ]
    payload = built(*ticks).pack(ANCHOR, {"b": 1, "a": 2})
    assert built(*turned).pack(ANCHOR, {"a": 2, "b": 1}) == payload
    assert payload[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00" + payload[8:10], "no time stands in the gzip header"


def test_packing_leaves_the_batch_open() -> None:
    ticks = list(Machine(4).ticks(4))
    builder = built(*ticks[:8])
    builder.pack(None, {})
    for tick in ticks[8:]:
        builder.add(tick)
    assert builder.pack(None, {}) == built(*ticks).pack(None, {})


def test_a_survey_says_what_the_batch_holds() -> None:
    builder = built(*Machine(5).ticks(7))
    body = unzip(builder.pack(ANCHOR, {"missed": []}), MOST)
    found, batch = survey(body), parse(body)
    assert (found.axis, found.anchor, found.resource, found.stat) == ("boot/1", ANCHOR, RESOURCE, {"missed": []})
    assert [list(track.series) for track in found.tracks] == [track.series for track in batch.tracks]
    assert [(track.first, track.last, track.ticks) for track in found.tracks] == [
        (track.instants[0], track.instants[-1], 7) for track in batch.tracks
    ]
    instants = list(itertools.chain.from_iterable(track.instants for track in batch.tracks))
    assert (found.first, found.last) == (min(instants), max(instants))
    assert found.readings == builder.readings == 7 * 95
    assert found.readings == sum(
        value is not None for track in batch.tracks for column in track.columns for value in column
    )


def test_a_batch_without_ticks_is_a_batch() -> None:
    builder = BatchBuilder("boot/1", {})
    found = survey(unzip(builder.pack(None, {"missed": [["cpu", 9, "hung"]]}), MOST))
    assert (found.tracks, found.first, found.last, found.readings) == ((), None, None, 0)
    assert (builder.readings, builder.ticks) == (0, 0)


def test_what_the_format_cannot_hold_is_left_out_and_counted() -> None:
    good = Reading("good", 1, "1")
    unfit = [
        Reading("", 1, "1"),
        Reading("x" * 257, 1, "1"),
        Reading("half \udc80", 1, "1"),
        Reading("unit", 1, "x" * 1025),
        Reading("digits", 1, "1", digits=16),
        Reading("digits", 1, "1", digits=-1),
        Reading("many", 1, "1", {str(index): "" for index in range(33)}),
        Reading("long", 1, "1", {"a": "x" * 1025}),
        good,
    ]
    builder = built(
        Tick("x", 5, (good, *unfit)),
        Tick("x", 6, (good, *unfit)),
        Tick("x", 4, (good,)),
        Tick("x", 2**53 + 1, (good,)),
        Tick("", 7, (good, good)),
        Tick("x" * 257, 7, (good,)),
        Tick("half \udc80", 7, (good,)),
    )
    batch = opened(builder)
    assert batch.stat == {"unfit": 2 * len(unfit) + 6}
    assert [(track.collector, track.instants, track.columns) for track in batch.tracks] == [("x", [5, 6], [[1, 1]])]


def test_a_reason_that_cannot_be_written_is_cut_to_what_can() -> None:
    track = opened(built(Tick("x", 0, (heat(None, reason="\udc80" + "y" * 2000),)))).tracks[0]
    assert track.gaps == [Gap(0, 0, 1, "?" + "y" * 1023)]


def test_a_resource_that_cannot_be_written_does_not_cost_the_batch() -> None:
    payload = BatchBuilder("boot/1", {"model": "half \udc80", "label": "y" * 2000}).pack(None, {})
    assert parse(unzip(payload, MOST)).resource == {"model": "half ?", "label": "y" * 1024}


def test_a_source_may_change_the_attributes_that_it_gave() -> None:
    attributes = {"state": "idle"}
    builder = built(Tick("x", 0, (Reading("load", 1, "1", attributes),)))
    attributes["state"] = "busy"
    builder.add(Tick("x", 1, (Reading("load", 2, "1", attributes),)))
    track = opened(builder).tracks[0]
    assert [series.attributes for series in track.series] == [(("state", "idle"),), (("state", "busy"),)]
    assert track.columns == [[1, None], [None, 2]]


def test_a_flood_of_series_ticks_or_tracks_stays_readable() -> None:
    flood = BatchBuilder("boot/1", {})
    flood.add(Tick("x", 0, tuple(Reading(f"s{index}", 1, "1") for index in range(10_050))))
    for at in range(1, 300):
        flood.add(Tick("x", at, ()))
    found = survey(unzip(flood.pack(None, {}), MOST))
    assert found.stat == {"unfit": 50}
    assert found.tracks[0].ticks == 200
    crowd = built(*(Tick(f"c{index}", 0, (heat(1),)) for index in range(260)))
    assert survey(unzip(crowd.pack(None, {}), MOST)).stat == {"unfit": 4}


def test_the_size_is_told_before_packing() -> None:
    for beats in (1, 10, 60, 240):
        builder = built(*Machine(6).ticks(beats))
        assert 0.8 <= builder.size / len(builder.pack(ANCHOR, {})) <= 1.5
    still = BatchBuilder("boot/1", {})
    for at in range(2000):
        still.add(Tick("x", at, tuple(Reading(f"s{index}", 1, "1") for index in range(100))))
    assert still.size >= 2000 * 100 * 256 * 1024 / 2_000_000, "a batch that stands still seals before its cells run out"


def test_a_moving_board_costs_few_bytes_a_reading() -> None:
    for beats, most in ((10, 2.7), (60, 1.4)):
        builder = built(*Machine(1).ticks(beats))
        assert len(builder.pack(ANCHOR, {})) / builder.readings < most
