"""Durations and sizes as people write them: `10s`, `1.5h`, `256MiB`.

`Seconds` and `Bytes` are plain numbers to the parts that hold them. Validators of configs find the parser in the
annotation: `Parsed` answers pydantic's protocol with a plain core schema, so that this floor imports nothing.

Each number has a bound at both ends: at most ten years, at most 2**60 bytes. What is no number, or endless, is refused.
`Interval` is for what is done again and again, or must end some time: never 0. `Room` holds at least 4096 bytes.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

MOST_SECONDS = 10 * 365 * 86400.0
MOST_BYTES = 2**60

_DURATION = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_WRITTEN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def parse_seconds(written: object) -> float:
    """Seconds from `250ms`, `10s`, `5m`, `2h`, `7d`, or from a bare number of seconds; ValueError otherwise."""
    if isinstance(written, int | float) and not isinstance(written, bool):
        return _finite(written)
    found = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
    if found is None or found[2] not in _DURATION:
        raise ValueError("a duration is written as 250ms, 10s, 5m, 2h or 7d")
    return _finite(float(found[1])) * _DURATION[found[2]]


def parse_bytes(written: object) -> int:
    """Bytes from `512B`, `64KiB`, `256MiB`, `1GB`, or from a bare whole number; ValueError otherwise."""
    if isinstance(written, int) and not isinstance(written, bool):
        return written
    found = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
    if found is None or found[2] not in _SIZE:
        raise ValueError("a size is written as 512B, 64KiB, 256MiB or 1GB")
    return int(_finite(float(found[1])) * _SIZE[found[2]])


def _finite(number: float) -> float:
    try:
        if math.isfinite(number):
            return float(number)
    except OverflowError:  # a whole number of more digits than a float has
        pass
    raise ValueError("must be a finite number")


@dataclass(frozen=True, slots=True)
class Parsed:
    """Annotation of a number that may be written with its unit."""

    parse: Callable[[object], float]
    least: float
    most: float

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        """The validator as a core schema: parse, then check the bounds."""

        def checked(written: object) -> float:
            number = self.parse(written)
            if number < self.least:
                raise ValueError(f"must be at least {self.least:g}")
            if number > self.most:
                raise ValueError(f"must be at most {self.most:.0f}")
            return number

        return {
            "type": "function-before",
            "function": {"type": "no-info", "function": checked},
            "schema": handler(source),
        }


Seconds = Annotated[float, Parsed(parse_seconds, 0.0, MOST_SECONDS)]
Interval = Annotated[float, Parsed(parse_seconds, 0.1, MOST_SECONDS)]
Bytes = Annotated[int, Parsed(parse_bytes, 0, MOST_BYTES)]
Room = Annotated[int, Parsed(parse_bytes, 4096, MOST_BYTES)]
