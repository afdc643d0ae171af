"""Anchors: what is known about true time on a device's axis.

The axis is milliseconds of `CLOCK_MONOTONIC_RAW + (CLOCK_BOOTTIME - CLOCK_MONOTONIC)`: no daemon slews it, suspend
does not stop it, and a boot id with a time namespace names it. True time (Unix ms, UTC as POSIX counts it) at axis
time `t` is `t + offset`. An anchor says that at axis time `at` the offset lay in `[lo, hi]`. Away from `at` the
bounds widen by 200 ppm of the distance on each side: no crystal that boards carry is worse.

One exchange with a hub bounds the offset: a reply stamped `S`, with grain and stated error `g` and staleness
`s`, to a request that left at `t1` and whose reply came at `t4` (axis times), was stamped in between, so
`offset` lies in `[S - g - t4, S + g + s - t1]`.
"""

from typing import NamedTuple

DRIFT_PPM = 200
"""How fast an axis may run off true time, in parts per million of the distance from an anchor."""


class Anchor(NamedTuple):
    """Bounds of (true time - axis time) in ms, at one axis time."""

    lo: int
    hi: int
    at: int

    @property
    def offset(self) -> int:
        """The middle of the bounds, in ms: what is added to axis time."""
        return (self.lo + self.hi) // 2

    @property
    def error(self) -> int:
        """Half the width of the bounds, in ms, rounded up."""
        return (self.hi - self.lo + 1) // 2

    def widened(self, at: int) -> "Anchor":
        """What this anchor still says at another axis time."""
        drift = -(-abs(at - self.at) * DRIFT_PPM // 1_000_000)
        return Anchor(self.lo - drift, self.hi + drift, at)

    def narrowed(self, other: "Anchor") -> "Anchor | None":
        """What both anchors together say at the later of their times; None when they contradict each other."""
        at = max(self.at, other.at)
        mine, theirs = self.widened(at), other.widened(at)
        lo, hi = max(mine.lo, theirs.lo), min(mine.hi, theirs.hi)
        return Anchor(lo, hi, at) if lo <= hi else None


def bounded(stamp: int, error: int, staleness: int, sent_at: int, received_at: int) -> Anchor:
    """The anchor that one exchange gives; `stamp` in Unix ms, the others in ms as the module says."""
    return Anchor(stamp - error - received_at, stamp + error + staleness - sent_at, received_at)
