"""How old segments are, in powered-on time.

Each boot's axis starts anew, so a segment's opening says how much powered-on time the lane had seen when it was made,
and the next life goes on counting from the newest one. What a boot lived through after its last segment was made is
not known to the next: ages are lower bounds.
"""

from collections.abc import Sequence
from contextlib import suppress

from edge_agent.model.failure import Malformed
from edge_agent.model.ports import Clock, Disk
from edge_agent.spool.reader import opening_of
from edge_agent.spool.segment import Segment

_OPENINGS_TRIED = 8


class Ages:
    """The powered-on time of one lane, in ms."""

    def __init__(self, disk: Disk, clock: Clock) -> None:
        self._disk = disk
        self._clock = clock
        self._ahead = 0

    def now(self) -> int:
        """Powered-on time that the lane has seen, as far as its segments tell."""
        return self._clock.now() + self._ahead

    def recall(self, segments: Sequence[Segment]) -> None:
        """Go on counting where the newest of these with a good opening left it."""
        for segment in segments[: -_OPENINGS_TRIED - 1 : -1]:
            with suppress(OSError, Malformed):
                opening = opening_of(self._disk, segment.path)
                if opening is not None:
                    same_boot = opening.axis == self._clock.axis
                    self._ahead = opening.powered - (opening.sealed_at if same_boot else 0)
                    return

    def born(self, segment: Segment) -> int:
        """When a segment was made; now when it does not tell."""
        if segment.powered is None:
            segment.powered = self.now()
            with suppress(OSError, Malformed):
                opening = opening_of(self._disk, segment.path)
                if opening is not None:
                    segment.powered = opening.powered
        return segment.powered

    def on_axis(self, segment: Segment) -> int | None:
        """When a segment was made, in axis ms of this boot (negative: before it); None when that was not read."""
        return None if segment.powered is None else segment.powered - self._ahead
