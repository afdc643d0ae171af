"""Readings, ticks and series: what a sensor said, or why it said nothing.

Unknown is never zero: a sensor that cannot be read yields a `Reading` whose value is None and whose reason
says why. Names follow OpenTelemetry semantic conventions where they exist, units are UCUM, ratios are 0..1.
Attributes never hold a pid or the name of a short-lived thing: each distinct set is a series that is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["gauge", "counter"]

NO_ATTRIBUTES: Mapping[str, str] = {}
"""The attributes of a series that has none; shared, never changed."""


class Reading(NamedTuple):
    """One number at one instant, or its absence.

    `digits` is the number of decimals that the source really has: the value is kept as an integer scaled by
    10**digits. None keeps the raw float. `source` is where the number was read, as a path or a command.
    """

    name: str
    value: float | None
    unit: str
    attributes: Mapping[str, str] = NO_ATTRIBUTES
    kind: Kind = "gauge"
    digits: int | None = 0
    source: str = ""
    reason: str | None = None


class Series(NamedTuple):
    """What stays the same from one reading to the next. A changed unit, kind or digits is a new series."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    unit: str
    kind: Kind
    digits: int | None
    source: str


def series_of(reading: Reading) -> Series:
    """The series that a reading belongs to; attributes are sorted, so their order never matters."""
    return Series(
        reading.name,
        tuple(sorted(reading.attributes.items())),
        reading.unit,
        reading.kind,
        reading.digits,
        reading.source,
    )


@dataclass(frozen=True, slots=True)
class Tick:
    """All readings of one collector at one instant; `at` is milliseconds on the device's axis."""

    collector: str
    at: int
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """Beats of a collector's grid at which nothing was sampled, counted with their cause."""

    collector: str
    beats: int
    cause: Literal["stalled", "hung", "failed"]
