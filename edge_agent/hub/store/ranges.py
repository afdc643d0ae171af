"""Sets of numbers as ranges: half open, rising, apart and never empty, so that each set has one form.

A device's numbers come nearly in order, so a set is a few ranges however long it lives; an adversary with a device's
key can make its own sets long, and nobody else's.
"""

from collections.abc import Iterable

from edge_agent.model.frame import Range

Ranges = tuple[Range, ...]


def union(*sets: Iterable[Range]) -> Ranges:
    """Every number that is in one of these ranges, which may overlap and stand in any order."""
    merged: list[Range] = []
    for first, after in sorted(pair for one in sets for pair in one):
        if after <= first:
            continue
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], after))
        else:
            merged.append((first, after))
    return tuple(merged)


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
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        if ranges[middle][1] <= number:
            low = middle + 1
        else:
            high = middle
    return low < len(ranges) and ranges[low][0] <= number
