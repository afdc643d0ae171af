"""What may be sent when: the pace of the backlog, and the purse from which vain bytes are paid.

Both are sums of bytes over time on the device's axis (ms), and both only ever make something wait, never for ever.

    Pace    A request of backlog goes once the one before is paid off at `rate` bytes a second. Nothing is saved up
            while nothing is sent, so there is no burst beyond one request; and that is at most what the pace allows
            in a few seconds, so that a slow pace is not a row of large lumps.
    Purse   Every byte that was sent and settled nothing is paid from it: what got no answer, was turned away, was
            too much at once. It begins full, holds 4 MiB at the most, and gains one byte for each that was settled
            and 100 a second. While it is in debt nothing is sent. So in any time a device sends in vain no more than
            it delivered, and 4 MiB, and 8.64 MB a day, and one request: a line that loses every answer cannot burn a
            metered link, and one that loses fewer than half of them never feels it.

Neither outlasts the process: a start is paid off, which is at most one request ahead of the pace, and 4 MiB in vain.
What a day may cost is kept (`daybook`).
"""

from math import ceil

MOST_SAVED = 4 * 2**20
"""Bytes that the purse holds at the most: a largest request that fails is halved down to one frame twice over."""

TRICKLE = 100.0
"""Bytes a second that the purse gains by time alone."""

_LUMP = 4.0
"""Seconds of the pace that one request may take."""
_LEAST_LUMP = 16 * 1024


class Pace:
    """Bytes a second from axis ms `begin` on; None is as fast as answers come."""

    def __init__(self, rate: int | None, begin: int) -> None:
        self._rate = rate
        self._paid_at = float(begin)

    @property
    def lump(self) -> int | None:
        """Bytes of backlog that one request may hold; None for as many as it likes."""
        return None if self._rate is None else max(round(self._rate * _LUMP), _LEAST_LUMP)

    @property
    def free_at(self) -> int:
        """Axis ms from which on the next request may go."""
        return ceil(self._paid_at)

    def spend(self, now: int, size: int) -> None:
        """So many bytes left now."""
        if self._rate is not None:
            self._paid_at = max(float(now), self._paid_at) + size / self._rate * 1000


class Purse:
    """Bytes that may still be sent in vain."""

    def __init__(self, now: int) -> None:
        self._balance = float(MOST_SAVED)
        self._counted_at = now

    def holds(self, now: int) -> float:
        """Bytes in it; below 0 it is in debt."""
        gained = max(0, now - self._counted_at) / 1000 * TRICKLE
        self._balance, self._counted_at = min(self._balance + gained, float(MOST_SAVED)), now
        return self._balance

    def holds_at(self, now: int, size: int) -> int:
        """Axis ms at which time alone brings it to so many bytes, or now."""
        return now + ceil(max(0.0, min(size, MOST_SAVED) - self.holds(now)) / TRICKLE * 1000)

    def count(self, now: int, settled: int, vain: int) -> None:
        """So many bytes were settled, so many were not."""
        self._balance = min(self.holds(now) + settled, float(MOST_SAVED)) - vain
