"""Frames: sealed batches under their identity, the same bytes on disk and on the wire.

In network byte order, 40 bytes of header, then the payload, then four bytes more:

    magic(4)="EDGF" version(1)=1 kind(1) header_len(2)=40 payload_len(4) epoch(8) seq(8) sealed_at_axis_ms(8)
    header_crc32(4) | payload | payload_crc32(4)

`header_crc32` covers the 36 bytes before it. The payload's CRC is seeded with it, so that a payload under another
header does not pass. Epoch and number are below 2**63; the axis time is signed. `header_len` counts the header with its
CRC. A frame of any kind is decoded, one of another version is not: its bytes are kept or refused whole by whoever
holds them. What a payload says is not looked at here, nor how large it may be: nothing is read beyond the bytes given.

What does not hold raises `Malformed` with the code `frame_truncated`, `frame_magic`, `frame_version`,
`frame_header_crc`, `frame_number` or `frame_payload_crc`, checked in this order.
"""

import struct
import zlib
from dataclasses import dataclass

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, Identity

MAGIC = b"EDGF"
VERSION = 1

_FIELDS = struct.Struct(">4sBBHIQQq")
_CRC = struct.Struct(">I")
_NUMBERS = 2**63

HEADER_SIZE = _FIELDS.size + _CRC.size
"""The bytes of a header with its CRC."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a frame says before its payload: `sealed_at` in axis ms, `payload_size` in bytes."""

    kind: int
    identity: Identity
    sealed_at: int
    payload_size: int

    @property
    def frame_size(self) -> int:
        """The bytes of the whole frame."""
        return HEADER_SIZE + self.payload_size + _CRC.size


def encoded_size(frame: Frame) -> int:
    """The bytes that `encode` makes of a frame."""
    return HEADER_SIZE + len(frame.payload) + _CRC.size


def encode(frame: Frame) -> bytes:
    """A frame as bytes."""
    epoch, seq = frame.identity
    header = _FIELDS.pack(MAGIC, VERSION, frame.kind, HEADER_SIZE, len(frame.payload), epoch, seq, frame.sealed_at)
    header_crc = zlib.crc32(header)
    payload_crc = zlib.crc32(frame.payload, header_crc)
    return b"".join((header, _CRC.pack(header_crc), frame.payload, _CRC.pack(payload_crc)))


def decode_header(data: bytes | memoryview, offset: int = 0) -> Header:
    """The header that stands at an offset; the payload need not be there."""
    if len(data) - offset < HEADER_SIZE:
        raise Malformed("frame_truncated", "the data ends within a frame's header")
    magic, version, kind, size, payload_size, epoch, seq, sealed_at = _FIELDS.unpack_from(data, offset)
    if magic != MAGIC:
        raise Malformed("frame_magic", "no frame starts here")
    if version != VERSION:
        raise Malformed("frame_version", f"frame version {version} is not known here")
    if zlib.crc32(data[offset : offset + _FIELDS.size]) != _header_crc(data, offset):
        raise Malformed("frame_header_crc", "a frame's header is damaged")
    if size != HEADER_SIZE:
        raise Malformed("frame_version", f"a frame's header of {size} bytes is not known here")
    if epoch >= _NUMBERS or seq >= _NUMBERS:
        raise Malformed("frame_number", "a frame's epoch and number must be below 2**63")
    return Header(kind, Identity(epoch, seq), sealed_at, payload_size)


def decode(data: bytes | memoryview, offset: int = 0) -> tuple[Frame, int]:
    """The frame that stands at an offset, and the offset after it."""
    header = decode_header(data, offset)
    start, after = offset + HEADER_SIZE, offset + header.frame_size
    if len(data) < after:
        raise Malformed("frame_truncated", "the data ends within a frame's payload")
    payload = bytes(data[start : start + header.payload_size])
    (payload_crc,) = _CRC.unpack_from(data, after - _CRC.size)
    if zlib.crc32(payload, _header_crc(data, offset)) != payload_crc:
        raise Malformed("frame_payload_crc", f"the payload of frame {header.identity} is damaged")
    return Frame(header.kind, header.identity, header.sealed_at, payload), after


def split(body: bytes) -> list[Frame]:
    """The frames that a body is made of, to its last byte."""
    view, offset, frames = memoryview(body), 0, list[Frame]()
    while offset < len(view):
        try:
            frame, offset = decode(view, offset)
        except Malformed as error:
            raise Malformed(error.code, str(error), field=f"frames[{len(frames)}]") from error
        frames.append(frame)
    return frames


def _header_crc(data: bytes | memoryview, offset: int) -> int:
    (crc,) = _CRC.unpack_from(data, offset + _FIELDS.size)
    return int(crc)
