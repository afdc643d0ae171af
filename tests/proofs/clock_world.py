"""True time, and the clocks that run beside it: a device's axis, its wall clock, a hub's clock.

True time is Unix microseconds, whole. Every clock is a chain of pieces, each of which begins at a true time and goes on
from there at a rate of its own, so that it can be asked for any true time:

    Crystal   a boot's axis: off by at most 200 ppm, and now and then it stands still while true time goes on (a paused
              virtual machine, a live migration, a suspend that the kernel does not count)
    Dial      a wall clock, as its distance from true time: it steps, and is slewed; with it what is said of it: how far
              off it may be and since when that is so, or that nobody knows

Not here: leap seconds.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.model.ports import WallError

MS = 1000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY

MOST_DRIFT = 200_000
"""Parts per billion by which an axis may be off."""

LEAST_ERROR = 100
"""Ms that `kit.clock` adds to what the kernel says."""
_GROWS_IN, _MOST_ERROR = 2000, 16_000
"""Ms in which the kernel lets its error grow by one, and of error with which it says nothing any more."""

_BILLION = 10**9


class Stop(NamedTuple):
    """The axis stands still from a true time on, for so many us; `seen` where the device knows that it slept then."""

    begins: int
    length: int
    seen: bool = False

    @property
    def ends(self) -> int:
        return self.begins + self.length


class _Piece(NamedTuple):
    begins: int
    axis: int
    drift: int | None
    """Parts per billion by which true time is faster than the axis; None where the axis stands still."""


class Crystal:
    """The axis of one boot. `drifts` are (true us, ppb) in order, the first at its birth; stops do not overlap."""

    def __init__(self, axis: int, drifts: Sequence[tuple[int, int]], stops: Sequence[Stop] = ()) -> None:
        self.stops = tuple(stops)
        marks = {begins for begins, _ in drifts} | {edge for stop in stops for edge in (stop.begins, stop.ends)}
        rates = dict(drifts)
        still = {stop.begins: stop.ends for stop in stops}
        self._pieces: list[_Piece] = []
        self._begins: list[int] = []
        rate, until = drifts[0][1], 0
        for mark in sorted(marks):
            here = self.at(mark) if self._pieces else axis
            rate, until = rates.get(mark, rate), still.get(mark, until)
            self._pieces.append(_Piece(mark, here, None if mark < until else rate))
            self._begins.append(mark)

    def at(self, true: int) -> int:
        """Axis us at a true time."""
        piece = self._pieces[max(0, bisect_right(self._begins, true) - 1)]
        gone = true - piece.begins
        return piece.axis if piece.drift is None else piece.axis + gone * _BILLION // (_BILLION + piece.drift)

    def awake(self, true: int) -> int:
        """This true time, or the end of the stop in which it falls: nothing is done while the machine stands still."""
        return next((stop.ends for stop in self.stops if stop.begins <= true < stop.ends), true)

    def woken_at(self, true: int) -> int:
        """Where the axis stood after the last stop until this true time of which the device knows."""
        return max((self.at(stop.ends) for stop in self.stops if stop.seen and stop.ends <= true), default=-1)


class Reading(NamedTuple):
    """What a wall clock is from a true time on.

    `off` is by how many us it is ahead of true time then, `slew` how many ppm it gains on it from then on, `error` how
    many ms off it is said to be at most; None when it is not synchronised. It was found right at `told`, a true time,
    and every `polls` us from then on, if it was again.
    """

    begins: int
    off: int
    slew: int = 0
    error: int | None = None
    told: int = 0
    polls: int = 0


class Dial:
    """A wall clock. `readings` rise by their beginnings."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = list(readings)
        self._begins = [reading.begins for reading in readings]

    def at(self, true: int) -> int:
        """Unix ms that it shows at a true time."""
        reading = self._now(true)
        return (true + reading.off + (true - reading.begins) * reading.slew // SECOND) // MS

    def error(self, true: int) -> tuple[int, int] | None:
        """How far off it is said to be, in ms, and since which true time."""
        reading = self._now(true)
        if reading.error is None:
            return None
        return reading.error, reading.told + (
            (true - reading.told) // reading.polls * reading.polls if reading.polls else 0
        )

    def is_set(self, since: int, until: int) -> bool:
        """Whether somebody touches it between two true times."""
        return self._now(since) is not self._now(until)

    def _now(self, true: int) -> Reading:
        return self._readings[max(0, bisect_right(self._begins, true) - 1)]


@dataclass(slots=True)
class Universe:
    """What true time it is, in us."""

    true: int = 0


class DeviceClock:
    """`model.ports.Clock` of one boot. Nothing here waits."""

    def __init__(self, universe: Universe, axis: str, crystal: Crystal, dial: Dial) -> None:
        self._universe, self._axis, self._crystal, self._dial = universe, axis, crystal, dial

    @property
    def axis(self) -> str:
        return self._axis

    def now(self) -> int:
        return self._crystal.at(self._universe.true) // MS

    def wall(self) -> int:
        return self._dial.at(self._universe.true)

    def wall_error(self) -> WallError | None:
        """As `kit.clock` makes it of what a kernel says: that lets its error grow, and does not while it stands."""
        said = self._dial.error(self._universe.true)
        if said is None:
            return None
        error, told = said
        now = self.now()
        possible = error + 1 + (now - self._crystal.at(told) // MS) // _GROWS_IN
        told_at = now - (possible - LEAST_ERROR) * _GROWS_IN - 1000
        woken_at = self._crystal.woken_at(self._universe.true) // MS
        if possible > _MOST_ERROR or told_at <= woken_at:
            return None
        return WallError(possible, max(0, told_at))

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing waits here, for {seconds} s")

    async def sleep_until(self, at: int) -> None:
        raise AssertionError(f"nothing waits here, until {at}")


class HubClock:
    """`model.ports.Clock` of the hub: its axis is steady."""

    def __init__(self, universe: Universe, dial: Dial, axis: Callable[[int], int]) -> None:
        self._universe, self._dial, self._axis = universe, dial, axis

    @property
    def axis(self) -> str:
        return "the hub's"

    def now(self) -> int:
        return self._axis(self._universe.true) // MS

    def wall(self) -> int:
        return self._dial.at(self._universe.true)

    def wall_error(self) -> WallError | None:
        said = self._dial.error(self._universe.true)
        return None if said is None else WallError(said[0], 0)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def sleep_until(self, at: int) -> None:
        raise AssertionError(f"nothing waits here, until {at}")
