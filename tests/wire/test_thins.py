"""Thinned batches as readers take them: alike, to the last cell, and refused by the part that is wrong."""

import copy
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given

from edge_agent.model.failure import Malformed
from edge_agent.wire.batch import Survey, Thins, parse, survey
from edge_agent.wire.coarse import Coarsener
from edge_agent.wire.survey import Surveyor
from edge_agent.wire.thins import MOST_RANGES, MOST_WINDOW
from tests.wire.fuzz import damaged, refusal, steady, wounded

DOCUMENT: dict[str, Any] = {
    "v": 1,
    "axis": "boot-1",
    "thins": {"epoch": "0000000000000077", "ranges": [[0, 3], [5, 6]], "window": 10_000},
    "tracks": [
        {
            "collector": "gpu",
            "t0": 20_000,
            "dt": [0, 10_000, 30_000],
            "families": [["heat", "Cel", "gauge", 1, "", {}], ["load", "1", "gauge", None, "", {}]],
            "cells": [20_067, None, -1067, 0.5, 0.25, None],
            "least": [200, None, -10, 0.5, 0.0, None],
            "greatest": [201, None, -11, 0.5, 1.0, None],
            "counts": [3, None, 1, 1, 9, None],
            "gaps": [[0, 1, 2, "gone"]],
        },
        {
            "collector": "gpu",
            "t0": 19_000,
            "dt": [0, 1000, 0],
            "families": [["bytes", "By", "counter", 0, "", {}]],
            "cells": [5, None, -4],
        },
    ],
}
BODY = orjson.dumps(DOCUMENT)


def told(survey_of: Callable[[bytes], Survey], body: bytes) -> Survey | tuple[str, str | None]:
    """What a reader says: a survey, or how it refuses."""
    try:
        return survey_of(body)
    except Malformed as error:
        return error.code, error.field


def test_a_thinned_batch_says_what_it_stands_for_and_what_its_windows_held() -> None:
    found, batch = survey(BODY), parse(BODY)
    assert found.thins == batch.thins == Thins(0x77, ((0, 3), (5, 6)), 10_000)
    assert (found.first, found.last, found.readings) == (19_000, 60_000, 14 + 2)
    assert [track.windowed for track in found.tracks] == [True, False]
    windowed, plain = batch.tracks
    assert windowed.instants == [20_000, 30_000, 60_000]
    assert windowed.columns == [[20.067, None, 19.0], [0.5, 0.25, None]]
    assert windowed.least == [[20.0, None, 19.0], [0.5, 0.0, None]]
    assert windowed.greatest == [[20.1, None, 19.0], [0.5, 1.0, None]]
    assert windowed.counts == [[3, None, 1], [1, 9, None]]
    assert (plain.columns, plain.least, plain.greatest, plain.counts) == ([[5, None, 1]], None, None, None)


def test_a_full_batch_stands_for_nothing_and_may_have_members_of_these_names() -> None:
    document = {**DOCUMENT, "thins": None}
    found = survey(orjson.dumps(document))
    assert (found.thins, found.readings) == (None, 4 + 2)
    assert not any(track.windowed for track in found.tracks)
    assert parse(orjson.dumps(document)).tracks[0].columns[0] == [2006.7, None, 1900.0]


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The document with something changed in it."""
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return orjson.dumps(document)


def thins(**members: Any) -> bytes:
    return changed(lambda document: document["thins"].update(members))


def track(**members: Any) -> bytes:
    return changed(lambda document: document["tracks"][0].update(members))


WRONG: list[tuple[bytes, str]] = [
    (changed(lambda document: document.update(thins=[])), "thins"),
    (thins(epoch=7), "thins.epoch"),
    (thins(epoch="77"), "thins.epoch"),
    (thins(epoch="000000000000007G"), "thins.epoch"),
    (thins(epoch="8000000000000000"), "thins.epoch"),
    (thins(window=None), "thins.window"),
    (thins(window=0), "thins.window"),
    (thins(window=10_000.0), "thins.window"),
    (thins(window=MOST_WINDOW + 1), "thins.window"),
    (thins(ranges=None), "thins.ranges"),
    (thins(ranges=[]), "thins.ranges"),
    (thins(ranges=[[2 * n, 2 * n + 1] for n in range(MOST_RANGES + 1)]), "thins.ranges"),
    (thins(ranges=[[0, 1], [2]]), "thins.ranges[1]"),
    (thins(ranges=[[0, True]]), "thins.ranges[0]"),
    (thins(ranges=[[-1, 1]]), "thins.ranges[0]"),
    (thins(ranges=[[1, 1]]), "thins.ranges[0]"),
    (thins(ranges=[[0, 1], [1, 2]]), "thins.ranges[1]"),
    (thins(ranges=[[0, 2**63]]), "thins.ranges[0]"),
    (thins(window=7000), "tracks[0].dt"),
    (track(t0=20_001), "tracks[0].dt"),
    (track(dt=[0, 0, 30_000]), "tracks[0].dt"),
    (track(least=None), "tracks[0].least"),
    (track(least=[200, None, -10, 0.5, 0.0]), "tracks[0].least"),
    (track(greatest=[201, None, -11.0, 0.5, 1.0, None]), "tracks[0].greatest"),
    (track(counts=[3, None, 1, 1, 9.0, None]), "tracks[0].counts"),
    (track(counts=[3, None, 1, 1, 9]), "tracks[0].counts"),
    (track(counts=[3, None, 0, 1, 9, None]), "tracks[0].counts"),
    (track(counts=[3, 1, None, 1, 9, None]), "tracks[0].counts"),
    (track(counts=[3, None, 2**53 + 1, 1, 9, None]), "tracks[0].counts"),
    (track(least=[200, -10, None, 0.5, 0.0, None]), "tracks[0].counts"),
    (track(least=[201, None, -10, 0.5, 0.0, None]), "tracks[0].cells"),
    (track(greatest=[201, None, -11, 0.4, 1.0, None]), "tracks[0].cells"),
    (track(least=[-(2**53) - 1, None, 5, 0.5, 0.0, None]), "tracks[0].least"),
    (changed(lambda document: document["tracks"][0].pop("least")), "tracks[0].least"),
    (changed(lambda document: document["tracks"][0]["families"][0].__setitem__(2, "counter")), "tracks[0].families"),
    (changed(lambda document: document["tracks"][1]["families"][0].__setitem__(2, "gauge")), "tracks[1].families"),
    (changed(lambda document: document.update(tracks=document["tracks"] * 257)), "tracks"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_what_does_not_hold_is_refused_by_its_part(body: bytes, field: str) -> None:
    assert told(survey, body) == ("bad_batch", field)
    assert told(Surveyor().survey, body) == ("bad_batch", field)


@steady
@given(wounded(DOCUMENT) | damaged(BODY))
def test_any_wound_is_told_alike_and_what_is_taken_can_be_read_and_thinned(body: bytes) -> None:
    found = told(survey, body)
    assert told(Surveyor().survey, body) == found
    if isinstance(found, Survey):
        batch = parse(body)
        assert batch.thins == found.thins
        coarsener = Coarsener(0x77, 60_000)
        if refusal(lambda one: coarsener.add([(0, 6)], one), body) is None:
            (one,) = coarsener.pack()
            assert one.ranges == ((0, 6),)
