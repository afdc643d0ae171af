"""Where the unsettled frames of segments stand, remembered so that a segment is scanned once and not at each look.

A hub that leaves a few frames of each segment unsettled makes every look begin at the oldest segments again: of
those only a few places are left to remember, so many segments fit. What was not asked for longest is forgotten first.
"""

from edge_agent.spool.scan import Place
from edge_agent.spool.segment import Segment

MOST_PLACES = 32_768


class Places:
    """The places of segments, at most `MOST_PLACES`, or those of one segment alone."""

    def __init__(self) -> None:
        self._seen: dict[Segment, tuple[int, tuple[Place, ...]]] = {}
        self._count = 0

    def find(self, segment: Segment) -> tuple[Place, ...] | None:
        """Where its unsettled frames stand; None when that is not known, or not as the file is now."""
        size, places = self._take(segment)
        return self.keep(segment, places) if size == segment.size else None

    def keep(self, segment: Segment, places: tuple[Place, ...]) -> tuple[Place, ...]:
        """Remember those of these that are unsettled, and give them back."""
        self._take(segment)
        left = tuple(place for place in places if segment.owes(place.seq))
        self._seen[segment] = (segment.size, left)
        self._count += len(left)
        while self._count > MOST_PLACES and len(self._seen) > 1:
            self._take(next(iter(self._seen)))
        return left

    def forget(self, segment: Segment) -> None:
        """Know nothing of it any more."""
        self._take(segment)

    def _take(self, segment: Segment) -> tuple[int, tuple[Place, ...]]:
        size, places = self._seen.pop(segment, (-1, ()))
        self._count -= len(places)
        return size, places
