"""A member of a folder of sysfs: where it is, what is read of it, and what is left of what was read of it before.

Its parts are looked for again and again. One that is not found any more, in the place where it was, is tried on: its
own file tells why it is silent. A limit is not, nor is what was read in another place or is told by another name now:
that is `gone`. Either way the series stays, absent, and no file is read for two series.
"""

from collections.abc import Sequence
from typing import NamedTuple

from edge_agent.collectors.sysfs.names import Place
from edge_agent.collectors.sysfs.parts import Fixed, Part
from edge_agent.model.reading import Reading

_MOST_LEFT = 64
"""Parts that one member keeps though they are not found any more."""


class Member(NamedTuple):
    """One member: the place at which its parts were found, and they."""

    place: Place
    parts: Sequence[Part]


def renewed(before: Member | None, place: Place, found: Sequence[Part]) -> Member:
    """The member with the parts that are found now, in this place."""
    if before is None:
        return Member(place, found)
    told = {_identity(series) for part in found for series in part.series}
    read = {series.source for part in found for series in part.series}
    left: list[Part] = []
    for part in before.parts:
        lost = [series for series in part.series if _identity(series) not in told]
        if not lost:
            continue
        is_read = place.path != before.place.path or any(series.source in read for series in part.series)
        if is_read or isinstance(part, Fixed) or len(lost) < len(part.series):
            part = Fixed(*(series._replace(reason="gone") for series in lost))  # noqa: PLW2901 - what is left of it
        left.append(part)
    return Member(place, [*found, *left[-_MOST_LEFT:]])


def _identity(series: Reading) -> tuple[str, frozenset[tuple[str, str]]]:
    return series.name, frozenset(series.attributes.items())
