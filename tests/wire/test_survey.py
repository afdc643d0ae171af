"""Surveys at pace: whatever the body, they say what the slower reader says; and lists of series are known again."""

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.failure import Malformed
from edge_agent.model.reading import Reading, Tick
from edge_agent.wire.batch import BatchBuilder, Survey, survey, unzip
from edge_agent.wire.survey import Surveyor
from tests.wire.fuzz import damaged, steady, wounded
from tests.wire.moving import Machine

HEAD = b'{"v":1,"axis":"a","tracks":[{"collector":"c","t0":0,"dt":[0,1],"families":%s,"cells":%s}]}'
WHOLE = [b'["s","1","gauge",0,"",{}]', b'["r","1","counter",null,"",{"k":["v"]}]']
CELLS = [
    b"0", b"-0", b"7", b"-12", b"null", b"1.5", b"-0.25", b"1e3", b"1E3", b"1e-7", b"2.5e+10", b"1e99", b"1e300",
    b"1e308", b"1e309", b"1e-999", b"9" * 15, b"9" * 17, b"9" * 18, b"9" * 19, b"9" * 25, b"-" + b"9" * 19,
    b"0.%s" % (b"3" * 30),
    b"9" * 400, b"01", b"+1", b".5", b"1.", b"1e", b"e1", b"-", b"", b"nul", b"nan", b"NaN", b"true", b"false",
    b'"1"', b"[]", b"[1]", b"{}", b" 1", b"1 ", b"1-2", b"1,2", b"],[", b",", b",1",
]  # fmt: skip

TAKEN = HEAD % (b"[%s]" % WHOLE[0], b"[1,2]")
ODDITIES = [
    TAKEN + b" \n",
    TAKEN.replace(b":", b": "),
    TAKEN.replace(b'"v":1', b'"v":1,"new":[1,{"x":null}]'),
    TAKEN.replace(b'"v":1', b'"v":1,"new":"\xff"'),
    TAKEN.replace(b'"v":1', b'"v":1,"new":1e999'),
    TAKEN.replace(b'"v":1', b'"v":1,"new":' + b"[" * 1500 + b"]" * 1500),
    TAKEN.replace(b'"v":1', b'"v":2,"v":1'),
    TAKEN.replace(b'"v":1', b'"v":1.0'),
    TAKEN.replace(b'"v":1', b'"v":1,"epoch":"77","seq":3'),
    TAKEN.replace(b'"v":1', b'"v":1,"stat":{"far":1e999}'),
    TAKEN.replace(b'"v":1', b'"v":1,"stat":{"long":%s}' % (b"9" * 400)),
    TAKEN.replace(b'"v":1', b'"v":1,"stat":null,"anchor":[1,2,3],"resource":{"a":"b"}'),
    TAKEN.replace(b'"v":1', b'"v":1,"stat":{"a":"\xe9"}'),
    TAKEN.replace(b'"v":1', b'"v":1,"anchor":[1,2,3.0]'),
    TAKEN.replace(b'"t0":0', b'"t0":123456789012345678901234567890'),
    TAKEN.replace(b'"t0":0', b'"t0":0,"more":true'),
    TAKEN.replace(b"[0,1]", b"[0,123456789012345678901234567890]"),
    TAKEN.replace(b'"cells"', b'"gaps":[[0,0,1,"x"]],"cells"'),
    TAKEN.replace(b'"cells"', b'"gaps":[[0,0,1,7]],"cells"'),
    TAKEN.replace(b'"cells"', b'"gaps":[[0,0.0,1,"x"]],"cells"'),
    TAKEN.replace(b'"cells"', b'"gaps":{},"cells"'),
    TAKEN.replace(b'"cells"', b'"cells":["\xff"],"cells"'),
    TAKEN.replace(b'"cells"', b'"\\u0063ells"'),
    TAKEN.replace(b'"s"', b'"\xff"'),
    TAKEN.replace(b'"s"', b'"\xc3\xa9"'),
    TAKEN.replace(b'"s"', b'"\\ud800"'),
    TAKEN.replace(b'"s"', b'"\x01"'),
    TAKEN.replace(b'"s"', b'"\\x"'),
    TAKEN.replace(b'"gauge",0', b'"gauge",0e999'),
    b"\xef\xbb\xbf" + TAKEN,
]


def told(survey_of: Any, body: bytes) -> Survey | tuple[str, str | None, str]:
    """What a surveyor says: a survey, or how it refuses."""
    try:
        found: Survey = survey_of(body)
    except Malformed as error:
        return error.code, error.field, str(error)
    return found


def cells_of(*cells: bytes) -> bytes:
    """The text of two times two cells."""
    return b"[%s,%s,%s,%s]" % cells


def test_it_says_what_the_slower_reader_says() -> None:
    surveyor = Surveyor()
    for seed, beats in ((1, 1), (2, 10), (3, 60), (4, 120)):
        builder = BatchBuilder("boot/1", {"device.id": "board-17"})
        for tick in Machine(seed).ticks(beats):
            builder.add(tick)
            builder.add(
                Tick("raw", tick.at, (Reading("load", 0.5 * beats, "1", digits=None), Reading("n", beats, "1")))
            )
        body = unzip(builder.pack(None, {"missed": []}), 2**24)
        assert surveyor.survey(body) == survey(body)


@pytest.mark.parametrize("body", ODDITIES)
def test_an_oddity_is_taken_or_refused_alike(body: bytes) -> None:
    assert told(Surveyor().survey, body) == told(survey, body)


def test_every_cell_is_taken_or_refused_alike() -> None:
    surveyor, series = Surveyor(), b"[%s]" % b",".join(WHOLE)
    for cell, place in itertools.product(CELLS, range(4)):
        cells = [b"1", b"2", b"3", b"4"]
        cells[place] = cell
        body = HEAD % (series, cells_of(*cells))
        assert told(surveyor.survey, body) == told(survey, body), body


@steady
@given(st.lists(st.sampled_from(CELLS), min_size=4, max_size=4), st.permutations(WHOLE))
def test_any_cells_are_taken_or_refused_alike(cells: list[bytes], series: list[bytes]) -> None:
    body = HEAD % (b"[%s]" % b",".join(series), cells_of(*cells))
    assert told(Surveyor().survey, body) == told(survey, body)


@steady
@given(
    wounded(orjson.loads(HEAD % (b"[%s]" % b",".join(WHOLE), cells_of(b"1", b"null", b"0.5", b"-3")))) | damaged(TAKEN)
)
def test_any_wound_is_told_alike(body: bytes) -> None:
    assert told(Surveyor().survey, body) == told(survey, body)


def test_a_list_of_series_is_known_again() -> None:
    surveyor = Surveyor()
    one, two = (surveyor.survey(TAKEN.replace(b"[1,2]", cells)) for cells in (b"[5,6]", b"[7,null]"))
    assert one.tracks[0].series is two.tracks[0].series
    assert (one.readings, two.readings) == (2, 1)


def test_what_is_remembered_is_bounded_and_the_oldest_goes() -> None:
    bodies = [TAKEN.replace(b'"s"', b'"%s"' % name) for name in (b"one", b"two", b"ten")]
    surveyor = Surveyor(most_text=2 * (len(WHOLE[0]) + 4))
    kept = [surveyor.survey(body).tracks[0].series for body in bodies]
    assert surveyor.survey(bodies[2]).tracks[0].series is kept[2]
    assert surveyor.survey(bodies[1]).tracks[0].series is kept[1]
    again = surveyor.survey(bodies[0]).tracks[0].series
    assert again == kept[0]
    assert again is not kept[0]
    nothing = Surveyor(most_text=0)
    assert nothing.survey(bodies[0]) == nothing.survey(bodies[0]) == survey(bodies[0])
