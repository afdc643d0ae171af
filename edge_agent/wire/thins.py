"""What a thinned batch stands for: its member `thins`.

    {"epoch": "<16 hex>", "ranges": [[a, b], ...], "window": <ms>}

The numbers `a` up to, not including, `b` of that epoch were full batches; for ever, this one stands in their place,
with a mean, a least, a greatest and a count for each gauge and window, and the readings of counters that tell the rest
(`wire.coarse`). Windows start at multiples of their length on the axis. Ranges rise, apart and not empty, and there are
as many of them at most as `MOST_RANGES`. What does not hold raises `Malformed("bad_batch")`.
"""

import re
from dataclasses import dataclass
from typing import Any

from edge_agent.model.ranges import Ranges
from edge_agent.wire.track import refuse

MOST_RANGES = 4096
MOST_WINDOW = 3_600_000
"""The longest window, in ms."""

_NUMBERS = 2**63
_EPOCH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Thins:
    """The numbers of an epoch that a thinned batch stands for, and the length of its windows in ms."""

    epoch: int
    ranges: Ranges
    window: int

    def written(self) -> dict[str, Any]:
        """The member of a document."""
        return {"epoch": f"{self.epoch:016x}", "ranges": self.ranges, "window": self.window}


def read_thins(member: Any) -> Thins | None:
    """What a document says as `thins`, checked; None when it is a full batch."""
    if member is None:
        return None
    if type(member) is not dict:
        refuse("thins", "must be an object")
    epoch, ranges, window = (member.get(name) for name in ("epoch", "ranges", "window"))
    if not isinstance(epoch, str) or _EPOCH.fullmatch(epoch) is None or int(epoch, 16) >= _NUMBERS:
        refuse("thins.epoch", "must be 63 bits in 16 letters of lower-case hex")
    if type(window) is not int or not 0 < window <= MOST_WINDOW:
        refuse("thins.window", f"must be 1 to {MOST_WINDOW} ms")
    if type(ranges) is not list or not 0 < len(ranges) <= MOST_RANGES:
        refuse("thins.ranges", f"must be a list of 1 to {MOST_RANGES} ranges")
    reached = -1
    for index, pair in enumerate(ranges):
        if type(pair) is not list or len(pair) != 2 or set(map(type, pair)) != {int}:  # noqa: PLR2004 - two ends
            refuse(f"thins.ranges[{index}]", "must be two integers")
        if not reached < pair[0] < pair[1] < _NUMBERS:
            refuse(f"thins.ranges[{index}]", "must rise, and stand apart from the one before")
        reached = pair[1]
    return Thins(int(epoch, 16), tuple((first, after) for first, after in ranges), window)
