"""Records: round trips and wounds."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.anchor import Anchor
from edge_agent.wire import batch, record
from tests.wire.fuzz import refusal, steady, wounded

ANCHOR = Anchor(1_700_000_000_000, 1_700_000_000_040, 5000)
RECORDS = (
    {"at": 5000, "type": "loss", "lane": "telemetry", "ranges": [[3, 9]], "reason": "quota"},
    {"at": -1, "type": "acquisition.progress", "detail": {"done": 0.25, "what": "überall"}},
)
DOCUMENT: dict[str, Any] = {
    "v": 1,
    "axis": "boot/1",
    "anchor": list(ANCHOR),
    "resource": {"device.id": "board-17"},
    "records": [dict(one) for one in RECORDS],
}


def test_records_come_back_as_they_were() -> None:
    payload = record.pack("boot/1", ANCHOR, {"device.id": "board-17"}, RECORDS)
    body = batch.unzip(payload, 10_000)
    assert orjson.loads(body) == DOCUMENT
    assert record.parse(body) == record.Records("boot/1", ANCHOR, {"device.id": "board-17"}, RECORDS)
    assert record.parse(batch.unzip(record.pack("boot/1", None, {}, ()), 1000)).records == ()


def test_the_order_of_members_does_not_change_the_bytes() -> None:
    turned = [dict(reversed(one.items())) for one in RECORDS]
    assert record.pack("a", None, {"x": "1", "y": "2"}, RECORDS) == record.pack("a", None, {"y": "2", "x": "1"}, turned)


@pytest.mark.parametrize(
    ("member", "value", "field"),
    [
        ("records", None, "records"),
        ("records", {}, "records"),
        ("records", [7], "records[0]"),
        ("records", [{"at": 1, "type": "x"}, {"at": True, "type": "x"}], "records[1].at"),
        ("records", [{"at": 1.0, "type": "x"}], "records[0].at"),
        ("records", [{"at": 2**53 + 1, "type": "x"}], "records[0].at"),
        ("records", [{"at": 1, "type": ""}], "records[0].type"),
        ("records", [{"at": 1, "type": "x" * 257}], "records[0].type"),
        ("records", [{"at": 1, "type": None}], "records[0].type"),
        ("records", [{"at": 1, "type": "x", "deep": orjson.loads("[" * 40 + "]" * 40)}], "records[0]"),
        ("axis", "", "axis"),
        ("anchor", [2, 1, 0], "anchor"),
        ("resource", [], "resource"),
    ],
)
def test_a_wound_is_named_by_its_path(member: str, value: object, field: str) -> None:
    error = refusal(record.parse, orjson.dumps({**DOCUMENT, member: value}))
    assert error is not None
    assert (error.code, error.field) == ("bad_batch", field)


def test_too_many_records_are_refused() -> None:
    error = refusal(record.parse, orjson.dumps({**DOCUMENT, "records": [0] * 100_001}))
    assert error is not None
    assert error.field == "records"


@steady
@given(st.binary() | wounded(DOCUMENT))
def test_wounded_documents_raise_nothing_else(body: bytes) -> None:
    error = refusal(record.parse, body)
    assert error is None or error.code in {"bad_json", "bad_batch", "unsupported_version"}
