"""Server-sent events: the rules, whole and split at every byte."""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.wire.sse import Decoder, Event, comment, encode
from tests.wire.fuzz import refusal, steady

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "sse" / "cases.json"


class Heard(NamedTuple):
    """What a stream said by its end."""

    events: list[Event]
    retry: int | None = None
    last_event_id: str = ""


def heard(*chunks: bytes) -> Heard:
    """What a new decoder makes of these chunks."""
    decoder = Decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return Heard(events, decoder.retry, decoder.last_event_id)


def message(*data: str) -> list[Event]:
    """Events without name and id."""
    return [Event("message", one, "") for one in data]


STREAMS: dict[str, tuple[bytes, Heard]] = {
    "nothing": (b"", Heard([])),
    "data": (b"data: a\n\n", Heard(message("a"))),
    "no end": (b"data: a\n\ndata: b\nid: 9\n", Heard(message("a"))),
    "three line ends": (b"data: a\r\rdata: b\n\ndata: c\r\n\r\n", Heard(message("a", "b", "c"))),
    "mixed line ends": (b"data: a\rdata: b\ndata: c\r\n\n", Heard(message("a\nb\nc"))),
    "cr then an empty lf line": (b"data: a\r\n\r\ndata: b\n\r\n", Heard(message("a", "b"))),
    "no data": (b"data\n\ndata:\n\ndata: \n\ndata\ndata\n\n", Heard(message("", "", "", "\n"))),
    "one space is dropped": (b"data:a\n\ndata:  b\n\ndata:\tc\n\n", Heard(message("a", " b", "\tc"))),
    "colons": (b"data:a:b: c\n\n", Heard(message("a:b: c"))),
    "unknown fields": (b"dat: a\n data: b\nDATA: c\ndatas: d\ndata: e\n\n", Heard(message("e"))),
    "comments": (b": x\n:\ndata: a\n:data: b\n\n:\n\n", Heard(message("a"))),
    "names": (
        b"event: x\ndata: a\n\ndata: b\n\nevent: y\nevent: z\ndata: c\n\nevent: w\nevent:\ndata: d\n\n",
        Heard([Event("x", "a", ""), Event("message", "b", ""), Event("z", "c", ""), Event("message", "d", "")]),
    ),
    "a name without data is forgotten": (b"event: x\n\ndata: a\n\n", Heard(message("a"))),
    "an id holds": (
        b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        Heard([Event("message", "a", "1"), Event("message", "b", "1"), Event("message", "c", "")]),
    ),
    "an id without data counts": (b"id: 7\n\n", Heard([], None, "7")),
    "an id not yet dispatched does not": (b"id: 7\n\nid: 8\n", Heard([], None, "7")),
    "an id with a nul is ignored": (b"id: 7\n\nid: 8\0\ndata: a\n\n", Heard([Event("message", "a", "7")], None, "7")),
    "retry": (b"retry: 2000\n\nretry: 0030\n", Heard([], 30)),
    "retry that is no number": (b"retry: 5\nretry: -1\nretry: 1.5\nretry:\nretry: 9x\nretry\n", Heard([], 5)),
    "retry without bound": (b"retry: 5\nretry: " + b"9" * 5000 + b"\n", Heard([], 5)),
    "retry in other digits": ("retry: 5\nretry: \u0661\n".encode(), Heard([], 5)),
    "one mark at the start": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", Heard(message("a"))),
    "a second mark is text": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", Heard(message("b"))),
    "half a mark is text": (b"\xef\xbbdata: a\n\ndata: b\n\n", Heard(message("b"))),
    "letters of many bytes": ("data: Grüße 我 🥌\n\n".encode(), Heard(message("Grüße 我 🥌"))),
    "bytes that are no text": (b"data: a\xffb\xe6\x88\n\n", Heard(message("a\ufffdb\ufffd"))),
    "line ends of other worlds": (
        "data: a\u2028b\u2029c\u0085d\x0be\x0cf\n\n".encode(),
        Heard(message("a\u2028b\u2029c\u0085d\x0be\x0cf")),
    ),
    "nul in data": (b"data: \0\n\n", Heard(message("\0"))),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_says_the_same_whole_and_split_at_every_byte(name: str) -> None:
    stream, expected = STREAMS[name]
    assert heard(stream) == expected
    assert heard(*(stream[at : at + 1] for at in range(len(stream)))) == expected
    for at in range(min(len(stream), 200)):
        assert heard(stream[:at], b"", stream[at:]) == expected


@pytest.mark.skipif(not CASES.exists(), reason="the shared cases are not beside this checkout")
def test_the_shared_cases_hold_whole_as_chunked_and_split_at_every_byte() -> None:
    cases: list[dict[str, Any]] = json.loads(CASES.read_bytes())["stream_cases"]
    for case in cases:
        chunks = [base64.b64decode(chunk) for chunk in case["chunks_b64"]]
        expected = Heard([Event(**event) for event in case["expected"]], case["retry"], case["last_event_id"])
        stream = b"".join(chunks)
        single = [stream[at : at + 1] for at in range(len(stream))]
        assert heard(*chunks) == heard(stream) == heard(*single) == expected, case["name"]
        for at in range(min(len(stream), 400)):
            assert heard(stream[:at], stream[at:]) == expected, (case["name"], at)
    assert len(cases) > 80


def test_the_id_of_an_earlier_connection_holds_until_another_comes() -> None:
    decoder = Decoder(last_event_id="e-7")
    assert list(decoder.feed(b"data: a\n\n")) == [Event("message", "a", "e-7")]
    assert list(decoder.feed(b"id: e-8\ndata: b\n\n")) == [Event("message", "b", "e-8")]
    assert decoder.last_event_id == "e-8"


def test_the_id_moves_with_the_events_as_they_are_taken() -> None:
    decoder = Decoder()
    events = decoder.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n")
    assert next(events).id == decoder.last_event_id == "1"
    assert next(events).id == decoder.last_event_id == "2"


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (b"data: " + b"x" * 95, "sse_line_too_long"),
        (b": " + b"x" * 99, "sse_line_too_long"),
        (b"x" * 101 + b"\n", "sse_line_too_long"),
        (b"data: " + b"x" * 93 + b"\ndata: " + b"x" * 94 + b"\ndata: " + b"x" * 10, None),
        ((b"data: " + b"x" * 90 + b"\n") * 3, "sse_event_too_long"),
        (b"data\n" * 201, "sse_event_too_long"),
        (b"data\n" * 200, None),
        ((b"data: " + b"x" * 90 + b"\n\n") * 30, None),
        ((b"data: " + b"x" * 90 + b"\n") * 2 + b"\n" + (b"data: " + b"x" * 90 + b"\n") * 2, None),
    ],
)
def test_lines_and_events_have_limits(stream: bytes, code: str | None) -> None:
    for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        decoder = Decoder(most_line=100, most_event=200)
        error = refusal(lambda parts: [list(decoder.feed(part)) for part in parts], chunks)  # noqa: B023 - called at once
        assert (None if error is None else error.code) == code


def test_an_event_is_written_by_the_rules() -> None:
    assert encode("x", "a\r\nb\rc\n", id="e-1", retry=2000) == (
        b"retry: 2000\nid: e-1\nevent: x\ndata: a\ndata: b\ndata: c\ndata: \n\n"
    )
    assert comment() == b":\n\n"


def test_names_and_ids_cannot_break_out_of_their_line() -> None:
    written = encode("x\ndata: forged\n\n", "a", id="1\r\n\r\ndata: forged\0")
    assert heard(written) == Heard([Event("xdata: forged", "a", "1data: forged")], None, "1data: forged")


def test_halves_of_surrogate_pairs_do_not_stop_a_stream() -> None:
    assert heard(encode("x", "a\udc80b")).events == [Event("x", "a?b", "")]


@steady
@given(st.text("abc\r\n\0: é", max_size=12), st.text(max_size=6), st.text(max_size=6), st.integers(0, 10**15 - 1))
def test_every_event_comes_back(data: str, name: str, id: str, retry: int) -> None:  # noqa: A002 - the field
    clean = str.maketrans("", "", "\r\n\0")
    found = heard(comment(), encode(name, data, id, retry), comment())
    event = Event(
        name.translate(clean).encode(errors="replace").decode() or "message",
        data.replace("\r\n", "\n").replace("\r", "\n"),
        id.translate(clean).encode(errors="replace").decode(),
    )
    assert found == Heard([event], retry, event.id)


@steady
@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"data: a\n", b"\r", b"\n", b"id: 1", b"retry: 1"])))
def test_any_chunking_of_arbitrary_bytes_says_the_same(chunks: list[bytes]) -> None:
    assert heard(*chunks) == heard(b"".join(chunks))
