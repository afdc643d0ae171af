"""What must happen before a lane may grow: aged segments go, the oldest are thinned, the oldest go.

    max_bytes   the lane is never larger, but for the losses that it must declare. One that is larger already, since
                its quota was cut, shrinks at each call: while thinning frees what is needed nothing is dropped for it
    max_age     a segment that was made so much powered-on time ago goes, whatever room there is
    min_free_*  while the file system has less than this left, the lane grows no further than it was when that began;
                up to `keep_bytes` it always may

The oldest go first, a few at a time: a quota that was cut tenfold is not paid off in one call. What cannot be sent (of
a later version, or another device's) goes in its turn.
"""

from edge_agent.model.frame import LossReason
from edge_agent.model.ports import Disk
from edge_agent.spool.options import Quota
from edge_agent.spool.rack import Rack
from edge_agent.spool.segment import Segment

_MOST_VICTIMS = 8
_MOST_THINNED = 4
"""A call; of full size one is nearly always enough."""


class Limiter:
    """Keeps one lane within its quota; `free_bytes` and `free_inodes` are left to others."""

    def __init__(self, quota: Quota, disk: Disk, free_bytes: int, free_inodes: int) -> None:
        self._quota = quota
        self._disk = disk
        self._free_bytes = free_bytes
        self._free_inodes = free_inodes
        self._ceiling: int | None = None
        self._space = quota.max_bytes + free_bytes
        """Bytes that the file system had left when the lane grew last."""

    def room(self, used: int) -> int:
        """By how many bytes a lane of this size may grow yet, by what the file system had left at the last growth."""
        if self._ceiling is None:
            return max(0, min(self._quota.max_bytes - used, self._space - self._free_bytes))
        return max(0, min(self._limit(self._ceiling) - used, self._space))

    def victims(self, rack: Rack, need: int) -> list[tuple[Segment, LossReason]]:
        """The oldest segments that must go for so many bytes to come, once some were thinned if that helps.

        OSError when the disk does not say what it has left.
        """
        used = rack.stock.bytes_held()
        most = self._most(rack, used, need)
        found: list[tuple[Segment, LossReason]] = []
        for segment in rack.stock.segments[:_MOST_VICTIMS]:
            if rack.ages.now() - rack.ages.born(segment) <= self._quota.max_age * 1000:
                break
            found.append((segment, "age"))
            used -= segment.size
        enough = max(most, used)
        for _ in range(_MOST_THINNED):
            if used + need <= enough or not (freed := rack.thin(rack.stock.segments[len(found) :])):
                break
            used -= freed
        if used + need <= enough:
            return found
        for segment in rack.stock.segments[len(found) : _MOST_VICTIMS]:
            if used + need <= most:
                break
            found.append((segment, "quota"))
            used -= segment.size
        return found

    def _most(self, rack: Rack, used: int, need: int) -> int:
        """How large the lane may be now, in bytes."""
        space = self._disk.space(rack.folder)
        self._space = space.bytes
        if space.bytes - need >= self._free_bytes and space.inodes > self._free_inodes:
            self._ceiling = None
            return self._quota.max_bytes
        if self._ceiling is None:
            self._ceiling = used
        return self._limit(self._ceiling)

    def _limit(self, ceiling: int) -> int:
        return min(self._quota.max_bytes, max(ceiling, self._quota.keep_bytes))
