"""Sets of sequence numbers as ranges: half open, rising, apart and never empty, so that each set has one form.

`((0, 3), (5, 6))` holds 0, 1, 2 and 5. A device's numbers come nearly in order, so a set is a few ranges however long
it lives; an adversary with a device's key can make its own sets long, and nobody else's. Values, never changed in
place, so that one thread may look at them while another works out the next.
"""

from bisect import bisect_right
from collections.abc import Iterable

from edge_agent.model.frame import Range

Ranges = tuple[Range, ...]


def union(*sets: Iterable[Range]) -> Ranges:
    """Every number that is in one of these ranges, which may overlap and stand in any order."""
    joined: list[Range] = []
    for first, after in sorted(pair for one in sets for pair in one):
        if after <= first:
            continue
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], after))
        else:
            joined.append((first, after))
    return tuple(joined)


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """The set of these numbers."""
    return union((number, number + 1) for number in numbers)


def difference(whole: Ranges, taken: Ranges) -> Ranges:
    """The numbers of one set that are not in the other."""
    left: list[Range] = []
    index = 0
    for first, after in whole:
        while index < len(taken) and taken[index][1] <= first:
            index += 1
        reach, ahead = first, index
        while ahead < len(taken) and taken[ahead][0] < after:
            if reach < taken[ahead][0]:
                left.append((reach, taken[ahead][0]))
            reach = max(reach, taken[ahead][1])
            ahead += 1
        if reach < after:
            left.append((reach, after))
    return tuple(left)


def total(ranges: Ranges) -> int:
    """How many numbers there are."""
    return sum(after - first for first, after in ranges)


def holds(ranges: Ranges, number: int) -> bool:
    """Whether a number is in the set; the search is by halves, since sets may be long."""
    found = bisect_right(ranges, number, key=lambda pair: pair[0]) - 1
    return found >= 0 and number < ranges[found][1]
