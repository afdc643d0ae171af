"""Scanning a segment's bytes: which frames are found, and which numbers are known to be lost."""

import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.ranges import Ranges
from edge_agent.spool.scan import scan
from edge_agent.wire.frame import HEADER_SIZE, encode

EPOCH = 0x1234
SIZE = 100 + HEADER_SIZE + 4
"""The bytes of each test frame."""


def frame(seq: int, kind: int = FrameKind.TELEMETRY, epoch: int = EPOCH) -> bytes:
    return encode(Frame(kind, Identity(epoch, seq), 5, bytes([seq % 251]) * 100))


def later_version(seq: int) -> bytes:
    """A frame of version 2 whose header keeps the rule that all versions keep."""
    head = struct.pack(">4sBBHIQQqI", b"EDGF", 2, 1, 44, 7, EPOCH, seq, 5, 99)
    return head + struct.pack(">I", zlib.crc32(head)) + b"payload" + b"crc?"


BODY = b"".join(frame(seq) for seq in range(10))


def flipped(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :]


def swapped(data: bytes, one: int, other: int, size: int) -> bytes:
    changed = bytearray(data)
    changed[one : one + size], changed[other : other + size] = data[other : other + size], data[one : one + size]
    return bytes(changed)


WOUNDS: list[tuple[str, Callable[[bytes], bytes], int | None, list[int], Ranges]] = [
    ("nothing", lambda data: data, None, list(range(10)), ()),
    ("nothing, and a successor far away", lambda data: data, 20, list(range(10)), ()),
    ("a bit in a payload", lambda data: flipped(data, 3 * SIZE + 60), None, [0, 1, 2, 4, 5, 6, 7, 8, 9], ((3, 4),)),
    ("a bit in a magic", lambda data: flipped(data, 3 * SIZE), None, [0, 1, 2, 4, 5, 6, 7, 8, 9], ((3, 4),)),
    ("a bit in a number", lambda data: flipped(data, 3 * SIZE + 27), None, [0, 1, 2, 4, 5, 6, 7, 8, 9], ((3, 4),)),
    ("a bit in a length", lambda data: flipped(data, 3 * SIZE + 8), None, [0, 1, 2, 4, 5, 6, 7, 8, 9], ((3, 4),)),
    ("a bit in the version", lambda data: flipped(data, 3 * SIZE + 4), None, [0, 1, 2, 4, 5, 6, 7, 8, 9], ((3, 4),)),
    ("a bit in the first frame", lambda data: flipped(data, 60), None, list(range(1, 10)), ((0, 1),)),
    ("a bit in the last payload", lambda data: flipped(data, 9 * SIZE + 60), None, list(range(9)), ((9, 10),)),
    ("a bit in the last magic, successor known", lambda data: flipped(data, 9 * SIZE), 10, list(range(9)), ((9, 10),)),
    ("a bit in the last magic, none known", lambda data: flipped(data, 9 * SIZE), None, list(range(9)), ()),
    ("a hole of junk", lambda data: data[: 2 * SIZE + 9] + b"\xaa" * 300 + data[2 * SIZE + 309 :], None,
     [0, 1, 5, 6, 7, 8, 9], ((2, 5),)),
    ("a hole of zeros", lambda data: data[: 2 * SIZE] + bytes(2 * SIZE) + data[4 * SIZE :], None,
     [0, 1, 4, 5, 6, 7, 8, 9], ((2, 4),)),
    ("a zero tail, successor known", lambda data: data[: 7 * SIZE] + bytes(3 * SIZE), 10, list(range(7)), ((7, 10),)),
    ("a zero tail, none known", lambda data: data[: 7 * SIZE] + bytes(3 * SIZE), None, list(range(7)), ()),
    ("a cut within a payload", lambda data: data[: 9 * SIZE + 70], None, list(range(9)), ((9, 10),)),
    ("a cut between frames", lambda data: data[: 9 * SIZE], None, list(range(9)), ()),
    ("nothing left, successor known", lambda _data: b"", 10, [], ((0, 10),)),
    ("nothing left", lambda _data: b"", None, [], ()),
    ("only junk", lambda _data: b"junk" * 200, None, [], ((0, 1),)),
    ("two frames in each other's place", lambda data: swapped(data, SIZE, 8 * SIZE, SIZE), None, list(range(10)), ()),
    ("two pieces in each other's place", lambda data: swapped(data, SIZE + 60, 7 * SIZE + 60, SIZE), None,
     [0, 3, 4, 5, 6, 9], ((1, 3), (7, 9))),
    ("a frame twice", lambda data: data + data[:SIZE], None, list(range(10)), ()),
    ("a frame of another epoch", lambda data: data[: 2 * SIZE] + frame(2, epoch=9) + data[3 * SIZE :], None,
     [0, 1, 3, 4, 5, 6, 7, 8, 9], ((2, 3),)),
    ("junk between whole frames", lambda data: data[: 2 * SIZE] + b"EDGF" * 9 + data[2 * SIZE :], None,
     list(range(10)), ()),
]  # fmt: skip


@pytest.mark.parametrize(("wound", "until", "found", "lost"), [case[1:] for case in WOUNDS], ids=[w[0] for w in WOUNDS])
def test_a_wound_costs_what_it_hit_and_no_more(
    wound: Callable[[bytes], bytes], until: int | None, found: list[int], lost: Ranges
) -> None:
    seen = scan(wound(BODY), EPOCH, 0, until)
    assert [place.seq for place in seen.places] == found
    assert seen.lost == lost


def test_holes_without_damage_are_no_losses() -> None:
    data = b"".join(frame(seq) for seq in (0, 1, 5, 9))
    assert scan(data, EPOCH, 0, 12).lost == ()


def test_an_opening_is_no_frame_of_the_lane() -> None:
    seen = scan(frame(0, FrameKind.SEGMENT) + BODY, EPOCH, 0, None)
    assert seen.opening is not None
    assert len(seen.places) == 10


def test_a_frame_of_a_later_version_is_seen_and_is_no_damage() -> None:
    seen = scan(BODY[:SIZE] + later_version(1) + BODY[2 * SIZE :], EPOCH, 0, None)
    assert (seen.unknown, seen.damage, seen.lost) == (1, (), ())
    assert [place.seq for place in seen.places] == [0, *range(2, 10)]


def test_a_file_of_zeros_or_with_only_an_opening_is_blank() -> None:
    assert scan(bytes(5000), EPOCH, 0, None).blank
    assert scan(frame(0, FrameKind.SEGMENT) + bytes(99), EPOCH, 0, None).blank
    assert not scan(b"junk", EPOCH, 0, None).blank
    assert not scan(later_version(0), EPOCH, 0, None).blank


@given(st.binary(max_size=2000))
def test_no_bytes_break_the_scan(data: bytes) -> None:
    assert scan(data, EPOCH, 0, None).places == ()


@given(st.lists(st.tuples(st.integers(0, len(BODY) - 1), st.integers(0, 255)), max_size=6))
def test_each_damaged_byte_costs_at_most_one_frame_and_what_is_lost_is_named(wounds: list[tuple[int, int]]) -> None:
    data = bytearray(BODY)
    for offset, value in wounds:
        data[offset] = value
    seen = scan(bytes(data), EPOCH, 0, 10)
    assert len(seen.places) >= 10 - len(wounds)
    assert sorted([place.seq for place in seen.places] + [n for pair in seen.lost for n in range(*pair)]) == list(
        range(10)
    )
