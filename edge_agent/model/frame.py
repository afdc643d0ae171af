"""Frames: sealed batches under an identity that is theirs for ever, on disk and on the wire alike.

An identity is `(device, epoch, seq)`. Each lane draws its own random 63-bit epoch at each opening, since a bare
number would be reused once the buffer drained and the hub would drop new data as a repeat. Numbers of an
epoch start at 0 and have no holes at birth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, NamedTuple

LaneName = Literal["telemetry", "events", "logs", "reports"]
LANES: tuple[LaneName, ...] = ("reports", "telemetry", "events", "logs")
"""Every lane, in the order in which the pusher serves them."""


class FrameKind(IntEnum):
    """The byte in a frame's header. SEGMENT opens a segment file and never travels."""

    SEGMENT = 0
    TELEMETRY = 1
    EVENTS = 2
    LOGS = 3
    REPORTS = 4
    THINNED = 5
    """A telemetry batch of coarser windows, in place of the full ones that it names."""


KIND_OF_LANE: Mapping[LaneName, FrameKind] = {
    "telemetry": FrameKind.TELEMETRY,
    "events": FrameKind.EVENTS,
    "logs": FrameKind.LOGS,
    "reports": FrameKind.REPORTS,
}


class Identity(NamedTuple):
    """The number of a frame within its device; printed and sent with the epoch in 16 hex digits."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch:016x}/{self.seq}"


@dataclass(frozen=True, slots=True)
class Frame:
    """A sealed batch: `payload` as it is on disk and on the wire, `sealed_at` in ms on the device's axis.

    `kind` is an int, so that a frame of a kind that this version does not know can still be kept and sent.
    """

    kind: int
    identity: Identity
    sealed_at: int
    payload: bytes


Range = tuple[int, int]
"""Numbers from the first up to, not including, the second."""


@dataclass(frozen=True, slots=True)
class Holding:
    """The inventory of one epoch: `next` is the first number not yet drawn, `held` the ranges still buffered.

    A number below `next` that is nowhere (not stored, not held, not declared lost) is lost(unaccounted).
    """

    lane: LaneName
    epoch: int
    next: int
    held: tuple[Range, ...]


LossReason = Literal["quota", "age", "damaged", "no_space", "rejected", "unaccounted", "unsealed"]


@dataclass(frozen=True, slots=True)
class Loss:
    """Numbers of one epoch that will never be delivered, and why."""

    lane: LaneName
    epoch: int
    ranges: tuple[Range, ...]
    reason: LossReason

    def report(self) -> dict[str, Any]:
        """The report that declares this loss to the hub."""
        return {
            "type": "loss",
            "lane": self.lane,
            "epoch": f"{self.epoch:016x}",
            "ranges": [list(pair) for pair in self.ranges],
            "reason": self.reason,
        }
