"""What the spool offers to the parts that fill and empty it.

The spool is on the same floor as the sealer and the pusher, so they meet here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_agent.model.frame import Frame, Holding, Identity, LaneName
from edge_agent.model.verdict import Settlement


@dataclass(frozen=True, slots=True)
class Depth:
    """How much a lane holds: frames and bytes on disk and in memory; `durable` is False while memory serves.

    `room` is by how many bytes it may grow yet, as it was known when it grew last; None where nobody counts.
    """

    frames: int
    bytes: int
    oldest: int | None
    durable: bool
    room: int | None = None


class Buffer(Protocol):
    """One lane: numbers are drawn at a batch's birth, frames appended once sealed, settled by the hub's word."""

    @property
    def lane(self) -> LaneName:
        """Which lane this is."""

    def draw(self) -> Identity:
        """The next number of this opening's epoch: each is drawn once."""

    async def append(self, frame: Frame) -> bool:
        """Keep a sealed frame. True once it is durable, False when only memory holds it. Never raises OSError."""

    async def adopt(self, frame: Frame) -> bool:
        """Like `append` for a frame of an earlier life, under its own identity; nothing when it is held already."""

    async def newest(self) -> Frame | None:
        """The frame that was appended last by this life, unless it is settled."""

    async def oldest(self, most_bytes: int, most_frames: int) -> Sequence[Frame]:
        """The oldest unsettled frames in order, together at most so large, at least one if any is held."""

    async def settle(self, settled: Mapping[Identity, Settlement]) -> None:
        """Let go of these; unknown ones are ignored.

        `rejected` frames go to the dead letters and are declared lost, but for the code `identity_conflict` (the hub
        holds other bytes under this number: a restored snapshot, a cloned card): those get a number of a fresh epoch.
        """

    async def filled(self) -> None:
        """Wait until there is something to push."""

    def inventory(self) -> Sequence[Holding]:
        """Every epoch that this device still speaks of."""

    def depth(self) -> Depth:
        """How much is held, without touching the disk."""


class Reports(Protocol):
    """Where a part puts what the hub must be told: one JSON object a report, through the reports lane."""

    async def report(self, report: Mapping[str, object]) -> bool:
        """Seal and keep a report; True once it is durable."""
