"""Problem documents."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.wire.problem import CONTENT_TYPE, Problem, parse_problem
from tests.wire.fuzz import damaged, steady, wounded

SKEW = Problem(400, "clock_skew", "The clock is off", "by 400 s", "edge-sent-at", {"hub_time": 17, "skew_ms": 400_000})


def test_a_problem_comes_back_as_it_was() -> None:
    assert parse_problem(CONTENT_TYPE, SKEW.body()) == SKEW
    bare = Problem(503, "unavailable", "Come back later")
    assert parse_problem(CONTENT_TYPE, bare.body()) == bare


def test_the_body_is_the_document_of_the_standard() -> None:
    assert SKEW.body() == (
        b'{"code":"clock_skew","detail":"by 400 s","field":"edge-sent-at","hub_time":17,"skew_ms":400000,'
        b'"status":400,"title":"The clock is off","type":"about:blank"}'
    )


def test_own_members_win_over_extra_ones() -> None:
    assert orjson.loads(Problem(404, "not_found", "No", extra={"status": 200, "code": "x"}).body())["status"] == 404


def test_the_content_type_may_have_parameters_and_any_case() -> None:
    assert parse_problem("Application/Problem+JSON; charset=utf-8", SKEW.body()) == SKEW


def test_extra_members_that_are_not_plain_are_not_read() -> None:
    body = orjson.dumps({"status": 400, "code": "x", "epoch": "0f", "deep": {"a": []}})
    assert parse_problem(CONTENT_TYPE, body) == Problem(400, "x", "", extra={"epoch": "0f"})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", SKEW.body()),
        ("text/html", b"<html>sign in</html>"),
        ("", b""),
        (CONTENT_TYPE, b""),
        (CONTENT_TYPE, b"null"),
        (CONTENT_TYPE, b"[]"),
        (CONTENT_TYPE, b'{"status":400}'),
        (CONTENT_TYPE, b'{"status":400,"code":""}'),
        (CONTENT_TYPE, b'{"status":400,"code":7}'),
        (CONTENT_TYPE, b'{"status":true,"code":"x"}'),
        (CONTENT_TYPE, b'{"status":"400","code":"x"}'),
        (CONTENT_TYPE, b'{"status":400,"code":"x","title":1}'),
        (CONTENT_TYPE, b'{"status":400,"code":"x","detail":null}'),
        (CONTENT_TYPE, b'{"status":400,"code":"x","field":[]}'),
        (CONTENT_TYPE, Problem(400, "x", "long", "y" * 70_000).body()),
    ],
)
def test_what_is_no_problem_document_is_none(content_type: str, body: bytes) -> None:
    assert parse_problem(content_type, body) is None


@steady
@given(st.binary() | damaged(SKEW.body()) | wounded(orjson.loads(SKEW.body())))
def test_no_body_raises(body: bytes) -> None:
    parse_problem(CONTENT_TYPE, body)
