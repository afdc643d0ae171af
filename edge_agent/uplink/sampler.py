"""Asks each collector on its own fixed grid, in its own thread, with a time limit.

Beats lie at multiples of a collector's interval on the axis: they never drift, and collectors of one interval share one
wake-up. After a stall (or a suspend) the beat that is due now is served and the ones before it are counted as missed:
never a burst. A tick carries the axis time at which its collector was asked, which is the beat or shortly after it.
A collector whose first beat is not about to come is also asked at once: a start, or a new generation, shows within
moments that it works.

A sampler takes over from the one before it. Of the collectors that both have, the beats in between are counted, and a
beat at which a collector was at work when the first was left; what is asked at once stands for the last of them. After
the last sampler that beat is nobody's: the agent stopped within it.

    stalled   this loop came too late, or the collector's thread did (what it read is not of this beat); no sampler ran
    hung      the collector did not return in time, or has not returned since; it is not asked again until it did
    failed    it raised, or gave something that is no reading; it is asked again at the next beat

A collector that never told anything, as on a machine that lacks its source, rests: waking a thread a second for nothing
is most of what it would cost. It is asked once in `_REST` instead, for all the beats that it rested through at one go
(collectors count the times that they are asked, and look for new sources by that), until it tells something.

A collector that hangs or raises costs its own readings only, and lights its lamp `collector.<name>`: `fail` while it
hangs, `warn` while it raises. What it yields is checked here, in its thread, when it differs from what it yielded last:
parts further on may rely on readings having the types that `model.reading` states.

Not handled: what a reading means, and how many series there are (the batch has a cap).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import NoneType
from typing import Any, NoReturn, SupportsFloat

import anyio
from anyio.abc import TaskGroup

from edge_agent.model.lamp import Lamps, LampState
from edge_agent.model.offers import Collector
from edge_agent.model.ports import Clock, Offload, Worker
from edge_agent.model.reading import Missed, Reading, Tick

_FAR = 250
"""Milliseconds to the first beat from which on a collector is also asked at once."""

_LATE = 500
"""Milliseconds after which a collector that was asked must have begun: the process or the machine stood still."""

_REST = 10_000
"""Milliseconds between two times that a collector is asked which never told anything."""
_MOST_BEATS, _MOST_AT_ONE_GO = 100, 100
"""Beats that one rests through at the most, and ms after which it is asked no further for them."""
_EMPTY = 3
"""Beats without a reading after which it rests."""
_TOLD = -1
"""Stands in place of their number once there was a reading."""

_NUMBERS = frozenset({float, NoneType})
_MOST = 2**63 - 1
"""How far from 0 a whole number may lie: JSON is written with 64 bits."""
_ENDS = (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
"""What would end the loop or the task that waits, were a collector to raise it."""
_shape = itemgetter(0, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A collector, its beat and its time limit, both in seconds."""

    name: str
    collector: Collector
    interval: float
    timeout: float


class _Source:
    """A collector at work: what the sampler knows of it."""

    def __init__(self, schedule: Schedule, period: int, worker: Worker, clock: Clock) -> None:
        """`period` is its beat in ms."""
        self.name = schedule.name
        self.timeout = schedule.timeout
        self.worker = worker
        self.asked = False
        self.began = 0
        self._collector = schedule.collector
        self._clock = clock
        self._shapes: Sequence[object] = ()
        self._clean = True
        self._period = period
        self._empty = 0
        """Beats from the first on without a reading, or `_TOLD`."""

    def rests(self, now: int) -> bool:
        """Whether it is not to be asked at this beat."""
        return self._empty >= _EMPTY and now // self._period % self._rested != 0

    @property
    def _rested(self) -> int:
        """Beats that it is asked for at one go."""
        return max(1, min(_REST // self._period, _MOST_BEATS)) if self._empty >= _EMPTY else 1

    @property
    def busy(self) -> bool:
        """It has not returned yet."""
        return self.asked or self.worker.stuck

    def gather(self) -> tuple[Reading, ...]:
        """Collect once and check what came; runs in the worker. TypeError when it is not readings.

        `began` is the axis time at which it began.
        """
        self.began = self._clock.now()
        readings: tuple[Reading, ...] = ()
        try:
            for _ in range(self._rested):
                readings = tuple(self._collector.collect())
                if readings or self._clock.now() - self.began > _MOST_AT_ONE_GO:
                    break
        except _ENDS as error:
            raise RuntimeError(f"the collector raised {type(error).__name__}") from error
        self._empty = self._empty + 1 if self._empty >= 0 and not readings else _TOLD
        if not all(map(_is_sound, readings)):
            return tuple(_cleaned(reading) for reading in readings)
        shapes = list(map(_shape, readings))
        if shapes != self._shapes or not self._clean:
            cleaned = tuple(_cleaned(reading) for reading in readings)
            self._shapes, self._clean = shapes, cleaned == readings
            return readings if self._clean else cleaned
        return readings


class Sampler:
    """The living part: every collector of one generation."""

    def __init__(
        self,
        schedules: Iterable[Schedule],
        clock: Clock,
        offload: Offload,
        lamps: Lamps,
        take: Callable[[Tick], None],
        miss: Callable[[Missed], None],
        since: Mapping[str, int] | None = None,
    ) -> None:
        """`since` is what `counted` of the sampler before this one says; without it nothing was to be sampled yet."""
        self._schedules = tuple(schedules)
        self._clock = clock
        self._offload = offload
        self._lamps = lamps
        self._take = take
        self._miss = miss
        self._since = {} if since is None else since
        self._counted: dict[str, int] = {}

    @property
    def counted(self) -> Mapping[str, int]:
        """By collector the axis ms up to which each beat gave a tick or was counted as missed."""
        return self._counted

    async def run(self) -> NoReturn:
        """Sample until cancelled."""
        periods: dict[int, list[_Source]] = {}
        for schedule in self._schedules:
            period = max(1, round(schedule.interval * 1000))
            source = _Source(schedule, period, self._offload.worker(f"collector.{schedule.name}"), self._clock)
            periods.setdefault(period, []).append(source)
        try:
            async with anyio.create_task_group() as group:
                for period, sources in periods.items():
                    group.start_soon(self._beat, period, sources, group, name=f"beat {period} ms")
                await anyio.sleep_forever()
        finally:
            for source in (source for sources in periods.values() for source in sources):
                self._offload.release(source.worker)
                self._lamps.remove(f"collector.{source.name}")
        raise AssertionError("the beats ended by themselves")

    async def _beat(self, period: int, sources: Sequence[_Source], group: TaskGroup) -> NoReturn:
        """Serve the beats of one period, given in ms."""
        now = self._clock.now()
        due = now - now % period + period
        at_once = due - now > _FAR
        for source in sources:
            missed = now // period - self._since.get(source.name, now) // period - at_once
            if missed > 0:
                self._miss(Missed(source.name, missed, "stalled"))
            self._counted[source.name] = now
        if at_once:
            self._ask_all(sources, now, group)
        while True:
            await self._clock.sleep_until(due)
            now = self._clock.now()
            missed = (now - due) // period
            if missed:
                for source in sources:
                    self._miss(Missed(source.name, missed, "stalled"))
            self._ask_all(sources, now, group)
            due += (missed + 1) * period

    def _ask_all(self, sources: Sequence[_Source], now: int, group: TaskGroup) -> None:
        for source in sources:
            self._counted[source.name] = now
            if source.busy:
                self._miss(Missed(source.name, 1, "hung"))
            elif not source.rests(now):
                source.asked = True
                group.start_soon(self._ask, source, now)

    async def _ask(self, source: _Source, at: int) -> None:
        try:
            with anyio.move_on_after(source.timeout) as patience:
                readings = await source.worker.run(source.gather)
        except asyncio.CancelledError:
            if at < self._counted[source.name]:
                self._miss(Missed(source.name, 1, "hung"))
            else:
                self._counted[source.name] = at - 1
            raise
        except Exception as error:  # noqa: BLE001 - fault line: one collector
            self._light(source, "warn", f"{type(error).__name__}: {error}")
            self._miss(Missed(source.name, 1, "failed"))
            return
        finally:
            source.asked = False
        if patience.cancelled_caught:
            self._light(source, "fail", f"did not return within {source.timeout:g} s; not asked again until it does")
            self._miss(Missed(source.name, 1, "hung"))
            return
        self._light(source, "ok")
        if source.began - at > _LATE:
            self._miss(Missed(source.name, 1, "stalled"))
            return
        self._take(Tick(source.name, at, readings))

    def _light(self, source: _Source, state: LampState, note: str = "") -> None:
        self._lamps.light(f"collector.{source.name}", state, note)


def _cleaned(reading: object) -> Reading:
    """A reading with plain types throughout; TypeError when it cannot be had."""
    if not isinstance(reading, Reading):
        raise TypeError(f"the collector gave a {type(reading).__name__} in place of a reading")
    parts: tuple[Any, ...] = reading
    name, given, unit, attributes, kind, digits, source, reason = parts
    value = _number(given)
    if value is None and given is not None:
        reason = "too_large"
    if not isinstance(attributes, Mapping) or kind not in {"gauge", "counter"}:
        raise TypeError(f"the attributes or the kind of {name!r} are of another type")
    if digits is not None and type(digits) is not int:
        raise TypeError(f"the digits of {name!r} are no whole number")
    return Reading(
        _text(name),
        value,
        _text(unit),
        attributes if _is_plain(attributes) else {_text(key): _text(said) for key, said in attributes.items()},
        kind,
        digits,
        _text(source),
        None if reason is None else _text(reason),
    )


def _is_sound(reading: object) -> bool:
    """Whether a reading's value and reason have plain types; what else it says is compared with its last shape."""
    if type(reading) is not Reading:
        return False
    value: object = reading[1]
    if type(value) not in _NUMBERS and not (type(value) is int and -_MOST <= value <= _MOST):
        return False
    reason = reading[7]
    return reason is None or (type(reason) is str and reason.isascii())


def _number(value: object) -> float | None:
    """The number as a plain one; None for none, and for one beyond all floats."""
    if value is None or type(value) is float or (type(value) is int and -_MOST <= value <= _MOST):
        return value
    if isinstance(value, SupportsFloat):
        try:
            return float(value)
        except OverflowError:
            return None
    raise TypeError(f"{value!r} stands where a number must stand")


def _is_plain(attributes: Mapping[str, str]) -> bool:
    return all(_is_text(key) and _is_text(said) for key, said in attributes.items())


def _is_text(text: object) -> bool:
    return type(text) is str and _text(text) is text


def _text(text: object) -> str:
    """The same text if UTF-8 can hold it, else with question marks for what it cannot."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} stands where a text must stand")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text if type(text) is str else str(text)
