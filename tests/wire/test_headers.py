"""Headers: text to values and back."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import LANES, Holding
from edge_agent.wire import headers
from edge_agent.wire.headers import HubTime
from tests.wire.fuzz import refusal, steady

PARSERS: list[tuple[Callable[[str], object], str]] = [
    (headers.parse_sent_at, headers.SENT_AT),
    (headers.parse_clocks, headers.CLOCK),
    (headers.parse_inventory, headers.SPOOL),
    (headers.parse_hub_time, headers.HUB_TIME),
]
HOLDINGS = (
    Holding("reports", 0x1F, 4, ()),
    Holding("telemetry", 2**63 - 1, 120, ((3, 9), (9, 10), (118, 120))),
)
SPOOL = "reports:000000000000001f:4:-,telemetry:7fffffffffffffff:120:3-9.9-10.118-120"


@st.composite
def holdings(draw: st.DrawFn) -> Holding:
    """Any holding that can be."""
    edges = sorted(draw(st.sets(st.integers(0, 2**63 - 1), max_size=8)))
    ranges = tuple(zip(edges[::2], edges[1::2], strict=False))
    following = draw(st.integers(edges[-1] if edges else 0, 2**63 - 1))
    return Holding(draw(st.sampled_from(LANES)), draw(st.integers(0, 2**63 - 1)), following, ranges)


DATE = "Fri, 20 Nov 2026 08:42:35 GMT"
NO_DATES = [
    "",
    "soon",
    "Fri, 20 Nov 2026 08:42:35 -0000",
    "Fri, 20 Nov 2026 08:42:35",
    "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT",
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
    "Mon, 01 Jan 2020 99999999999999999999:00:00 GMT",
    "Mon, 31 Dec 9999 23:59:59 -9959",
    "\udcff",
    "x" * 8000,
]


def test_a_date_is_an_instant() -> None:
    date = headers.http_date(DATE)
    assert date is not None
    assert date.timestamp() == 1_795_164_155


@pytest.mark.parametrize("text", NO_DATES)
def test_a_damaged_date_is_none_and_so_is_the_wait_that_it_says(text: str) -> None:
    assert headers.http_date(text) is None
    assert headers.retry_after({"retry-after": text, "date": DATE}) is None
    assert headers.retry_after({"retry-after": DATE, "date": text}) is None


@given(st.text(max_size=60) | st.from_regex(r"\A[MF][a-z]{2}, \d{1,9} Jan \d{1,9} \d{1,9}:\d\d:\d\d [+-]?\d{1,9}\Z"))
@steady
def test_no_text_makes_a_date_raise(text: str) -> None:
    headers.retry_after({"retry-after": text, "date": DATE})


@pytest.mark.parametrize(
    ("given_headers", "seconds"),
    [
        ({"retry-after": "Fri, 20 Nov 2026 08:43:05 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 07:42:35 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 08:42:35 GMT", "date": DATE}, 3600.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "99999"}, 3600.0),
        ({"retry-after": DATE}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "7.5"}, None),
        ({"retry-after": "٣"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_against_the_same_answer(given_headers: dict[str, str], seconds: float | None) -> None:
    assert headers.retry_after(given_headers) == seconds


def test_some_statuses_pass() -> None:
    assert [status for status in range(100, 505) if headers.passes(status)] == [408, 425, 429, *range(500, 505)]


def test_sent_at_comes_back() -> None:
    assert headers.parse_sent_at(headers.format_sent_at(1_700_000_000_123)) == 1_700_000_000_123


def test_hub_time_comes_back() -> None:
    assert headers.format_hub_time(HubTime(17, 25)) == "17;err=25"
    assert headers.format_hub_time(HubTime(17, None)) == "17;unsync"
    for time in (HubTime(17, 25), HubTime(17, 0), HubTime(17, None)):
        assert headers.parse_hub_time(headers.format_hub_time(time)) == time


def test_clocks_come_back_and_the_first_eight_are_sent() -> None:
    clocks = {f"b0ot-{index}/time:[40265{index}]=x": index - 3 for index in range(10)}
    assert headers.parse_clocks(headers.format_clocks(clocks)) == dict(list(clocks.items())[:8])
    assert headers.parse_clocks("") == {}


def test_an_inventory_is_written_as_the_design_says() -> None:
    assert headers.format_inventory(HOLDINGS) == SPOOL
    assert headers.parse_inventory(SPOOL) == HOLDINGS
    assert headers.parse_inventory(" , ".join(SPOOL.split(","))) == HOLDINGS
    assert headers.parse_inventory(headers.format_inventory(())) == ()


@steady
@given(st.lists(holdings(), max_size=12, unique_by=lambda holding: (holding.lane, holding.epoch)))
def test_every_inventory_that_fits_comes_back(held: list[Holding]) -> None:
    assert headers.parse_inventory(headers.format_inventory(held)) == tuple(held)


def test_what_does_not_fit_is_left_out_from_the_oldest_epoch_of_each_lane_on() -> None:
    ranges = tuple((first, first + 1) for first in range(0, 120, 2))
    old = [Holding("telemetry", epoch, 120, ranges) for epoch in range(50)]
    few = [Holding("reports", epoch, 1, ()) for epoch in range(3)]
    text = headers.format_inventory([*few, *old])
    kept = headers.parse_inventory(text)
    assert len(text) <= 4096
    assert kept[:3] == tuple(few)
    assert [holding.epoch for holding in kept[3:]] == list(range(53 - len(kept), 50))
    assert len(text) + len(headers.format_inventory(old[:1])) + 1 > 4096
    assert not headers.names_all(text)


def test_an_epoch_that_never_fits_does_not_keep_the_others_out() -> None:
    huge = Holding("telemetry", 2, 10**6, tuple((first, first + 1) for first in range(0, 4000, 2)))
    small = Holding("telemetry", 1, 5, ((1, 2),))
    assert headers.parse_inventory(headers.format_inventory([small, huge])) == (small,)


def test_an_inventory_is_at_most_4096_bytes_long_with_its_mark() -> None:
    padding = [Holding("telemetry", epoch, 9, ()) for epoch in range(131)]
    fits = headers.format_inventory([*padding, Holding("telemetry", 200, 10**3, ())])
    assert len(fits) == 4094
    assert headers.names_all(fits)
    assert len(headers.parse_inventory(fits)) == 132
    over = headers.format_inventory([*padding, Holding("telemetry", 200, 10**4, ())])
    assert len(headers.parse_inventory(over)) == 131
    assert over.endswith(",*")
    assert not headers.names_all(over)
    assert not headers.names_all("")


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *(
            (headers.parse_sent_at, text)
            for text in ("", "x", "1.5", "\u0661", "9" * 17, str(2**53 + 1), "1 2", "+1", "1_0")
        ),
        *(
            (headers.parse_hub_time, text)
            for text in ("", "1", "1;", "1;err=", "1;err=-1", "-1;unsync", "1;sync", "x;unsync")
        ),
        *(
            (headers.parse_clocks, text)
            for text in ("a", "a=", "=1", "a=x", "a=1,", "a=1,a=2", "a b=1", "ä=1", "a\n=1")
        ),
        (headers.parse_clocks, ",".join(f"a{index}=1" for index in range(9))),
        (headers.parse_clocks, "a" * 129 + "=1"),
        (headers.parse_clocks, "a=1," * 4000),
        (headers.parse_inventory, ","),
        (headers.parse_inventory, "pigeons:000000000000001f:4:-"),
        (headers.parse_inventory, "logs:1f:4:-"),
        (headers.parse_inventory, "logs:000000000000001F:4:-"),
        (headers.parse_inventory, "logs:800000000000001f:4:-"),
        (headers.parse_inventory, "logs:000000000000001f:9999999999999999999:-"),
        (headers.parse_inventory, "logs:000000000000001f:4"),
        (headers.parse_inventory, "logs:000000000000001f:4:"),
        (headers.parse_inventory, "logs:000000000000001f:4:3"),
        (headers.parse_inventory, "logs:000000000000001f:4:3-3"),
        (headers.parse_inventory, "logs:000000000000001f:4:3-2"),
        (headers.parse_inventory, "logs:000000000000001f:4:2-3.1-2"),
        (headers.parse_inventory, "logs:000000000000001f:4:0-2.1-3"),
        (headers.parse_inventory, "logs:000000000000001f:4:0-5"),
        (headers.parse_inventory, "logs:000000000000001f:4:-1-2"),
        (headers.parse_inventory, "logs:000000000000001f:4:-,logs:000000000000001f:5:-"),
        (headers.parse_inventory, "logs:000000000000001f:4:-" + " " * 4096),
    ],
)
def test_what_a_header_cannot_say(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(text)
    assert (caught.value.code, caught.value.field) == ("bad_header", dict(PARSERS)[parse])


@steady
@given(st.text() | st.from_regex(r"[a-z:0-9,.;=\- ]*", fullmatch=True))
def test_arbitrary_text_raises_nothing_else(text: str) -> None:
    for parse, header in PARSERS:
        error = refusal(parse, text)
        assert error is None or (error.code, error.field) == ("bad_header", header)
