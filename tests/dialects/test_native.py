"""The native dialect, byte for byte: each request it makes, each answer it may get."""

import orjson
import pytest

from edge_agent.dialects.native import OFFER, Native, Options
from edge_agent.model.frame import Frame, FrameKind, Holding, Identity
from edge_agent.model.http import Answer, Request
from edge_agent.model.lamp import Lamp
from edge_agent.model.offers import Dispatch, LiveView
from edge_agent.model.reading import Reading, Tick
from edge_agent.model.verdict import (
    Delivered,
    Later,
    Refused,
    Settlement,
    Skewed,
    TooLarge,
    Unauthorized,
    Verdict,
)
from edge_agent.model.word import Bye, ConfigChanged, Hello, Keepalive, Reset, Signed, Watch, Word

EPOCH = 0x0123456789ABCDEF
ONE = Frame(FrameKind.TELEMETRY, Identity(EPOCH, 7), 1_000, b"seven")
TWO = Frame(FrameKind.REPORTS, Identity(EPOCH + 1, 0), 2_000, b"")
BOTH = [ONE, TWO]
JSON = "application/json"
PROBLEM = "application/problem+json"

FRAME_ONE = (
    b"EDGF\x01\x01\x00\x28\x00\x00\x00\x05"
    b"\x01\x23\x45\x67\x89\xab\xcd\xef\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x03\xe8"
    b"\xbd\xca\xf0\xde"
    b"seven"
    b"\xeb\xa4\xb9\x90"
)
FRAME_TWO = (
    b"EDGF\x01\x04\x00\x28\x00\x00\x00\x00"
    b"\x01\x23\x45\x67\x89\xab\xcd\xf0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\xd0"
    b"\x2f\x58\xdb\x45\x2f\x58\xdb\x45"
)


def native() -> Native:
    built = OFFER.build(Options(), "car 3/ä")
    assert isinstance(built, Native)
    return built


def answer(status: int, body: bytes = b"", content_type: str = JSON, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"content-type": content_type, **named}, body, 10, 20)


def problem(status: int, code: str, **extra: object) -> Answer:
    document = {"type": "about:blank", "title": "Title", "status": status, "detail": "why", "code": code, **extra}
    return answer(status, orjson.dumps(document), PROBLEM)


def results(*entries: object) -> Answer:
    return answer(200, orjson.dumps({"results": list(entries), "hub_time": 5}))


def entry(frame: Frame, status: str, **more: object) -> dict[str, object]:
    return {"epoch": f"{frame.identity.epoch:016x}", "seq": frame.identity.seq, "status": status, **more}


def test_a_push_carries_frames_verbatim_with_time_clocks_and_inventory() -> None:
    dispatch = Dispatch(
        1_800_000_000_123,
        {"boot-1.0": 1_500, "boot-0.0": 90},
        [Holding("telemetry", EPOCH, 9, ((2, 5), (7, 9))), Holding("reports", EPOCH + 1, 1, ())],
    )
    assert native().push(BOTH, dispatch) == Request(
        "POST",
        "/api/v1/telemetry",
        {
            "content-type": "application/vnd.edge.frames",
            "accept": "application/json",
            "edge-sent-at": "1800000000123",
            "edge-clock": "boot-1.0=1500, boot-0.0=90",
            "edge-spool": "telemetry:0123456789abcdef:9:2-5.7-9,reports:0123456789abcdf0:1:-",
        },
        FRAME_ONE + FRAME_TWO,
    )


def test_a_push_without_trusted_time_does_not_claim_one() -> None:
    assert native().push([TWO], Dispatch(None, {}, [])) == Request(
        "POST",
        "/api/v1/telemetry",
        {"content-type": "application/vnd.edge.frames", "accept": "application/json"},
        FRAME_TWO,
    )


CHARSET = "Application/JSON; charset=utf-8"
STORED_BODY = results(entry(ONE, "stored")).body
TEAPOT = problem(400, "teapot", epoch=f"{EPOCH:016x}", seq=7)
MEDIA = problem(415, "unsupported_media_type")
STORED = {ONE.identity: Settlement("stored")}

VERDICTS: list[tuple[str, list[Frame], Answer, Verdict]] = [
    (
        "each frame under its status",
        BOTH,
        results(entry(ONE, "stored"), entry(TWO, "rejected", code="bad_batch")),
        Delivered({ONE.identity: Settlement("stored"), TWO.identity: Settlement("rejected", "bad_batch")}),
    ),
    (
        "duplicates and thinned frames",
        BOTH,
        results(entry(ONE, "duplicate"), entry(TWO, "thinned")),
        Delivered({ONE.identity: Settlement("duplicate"), TWO.identity: Settlement("thinned")}),
    ),
    ("a frame that is not named", BOTH, results(entry(ONE, "stored")), Delivered(STORED)),
    ("a frame that was not sent", [ONE], results(entry(ONE, "stored"), entry(TWO, "stored")), Delivered(STORED)),
    ("an unknown status", [ONE], results(entry(ONE, "eaten")), Delivered({})),
    ("no status", [ONE], results({"epoch": f"{EPOCH:016x}", "seq": 7}), Delivered({})),
    ("an epoch that is no hex", [ONE], results({"epoch": "x", "seq": 7, "status": "stored"}), Delivered({})),
    ("an epoch as a number", [ONE], results({"epoch": EPOCH, "seq": 7, "status": "stored"}), Delivered({})),
    ("a number that is a truth", [ONE], results(entry(ONE, "stored", seq=True)), Delivered({})),
    ("entries that are no objects", [ONE], results(7, None, "stored", entry(ONE, "stored")), Delivered(STORED)),
    ("no results", [ONE], results(), Delivered({})),
    ("a charset", [ONE], answer(200, STORED_BODY, CHARSET), Delivered(STORED)),
    (
        "a captive portal",
        [ONE],
        answer(200, b"<html>\r\n  <title>Welcome\x00 to Wi-Fi</title>" + b"x" * 100, "text/html"),
        Refused("200 text/html: <html> <title>Welcome to Wi-Fi</title>" + "x" * 42),
    ),
    ("a portal that says JSON", [ONE], answer(200, b'{"login":true}'), Refused('200 application/json: {"login":true}')),
    ("another shape", [ONE], answer(200, b'{"results":{}}'), Refused('200 application/json: {"results":{}}')),
    ("a list", [ONE], answer(200, b"[]"), Refused("200 application/json: []")),
    ("broken JSON", [ONE], answer(200, b'{"results":['), Refused('200 application/json: {"results":[')),
    ("as text", [ONE], answer(200, b'{"results":[]}', "text/plain"), Refused('200 text/plain: {"results":[]}')),
    ("nothing at all", [ONE], Answer(200, {}, b"", 10, 20), Refused("200 no content type")),
    ("created", [ONE], answer(201, STORED_BODY), Refused("201 application/json: " + STORED_BODY.decode()[:80])),
    ("no content", [ONE], answer(204, b"", ""), Refused("204")),
    ("a redirect", [ONE], answer(302, b"moved", "text/plain", location="http://x"), Refused("302 text/plain: moved")),
    ("a wrong path", [ONE], answer(404, b"nope\xff", "text/plain"), Refused("404 text/plain: nope�")),
    ("skew", [ONE], problem(400, "clock_skew", hub_time=99, skew_ms=1, tolerance_ms=2), Skewed(99)),
    ("skew of many", BOTH, problem(400, "clock_skew", hub_time="soon"), Skewed(None)),
    ("a wrong key", [ONE], problem(401, "unauthorized"), Unauthorized("401 unauthorized: why")),
    ("a door", [ONE], answer(403, b"go away", "text/plain"), Unauthorized("403 text/plain: go away")),
    (
        "one bad frame, named",
        [ONE],
        problem(400, "bad_batch", epoch=f"{EPOCH:016x}", seq=7),
        Delivered({ONE.identity: Settlement("rejected", "bad_batch")}),
    ),
    (
        "one number taken by other bytes",
        [ONE],
        problem(409, "identity_conflict", epoch=f"{EPOCH:016x}", seq=7),
        Delivered({ONE.identity: Settlement("rejected", "identity_conflict")}),
    ),
    (
        "one frame too large, named",
        [ONE],
        problem(413, "too_large", epoch=f"{EPOCH:016x}", seq=7),
        Delivered({}, {ONE.identity: "too_large"}),
    ),
    (
        "one frame of a version that this hub does not know",
        [ONE],
        problem(400, "unsupported_version", epoch=f"{EPOCH:016x}", seq=7),
        Delivered({}, {ONE.identity: "unsupported_version"}),
    ),
    (
        "one frame that was damaged on the way",
        [ONE],
        problem(400, "frame_payload_crc", epoch=f"{EPOCH:016x}", seq=7),
        Delivered({}, {ONE.identity: "frame_payload_crc"}),
    ),
    (
        "a frame refused for what another hub may know",
        BOTH,
        results(entry(ONE, "stored"), entry(TWO, "rejected", code="unsupported_version")),
        Delivered(STORED, {TWO.identity: "unsupported_version"}),
    ),
    (
        "rejections without a code, or with one that is none",
        BOTH,
        results(entry(ONE, "rejected"), entry(TWO, "rejected", code=7)),
        Delivered({}, {ONE.identity: "rejected without a code", TWO.identity: "rejected without a code"}),
    ),
    ("one frame, another named", [ONE], problem(400, "bad_batch", epoch=f"{EPOCH:016x}", seq=8), Delivered({})),
    ("one frame, none named", [ONE], problem(400, "frame_payload_crc"), Delivered({})),
    ("many frames, one named", BOTH, problem(400, "bad_batch", epoch=f"{EPOCH:016x}", seq=7), Delivered({})),
    ("many frames, none named", BOTH, problem(400, "frame_magic"), Delivered({})),
    ("an unknown code", [ONE], TEAPOT, Refused(f"400 {PROBLEM}: {TEAPOT.body.decode()[:80]}")),
    ("a code about the request", [ONE], MEDIA, Refused(f"415 {PROBLEM}: {MEDIA.body.decode()[:80]}")),
    ("too much at once", BOTH, problem(413, "too_large"), TooLarge(None)),
    ("too much, with a limit", BOTH, problem(413, "too_large", limit=1000), TooLarge(1000)),
    ("too much, with no real limit", BOTH, problem(413, "too_large", limit=0), TooLarge(None)),
    ("a proxy's 413", [ONE], answer(413, b"<html>", "text/html"), TooLarge(None)),
    ("an upset hub", [ONE], problem(503, "store_full"), Later("503 store_full: why")),
    ("a bad gateway", [ONE], answer(502, b"<h1>Bad</h1>", "text/html"), Later("502 text/html: <h1>Bad</h1>")),
    (
        "an upset hub with a date of its own",
        [ONE],
        answer(503, b"", "", retry_after=f"Mon, {'9' * 20} Jan 2020 00:00:00 GMT"),
        Later("503"),
    ),
    (
        "a problem that is long and not all printable",
        [ONE],
        problem(401, "un\x1bknown", detail="no\r\nway \x00" + "x" * 500),
        Unauthorized("401 un known: no way " + "x" * 73),
    ),
    (
        "a content type that is long and no text",
        [ONE],
        answer(502, b"body", "a/\udcff" + "b" * 500),
        Later("502 a/ " + "b" * 77 + ": body"),
    ),
    ("not so fast", [ONE], answer(429, b"", "", retry_after="120"), Later("429", 120.0)),
    ("a slow request", [ONE], answer(408, b"", ""), Later("408")),
    ("too early", [ONE], answer(425, b"", ""), Later("425")),
]  # fmt: skip


@pytest.mark.parametrize(("frames", "given", "meant"), [row[1:] for row in VERDICTS], ids=[row[0] for row in VERDICTS])
def test_what_an_answer_means(frames: list[Frame], given: Answer, meant: Verdict) -> None:
    assert native().verdict(frames, given) == meant


@pytest.mark.parametrize(
    ("written", "date", "after"),
    [
        ("7", "", 7.0),
        (" 7 ", "", 7.0),
        ("99999", "", 3600.0),
        ("-7", "", None),
        ("7.5", "", None),
        ("9" * 40, "", None),
        ("Fri, 20 Nov 2026 08:43:35 GMT", "Fri, 20 Nov 2026 08:42:35 GMT", 60.0),
        ("Fri, 20 Nov 2026 08:43:35 GMT", "Fri, 20 Nov 2026 09:42:35 GMT", 0.0),
        ("Fri, 20 Nov 2026 23:43:35 GMT", "Fri, 20 Nov 2026 08:42:35 GMT", 3600.0),
        ("Fri, 20 Nov 2026 08:43:35 GMT", "", None),
        ("Fri, 20 Nov 2026 08:43:35 GMT", "Fri, 20 Nov 2026 08:42:35", None),
        ("soon", "Fri, 20 Nov 2026 08:42:35 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_answers_own(written: str, date: str, after: float | None) -> None:
    assert native().verdict([ONE], answer(503, b"", "", retry_after=written, date=date)) == Later("503", after)


def test_the_stream_is_asked_for_from_the_last_id_on() -> None:
    path = "/api/v1/devices/car%203%2F%C3%A4/stream"
    plain = {"accept": "text/event-stream", "cache-control": "no-store"}
    assert native().stream("") == Request("GET", path, plain)
    assert native().stream("ab-9") == Request("GET", path, {**plain, "last-event-id": "ab-9"})


def test_the_config_document_is_asked_for() -> None:
    assert native().config() == Request("GET", "/api/v1/devices/car%203%2F%C3%A4/config", {"accept": JSON})


def test_ticks_and_lamps_are_shown_live() -> None:
    ticks = [
        Tick(
            "cpu",
            1_200,
            (
                Reading("cpu.load", 0.5, "1", {"cpu": "0"}),
                Reading("cpu.temp", None, "Cel", reason="denied"),
                Reading("cpu.a", float("nan"), "1"),
                Reading("cpu.b", float("-inf"), "1"),
            ),
        )
    ]
    assert native().live(LiveView(ticks, [Lamp("hub", "warn", 900, "no answer")], "boot-1.0", 1_500, None)) == Request(
        "POST",
        "/api/v1/devices/car%203%2F%C3%A4/live",
        {"content-type": JSON, "accept": JSON},
        b'{"axis":"boot-1.0","now":1500,"anchor":null,'
        b'"ticks":[["cpu",1200,[["cpu.load",{"cpu":"0"},"1",0.5,null],["cpu.temp",{},"Cel",null,"denied"],'
        b'["cpu.a",{},"1",null,"nan"],["cpu.b",{},"1",null,"infinite"]]]],'
        b'"lamps":[["hub","warn",900,"no answer"]]}',
    )


@pytest.mark.parametrize(
    ("event", "data", "word"),
    [
        ("hello", '{"hub_epoch":"ab","hub_time":5,"device":"d"}', Hello("ab")),
        ("hello", '{"hub_time":5}', None),
        ("hello", "not json", None),
        ("hello", "[]", None),
        ("instruction", '{"key_id":"ä"}', Signed("instruction", '{"key_id":"ä"}'.encode())),
        ("config", '{"version":3}', ConfigChanged()),
        ("watch", '{"seconds":60}', Watch(60.0)),
        ("watch", '{"seconds":1e9}', Watch(3600.0)),
        ("watch", '{"seconds":-1}', Watch(0.0)),
        ("watch", '{"seconds":true}', None),
        ("watch", "{}", None),
        ("keepalive", '{"hub_time":5}', Keepalive()),
        ("keepalive", '{"hub_time":5,"twin":true}', Keepalive(twin=True)),
        ("bye", '{"after":5,"why":"restart"}', Bye(5.0, "restart")),
        ("bye", "{}", Bye(0.0, "")),
        ("reset", "{}", Reset()),
        ("message", "{}", None),
        ("anything", "at all", None),
    ],
)
def test_what_an_event_says(event: str, data: str, word: Word | None) -> None:
    assert native().word(event, data) == word
