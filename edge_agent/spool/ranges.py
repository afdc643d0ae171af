"""Sets of sequence numbers as sorted, disjoint, half open ranges: `((0, 3), (5, 6))` holds 0, 1, 2 and 5.

Values, never changed in place, so that one thread may look at them while another works out the next. Adjacent ranges
are joined. Empty ranges are dropped.
"""

from bisect import bisect_right
from collections.abc import Iterable

from edge_agent.model.frame import Range

Ranges = tuple[Range, ...]


def merged(ranges: Iterable[Range]) -> Ranges:
    """One set out of ranges in any order, overlapping or not."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """The set of these numbers."""
    return merged((number, number + 1) for number in numbers)


def minus(ranges: Ranges, others: Ranges) -> Ranges:
    """What is in the first set and not in the second."""
    left: list[Range] = []
    position = 0
    for start, end in ranges:
        at = start
        while position < len(others) and others[position][1] <= at:
            position += 1
        look = position
        while look < len(others) and others[look][0] < end:
            if others[look][0] > at:
                left.append((at, others[look][0]))
            at = max(at, others[look][1])
            look += 1
        if at < end:
            left.append((at, end))
    return tuple(left)


def contains(ranges: Ranges, number: int) -> bool:
    """Whether the set holds this number."""
    found = bisect_right(ranges, number, key=lambda pair: pair[0]) - 1
    return found >= 0 and number < ranges[found][1]


def count(ranges: Ranges) -> int:
    """How many numbers the set holds."""
    return sum(end - start for start, end in ranges)
