"""Frames: the layout byte by byte, round trips, and every kind of damage."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.wire import frame as wire
from tests.wire.fuzz import damaged, refusal, steady

FRAME = Frame(FrameKind.TELEMETRY, Identity(0x0123456789ABCDEF, 7), -5, b"payload")
BYTES = wire.encode(FRAME)

frames = st.builds(
    Frame,
    st.integers(0, 255),
    st.builds(Identity, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
)


def signed(header: bytes, payload: bytes = b"payload") -> bytes:
    """A frame whose CRCs hold, whatever its header says."""
    crc = zlib.crc32(header)
    return header + struct.pack(">I", crc) + payload + struct.pack(">I", zlib.crc32(payload, crc))


def code_of(data: bytes) -> str:
    """What is wrong with a frame."""
    error = refusal(wire.decode, data)
    assert error is not None
    return error.code


def test_the_layout_is_what_the_design_says() -> None:
    header = struct.pack(">4sBBHIQQq", b"EDGF", 1, 1, 40, 7, 0x0123456789ABCDEF, 7, -5)
    assert signed(header) == BYTES
    assert wire.HEADER_SIZE == 40
    assert wire.encoded_size(FRAME) == len(BYTES) == 51


@steady
@given(frames, st.binary(max_size=5), st.binary(max_size=5))
def test_a_frame_comes_back_from_any_offset(frame: Frame, before: bytes, after: bytes) -> None:
    data = wire.encode(frame)
    assert wire.decode(before + data + after, len(before)) == (frame, len(before) + len(data))
    assert wire.decode(memoryview(data))[0] == frame
    assert wire.decode_header(data).frame_size == len(data) == wire.encoded_size(frame)


@steady
@given(st.lists(frames, max_size=5))
def test_a_body_splits_into_its_frames(several: list[Frame]) -> None:
    assert wire.split(b"".join(map(wire.encode, several))) == several


def test_a_kind_that_is_not_known_is_still_a_frame() -> None:
    frame = Frame(200, Identity(1, 2), 3, b"")
    assert wire.decode(wire.encode(frame))[0] == frame


@pytest.mark.parametrize("bit", range(len(BYTES) * 8))
def test_no_flipped_bit_passes(bit: int) -> None:
    hurt = bytearray(BYTES)
    hurt[bit // 8] ^= 1 << bit % 8
    code = code_of(bytes(hurt))
    expected = {0: "frame_magic", 4: "frame_version", 5: "frame_header_crc", 40: "frame_payload_crc"}
    assert code == expected[max(start for start in expected if start <= bit // 8)]


@pytest.mark.parametrize("size", range(len(BYTES)))
def test_every_early_end_is_told(size: int) -> None:
    assert code_of(BYTES[:size]) == "frame_truncated"


def test_a_payload_under_another_header_does_not_pass() -> None:
    other = wire.encode(Frame(FRAME.kind, Identity(FRAME.identity.epoch, 8), FRAME.sealed_at, FRAME.payload))
    assert code_of(other[:40] + BYTES[40:]) == "frame_payload_crc"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (struct.pack(">4sBBHIQQq", b"EDGX", 1, 1, 40, 7, 1, 2, 3), "frame_magic"),
        (struct.pack(">4sBBHIQQq", b"EDGF", 2, 1, 40, 7, 1, 2, 3), "frame_version"),
        (struct.pack(">4sBBHIQQq", b"EDGF", 1, 1, 44, 7, 1, 2, 3), "frame_version"),
        (struct.pack(">4sBBHIQQq", b"EDGF", 1, 1, 40, 7, 2**63, 2, 3), "frame_number"),
        (struct.pack(">4sBBHIQQq", b"EDGF", 1, 1, 40, 7, 1, 2**63, 3), "frame_number"),
        (struct.pack(">4sBBHIQQq", b"EDGF", 1, 1, 40, 2**32 - 1, 1, 2, 3), "frame_truncated"),
    ],
)
def test_headers_that_hold_but_say_what_cannot_be(header: bytes, code: str) -> None:
    assert code_of(signed(header)) == code


def test_a_broken_body_names_the_frame() -> None:
    with pytest.raises(Malformed) as caught:
        wire.split(BYTES + BYTES[:-1])
    assert (caught.value.code, caught.value.field) == ("frame_truncated", "frames[1]")


@steady
@given(st.binary() | damaged(BYTES * 2))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    for error in (refusal(wire.decode_header, data), refusal(wire.decode, data), refusal(wire.split, data)):
        assert error is None or error.code.startswith("frame_")
