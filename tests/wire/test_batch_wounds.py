"""Batches from outside: every wound is named by its path, and nothing but `Malformed` is ever raised."""

import copy
import gzip
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.wire.batch import parse, survey, unzip
from edge_agent.wire.survey import Surveyor
from tests.wire.fuzz import damaged, refusal, steady, wounded

WHOLE: dict[str, Any] = {
    "v": 1,
    "axis": "boot/1",
    "anchor": [10, 20, 5],
    "resource": {"device.id": "board-17"},
    "tracks": [
        {
            "collector": "cpu",
            "t0": 1000,
            "dt": [0, 1000, 1001],
            "families": [["load", "1", "gauge", 2, "/proc", {"core": ["0"]}], ["raw", "1", "counter", None, "", {}]],
            "cells": [100, -1, None, 0.5, 7, None],
            "gaps": [[0, 2, 3, "gone"]],
        },
        {"collector": "fan", "t0": 0, "dt": [0], "families": [], "cells": []},
    ],
    "stat": {},
}
TRACK = ("tracks", 0)
LOAD = (*TRACK, "families", 0)

WOUNDS: list[tuple[tuple[Any, ...], object, str]] = [
    (("v",), "1", "v"),
    (("v",), True, "v"),
    (("v",), None, "v"),
    (("axis",), "", "axis"),
    (("axis",), 7, "axis"),
    (("axis",), "x" * 257, "axis"),
    (("anchor",), [1, 2], "anchor"),
    (("anchor",), [1, 2, 3.0], "anchor"),
    (("anchor",), [1, 2, True], "anchor"),
    (("anchor",), [2, 1, 0], "anchor"),
    (("anchor",), [0, 2**53 + 1, 0], "anchor"),
    (("anchor",), {}, "anchor"),
    (("resource",), [], "resource"),
    (("resource",), {"a": 1}, "resource"),
    (("resource",), {"a": "x" * 1025}, "resource"),
    (("resource",), {str(index): "" for index in range(257)}, "resource"),
    (("stat",), [], "stat"),
    (("stat",), {"deep": orjson.loads("[" * 40 + "]" * 40)}, "stat"),
    (("tracks",), None, "tracks"),
    (("tracks",), {}, "tracks"),
    (("tracks",), [WHOLE["tracks"][1]] * 257, "tracks"),
    (TRACK, [], "tracks[0]"),
    (("tracks", 1), None, "tracks[1]"),
    ((*TRACK, "collector"), "", "tracks[0].collector"),
    ((*TRACK, "t0"), None, "tracks[0].t0"),
    ((*TRACK, "t0"), 1.0, "tracks[0].t0"),
    ((*TRACK, "t0"), 2**53 - 2000, "tracks[0].t0"),
    ((*TRACK, "dt"), [], "tracks[0].dt"),
    ((*TRACK, "dt"), {}, "tracks[0].dt"),
    ((*TRACK, "dt"), [1, 1, 1], "tracks[0].dt"),
    ((*TRACK, "dt"), [0, -1, 1], "tracks[0].dt"),
    ((*TRACK, "dt"), [0, 1.0, 1], "tracks[0].dt"),
    ((*TRACK, "dt"), [False, 1, 1], "tracks[0].dt"),
    ((*TRACK, "dt"), [0, None, 1], "tracks[0].dt"),
    ((*TRACK, "dt"), [0] * 100_001, "tracks[0].dt"),
    ((*TRACK, "families"), None, "tracks[0].families"),
    ((*TRACK, "families"), [WHOLE["tracks"][0]["families"][0]] * 2, "tracks[0].families"),
    ((*TRACK, "families"), [0] * 10_001, "tracks[0].families"),
    (LOAD, "load", "tracks[0].families[0]"),
    (LOAD, ["load", "1", "gauge", 0, ""], "tracks[0].families[0]"),
    ((*LOAD, 0), "", "tracks[0].families[0][0]"),
    ((*LOAD, 0), "x" * 257, "tracks[0].families[0][0]"),
    ((*LOAD, 1), None, "tracks[0].families[0]"),
    ((*LOAD, 2), "histogram", "tracks[0].families[0][2]"),
    ((*LOAD, 2), [], "tracks[0].families[0][2]"),
    ((*LOAD, 3), 16, "tracks[0].families[0][3]"),
    ((*LOAD, 3), -1, "tracks[0].families[0][3]"),
    ((*LOAD, 3), True, "tracks[0].families[0][3]"),
    ((*LOAD, 3), 1.0, "tracks[0].families[0][3]"),
    ((*LOAD, 4), "x" * 1025, "tracks[0].families[0]"),
    ((*LOAD, 5), [], "tracks[0].families[0][5]"),
    ((*LOAD, 5), {"core": "0"}, "tracks[0].families[0][5]"),
    ((*LOAD, 5), {"core": [0]}, "tracks[0].families[0][5]"),
    ((*LOAD, 5), {"core": []}, "tracks[0].families[0][5]"),
    ((*LOAD, 5), {"core": ["0"], "die": ["0", "1"]}, "tracks[0].families[0][5]"),
    ((*LOAD, 5), {"core": ["0"], "die": "0"}, "tracks[0].families[0][5]"),
    ((*LOAD, 5), {"x" * 1025: ["0"]}, "tracks[0].families[0][5]"),
    ((*LOAD, 5), {"core": ["0", "0"]}, "tracks[0].families"),
    ((*LOAD, 5), {"core": [str(index) for index in range(10_001)]}, "tracks[0].families[0][5]"),
    ((*LOAD, 5), {str(index): [""] for index in range(33)}, "tracks[0].families[0][5]"),
    ((*TRACK, "cells"), None, "tracks[0].cells"),
    ((*TRACK, "cells"), "123456", "tracks[0].cells"),
    ((*TRACK, "cells"), [1, 2, 3], "tracks[0].cells"),
    ((*TRACK, "cells"), [[100, -1, None], [0.5, 7, None]], "tracks[0].cells"),
    ((*TRACK, "cells", 1), 2.0, "tracks[0].cells"),
    ((*TRACK, "cells", 1), True, "tracks[0].cells"),
    ((*TRACK, "cells", 1), "2", "tracks[0].cells"),
    ((*TRACK, "cells", 1), [], "tracks[0].cells"),
    ((*TRACK, "cells"), [2**62, 2**62, None, 0.5, 7, None], "tracks[0].cells"),
    ((*TRACK, "cells"), [-(2**63) + 1, None, -1, 0.5, 7, None], "tracks[0].cells"),
    ((*TRACK, "cells", 0), 2**64 - 1, "tracks[0].cells"),
    ((*TRACK, "cells", 3), False, "tracks[0].cells"),
    ((*TRACK, "cells", 3), "nan", "tracks[0].cells"),
    ((*TRACK, "gaps"), {}, "tracks[0].gaps"),
    ((*TRACK, "gaps"), [[0, 0, 1, "x"]] * 7, "tracks[0].gaps"),
    ((*TRACK, "gaps", 0), [0, 2, 3], "tracks[0].gaps[0]"),
    ((*TRACK, "gaps", 0), [2, 2, 3, "x"], "tracks[0].gaps[0]"),
    ((*TRACK, "gaps", 0), [-1, 2, 3, "x"], "tracks[0].gaps[0]"),
    ((*TRACK, "gaps", 0), [0, 3, 4, "x"], "tracks[0].gaps[0]"),
    ((*TRACK, "gaps", 0), [0, 2, 2, "x"], "tracks[0].gaps[0]"),
    ((*TRACK, "gaps", 0), [0, False, 2, "x"], "tracks[0].gaps[0]"),
    ((*TRACK, "gaps", 0), [0, 1, 2, None], "tracks[0].gaps[0]"),
]


def changed(path: tuple[Any, ...], value: object) -> bytes:
    """The whole document with another value at a path."""
    document = copy.deepcopy(WHOLE)
    *way, last = path
    holder: Any = document
    for key in way:
        holder = holder[key]
    holder[last] = value
    return orjson.dumps(document)


def still(tracks: int, series: int, ticks: int) -> bytes:
    """A batch of so many tracks whose every cell is null."""
    known = [["s", "1", "gauge", 0, "", {"number": [str(index) for index in range(series)]}]]
    track = {"collector": "x", "t0": 0, "dt": [0] * ticks, "families": known, "cells": [None] * (ticks * series)}
    return orjson.dumps({**WHOLE, "tracks": [track] * tracks})


def test_the_document_without_a_wound_is_taken() -> None:
    batch = parse(orjson.dumps(WHOLE))
    assert batch.tracks[0].columns == [[1.0, 0.99, None], [0.5, 7, None]]
    assert survey(orjson.dumps(WHOLE)).readings == 4


def test_what_may_be_missing_may_be_missing() -> None:
    bare = {"v": 1, "axis": "curl", "tracks": [], "anchor": None, "new": ["ignored"]}
    assert parse(orjson.dumps(bare)).resource == {}


@pytest.mark.parametrize(("path", "value", "field"), WOUNDS)
def test_a_wound_is_named_by_its_path(path: tuple[Any, ...], value: object, field: str) -> None:
    body = changed(path, value)
    for error in (refusal(survey, body), refusal(parse, body), refusal(Surveyor().survey, body)):
        assert error is not None
        assert (error.code, error.field) == ("bad_batch", field)
        assert field in str(error)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (b'{"v":1,"axis":"x","tracks":NaN}', "bad_json"),
        (b'{"v":1,"axis":"x","tracks":1e999}', "bad_json"),
        (b"[]", "bad_batch"),
        (b"null", "bad_batch"),
        (b"{}", "bad_batch"),
        (b'{"v":2}', "unsupported_version"),
        (b'{"v":0}', "unsupported_version"),
    ],
)
def test_what_is_no_batch_of_this_version(body: bytes, code: str) -> None:
    for error in (refusal(survey, body), refusal(Surveyor().survey, body)):
        assert error is not None
        assert error.code == code


def test_sums_up_to_2_to_the_63_are_taken() -> None:
    edge = [2**62, 2**62 - 1, None]
    assert parse(changed((*TRACK, "cells"), [*edge, None, None, None])).tracks[0].columns[0][1] == (2**63 - 1) / 100
    back = [2**62, -(2**62), 2**62]
    assert parse(changed((*TRACK, "cells"), [*back, None, None, None])).tracks[0].columns[0][1] == 0


@pytest.mark.parametrize(
    ("tracks", "series", "ticks", "field"),
    [
        (1, 21, 100_000, "tracks[0].cells"),
        (2, 20, 60_000, "tracks"),
        (2, 5001, 1, "tracks"),
        (2, 20, 50_000, None),
        (2, 5000, 1, None),
    ],
)
def test_series_and_cells_are_counted_over_all_tracks(tracks: int, series: int, ticks: int, field: str | None) -> None:
    for surveyed in (survey, Surveyor().survey):
        error = refusal(surveyed, still(tracks, series, ticks))
        assert (None if error is None else error.field) == field


@pytest.mark.parametrize("size", [0, 1, 100, 65_536])
def test_a_payload_unpacks_up_to_its_limit(size: int) -> None:
    assert unzip(gzip.compress(bytes(size)), size) == bytes(size)
    error = refusal(lambda payload: unzip(payload, size), gzip.compress(bytes(size + 1)))
    assert error is not None
    assert error.code == "too_large"


def test_a_bomb_is_never_unpacked() -> None:
    error = refusal(lambda payload: unzip(payload, 1000), gzip.compress(bytes(50_000_000)))
    assert error is not None
    assert error.code == "too_large"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        zlib.compress(b"{}"),
        gzip.compress(b"{}", mtime=0)[:-1],
        gzip.compress(b"{}", mtime=0)[:-8] + bytes(8),
        gzip.compress(b"{}", mtime=0) + b"\0",
        gzip.compress(b"{}", mtime=0) * 2,
    ],
)
def test_what_is_not_one_gzip_member_is_refused(payload: bytes) -> None:
    error = refusal(lambda given: unzip(given, 1000), payload)
    assert error is not None
    assert error.code == "bad_gzip"


@steady
@given(st.binary() | damaged(gzip.compress(orjson.dumps(WHOLE), mtime=0)))
def test_arbitrary_payloads_raise_nothing_else(payload: bytes) -> None:
    error = refusal(lambda given: unzip(given, 10_000), payload)
    assert error is None or error.code in {"bad_gzip", "too_large"}


@steady
@given(st.binary() | damaged(orjson.dumps(WHOLE)) | wounded(WHOLE))
def test_wounded_documents_raise_nothing_else_and_both_readers_agree(body: bytes) -> None:
    surveyed, parsed = refusal(survey, body), refusal(parse, body)
    assert (surveyed is None) == (parsed is None)
    if surveyed is not None and parsed is not None:
        assert surveyed.code in {"bad_json", "bad_batch", "unsupported_version"}
        assert (surveyed.code, surveyed.field) == (parsed.code, parsed.field)
