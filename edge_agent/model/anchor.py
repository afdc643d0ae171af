"""Anchors: what is known about true time on a device's axis.

The axis is milliseconds of `CLOCK_MONOTONIC_RAW + (CLOCK_BOOTTIME - CLOCK_MONOTONIC)`: no daemon slews it, suspend
does not stop it, and a boot id with a time namespace names it. True time (Unix ms, UTC as POSIX counts it) at axis
time `t` is `t + offset`. An anchor says that at axis time `at` the offset lay in `[lo, hi]`.

Two things move the offset:

- The crystal: at most 200 ppm of the time that goes by, up or down; no crystal that boards carry is worse.
- The axis may stand still while true time goes on: a paused virtual machine, a live migration, a suspend that the
  kernel does not count. The offset then jumps up, by any amount, at any time, unseen by the device. It never jumps
  down.

So an anchor bounds all later times from below (`floor`) and all earlier times from above (`roof`), whatever happened in
between. The other two bounds hold only if the axis did not stand still in between: `widened` and `narrowed` take that
for granted, `floor` before the anchor and `roof` after it too. They serve where nothing better is known: past the last
anchor and before the first. A pause that no later anchor of its axis follows cannot be known.

Of true anchors every choice is true as well: some may be dropped. Two of different instants must not be made into
one, since that one would claim what holds only if the axis went on between them.

One exchange with a hub bounds the offset: a reply stamped `S`, with grain and stated error `g` and staleness
`s`, to a request that left at `t1` and whose reply came at `t4` (axis times), was stamped in between, so
`offset` lies in `[S - g - t4, S + g + s - t1]`. Were the axis to stand still within the exchange, the lower bound is
true of its end and the upper one of its beginning.
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

    def floor(self, at: int) -> int:
        """The least offset in ms at this or a later axis time; at an earlier one only if the axis went on."""
        return self.lo - _drift(at - self.at)

    def roof(self, at: int) -> int:
        """The greatest offset in ms at this or an earlier axis time; at a later one only if the axis went on."""
        return self.hi + _drift(at - self.at)

    def widened(self, at: int) -> "Anchor":
        """What this anchor says at another axis time if the axis went on in between."""
        return Anchor(self.floor(at), self.roof(at), at)

    def narrowed(self, other: "Anchor") -> "Anchor | None":
        """What both say at the later of their times if the axis went on; None when they contradict each other then."""
        at = max(self.at, other.at)
        mine, theirs = self.widened(at), other.widened(at)
        lo, hi = max(mine.lo, theirs.lo), min(mine.hi, theirs.hi)
        return Anchor(lo, hi, at) if lo <= hi else None


def bounded(stamp: int, error: int, staleness: int, sent_at: int, received_at: int) -> Anchor:
    """The anchor that one exchange gives; `stamp` in Unix ms, the others in ms as the module says."""
    return Anchor(stamp - error - received_at, stamp + error + staleness - sent_at, received_at)


def _drift(distance: int) -> int:
    """Ms by which bounds widen over so many ms, rounded up."""
    return -(-abs(distance) * DRIFT_PPM // 1_000_000)
