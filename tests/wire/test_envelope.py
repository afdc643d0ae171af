"""Envelopes: what opens, and what does not."""

import base64
import os
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.wire.envelope import Purpose, open_envelope, public_of, sign
from tests.wire.fuzz import damaged, refusal, steady, wounded

PRIVATE = os.urandom(32)
KEYS = {"admin-1": public_of(PRIVATE), "admin-2": public_of(os.urandom(32)), "short": b"too short"}
BODY = '{"id":"1","note":"Grüße\\n"}'.encode()
ENVELOPE = sign("instruction", BODY, "admin-1", PRIVATE)


def code_of(envelope: bytes, purpose: Purpose = "instruction") -> str | None:
    """How an envelope is refused; None when it opens."""
    error = refusal(lambda given: open_envelope(purpose, given, KEYS), envelope)
    return None if error is None else error.code


def changed(**members: Any) -> bytes:
    """The envelope with other members."""
    return orjson.dumps({**orjson.loads(ENVELOPE), **members})


def test_what_was_signed_opens_byte_for_byte() -> None:
    assert open_envelope("instruction", ENVELOPE, KEYS) == ("admin-1", BODY)
    assert sorted(orjson.loads(ENVELOPE)) == ["body", "key_id", "sig"]


def test_the_envelope_may_be_written_another_way() -> None:
    spaced = b" " + orjson.dumps(orjson.loads(ENVELOPE), option=orjson.OPT_INDENT_2)
    assert open_envelope("instruction", spaced, KEYS) == ("admin-1", BODY)


def test_the_same_body_gives_the_same_envelope() -> None:
    assert sign("instruction", BODY, "admin-1", PRIVATE) == ENVELOPE


def test_a_public_key_has_32_bytes() -> None:
    assert len(KEYS["admin-1"]) == 32


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (changed(body=BODY.decode() + " "), "bad_signature"),
        (changed(key_id="admin-2"), "bad_signature"),
        (changed(sig=base64.b64encode(bytes(64)).decode()), "bad_signature"),
        (changed(sig=""), "bad_signature"),
        (changed(key_id="nobody"), "unknown_key"),
        (changed(key_id="short"), "unknown_key"),
        (changed(sig="not base64!"), "bad_envelope"),
        (changed(sig="ä"), "bad_envelope"),
        (changed(sig=None), "bad_envelope"),
        (changed(body={}), "bad_envelope"),
        (changed(key_id=7), "bad_envelope"),
        (b"", "bad_envelope"),
        (b"[]", "bad_envelope"),
        (b"{}", "bad_envelope"),
        (b"[" * 60_000, "bad_envelope"),
        (changed(more="x" * 65_536), "bad_envelope"),
        (b'{"key_id":"admin-1","body":"\\ud800","sig":""}', "bad_envelope"),
    ],
)
def test_what_does_not_open(envelope: bytes, code: str) -> None:
    assert code_of(envelope) == code


def test_an_envelope_opens_for_its_own_purpose_only() -> None:
    assert code_of(ENVELOPE, "config") == "bad_signature"
    assert code_of(sign("config", BODY, "admin-1", PRIVATE), "config") is None


@steady
@given(st.binary() | damaged(ENVELOPE) | wounded(orjson.loads(ENVELOPE)))
def test_nothing_else_is_raised_and_nothing_else_opens(envelope: bytes) -> None:
    if code_of(envelope) is None:
        assert open_envelope("instruction", envelope, KEYS) == ("admin-1", BODY)
