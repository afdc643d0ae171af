"""The intake: events and readings that programs on this device hand over, as bytes in and values out.

    POST /v1/events     {"type": "acquisition.progress", "data": {...}}
    POST /v1/readings   {"readings": [{"name", "value", "unit"?, "attributes"?, "kind"?}, ...]}

Readings are stamped when they arrive, under the collector name `local`, and no two ticks have one instant. A request is
taken whole or refused whole: too fast is `rate_limited`, a series beyond the cap is `too_many_series`, since each
series is kept by the hub for years. A series counts from its first reading until the agent ends. Types of events
that the hub itself speaks are reserved, so that no program can pretend to be the agent.

Not handled: values that are not numbers, instants given by the program, events of more than one type a request.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config

from edge_agent.model.ports import Clock
from edge_agent.model.reading import NO_ATTRIBUTES, Reading, Series, Tick, series_of
from edge_agent.wire.problem import Problem

T = TypeVar("T")

COLLECTOR = "local"

_RESERVED = re.compile(r"(agent|instruction|config)(\.|$)|heartbeat$|activity$|outcome$|loss$|unverified$|message$")
_BURST = 5.0
_STRICT = ConfigDict(extra="forbid", strict=True, defer_build=True)

_Name = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*$")]
_Text = Annotated[str, Field(max_length=128, pattern=r"^[ -~\u00a0-\U0010ffff]*$")]


@dataclass(frozen=True, slots=True)
class Caps:
    """What programs may hand over: events and readings a second (bursts of five seconds), and series in all."""

    events: float = 10.0
    readings: float = 500.0
    series: int = 256


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Event:
    """What happened, as a program on this device says."""

    type: Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$")]
    data: dict[str, Any]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class _Posted:
    name: _Name
    value: float
    unit: Annotated[str, Field(max_length=32, pattern=r"^[!-~]*$")] = "1"
    attributes: Annotated[dict[_Name, _Text], Field(max_length=8)] | None = None
    kind: Literal["gauge", "counter"] = "gauge"

    def reading(self) -> Reading:
        """As the sampler would have it. Digits are unknown: raw floats keep one series whatever the program sends."""
        attributes: Mapping[str, str] = self.attributes or NO_ATTRIBUTES
        return Reading(self.name, self.value, self.unit, attributes, self.kind, None, "local")


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class _Post:
    readings: Annotated[tuple[_Posted, ...], Field(min_length=1)]


class Bucket:
    """Allows so much a second on average, and five seconds' worth at once."""

    def __init__(self, rate: float, now: Callable[[], int]) -> None:
        self._rate = rate
        self._now = now
        self._level = rate * _BURST
        self._at: int | None = None

    def allow(self, amount: float) -> bool:
        """Take so much out; False, and nothing is taken, when there is less."""
        now = self._now()
        passed = 0 if self._at is None else now - self._at
        self._at = now
        self._level = min(self._level + passed * self._rate / 1000, self._rate * _BURST)
        if amount > self._level:
            return False
        self._level -= amount
        return True


class Intake:
    """Turns posted JSON into events and ticks, within caps."""

    def __init__(self, caps: Caps, clock: Clock) -> None:
        self._caps = caps
        self._clock = clock
        self._events = Bucket(caps.events, clock.now)
        self._readings = Bucket(caps.readings, clock.now)
        self._series: set[Series] = set()
        self._last = -1
        self._event = TypeAdapter(Event)
        self._post = TypeAdapter(_Post)

    def event(self, body: bytes) -> Event | Problem:
        """The event that was posted, or why it is not taken."""
        event = _validated(self._event, body)
        if isinstance(event, Problem):
            return event
        if _RESERVED.match(event.type):
            return Problem(400, "bad_field", "Reserved type", f"{event.type} is said by the agent alone", "type")
        return event if self._events.allow(1) else _too_fast(f"{self._caps.events:g} events a second")

    def tick(self, body: bytes) -> Tick | Problem:
        """The readings that were posted as one tick, or why they are not taken."""
        post = _validated(self._post, body)
        if isinstance(post, Problem):
            return post
        readings = tuple(posted.reading() for posted in post.readings)
        series = [series_of(reading) for reading in readings]
        new = set(series)
        if len(new) < len(series):
            return Problem(400, "bad_field", "A series twice", "each series has one value a request", "readings")
        if len(self._series | new) > self._caps.series:
            return Problem(
                429, "too_many_series", "Too many series", f"programs here may have {self._caps.series} series"
            )
        if not self._readings.allow(len(readings)):
            return _too_fast(f"{self._caps.readings:g} readings a second")
        self._series |= new
        self._last = max(self._clock.now(), self._last + 1)
        return Tick(COLLECTOR, self._last, readings)


def _too_fast(most: str) -> Problem:
    return Problem(429, "rate_limited", "Too fast", f"at most {most} on average")


def _validated(adapter: TypeAdapter[T], body: bytes) -> T | Problem:
    # The validator's own parser takes more than JSON: NaN, and whole numbers that nobody further on can write.
    try:
        body = orjson.dumps(orjson.loads(body))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as wrong:
        return Problem(400, "bad_json", "Not JSON", str(wrong))
    try:
        return adapter.validate_json(body)
    except ValidationError as wrong:
        return _problem(wrong)


def _problem(wrong: ValidationError) -> Problem:
    fault = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
    if fault["type"] == "json_invalid":
        return Problem(400, "bad_json", "Not JSON", fault["msg"])
    field = ""
    for part in fault["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    return Problem(400, "bad_field", "Not as it must be", fault["msg"], field.lstrip(".") or None)
