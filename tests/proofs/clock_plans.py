"""What happens in a history, drawn from its seed before anything runs: boots, their clocks, the hub's clock, the line.

Every history is a device over one to five boots and a hub. Drawn, each by itself:

    crystal   steady, at the edge of what crystals do (200 ppm either way), or wandering
    stops     none, one, or several: pauses of 1 ms to three days, most of them shorter than a request and its answer
              take, about and within exchanges as well
    sleeps    suspends that the axis counts: whole, or by a chip of whole seconds, which the device takes into account
    wall      no clock chip (1970), a bad one, steps of a second to ten years both ways, slews of up to 100,000 ppm, and
              times in which the kernel says how far off it is
    contact   the whole boot, never, or for some spells; boots end by a stop, a kill or a power cut
    hub       its clock is sound, knows nothing all along, was up to ten years off until it was set right, loses its
              source for a while, steps within the error that it states, or (`lies`) states an error that is not so
    line      each way takes 1 ms to 4 s, of its own and by chance; answers get lost; a proxy may strip the
              hub's stamp and leave `Date`, or answer from a cache with `Age`

A kernel that was stopped loses what went by from its wall clock. Half of them notice, and say `not synchronised` from
then on until they are set right, unless what they lost is still within the error that they say. The others go on as if
nothing had been, until a daemon's poll sets them right. Else both ends keep to what they say; where the hub lies, only
order and intervals are judged. What the agent does between is drawn too: when it reads, seals and asks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from random import Random
from typing import Literal

from tests.proofs.clock_world import (
    DAY,
    HOUR,
    MINUTE,
    MOST_DRIFT,
    MS,
    SECOND,
    YEAR,
    Crystal,
    Dial,
    Reading,
    Stop,
)

HubKind = Literal["sound", "unsync", "set right", "loses", "steps", "lies"]
LineKind = Literal["stamps", "date", "cache"]
End = Literal["stop", "kill", "power"]

HUBS: Sequence[HubKind] = ("sound", "unsync", "set right", "loses", "steps", "lies")
LINES: Sequence[LineKind] = ("stamps", "date", "cache")

BEGINS = 1_790_000_000 * SECOND
"""True time at which histories begin: the autumn of 2026."""

DATE_ERROR, DATE_STALE = 100, 900
"""Ms by which a clock that says nothing of itself is off at most, and by which its `Date` may be old."""

_MOST_MISCOUNT = 3 * SECOND

Span = tuple[int, int]
"""From one true time to another, in us."""


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot: `reads`, `seals` and `asks` are true times in order; it is `online` in these spans."""

    axis: str
    born: int
    dies: int
    end: End
    crystal: Crystal
    dial: Dial
    online: Sequence[Span]
    restarts: Sequence[int]
    reads: Sequence[int]
    seals: Sequence[int]
    asks: Sequence[int]


@dataclass(frozen=True, slots=True)
class Way:
    """The line: how long each way takes at least and on top by chance (mean), in us; what share of answers is lost."""

    kind: LineKind
    up: int
    down: int
    jitter: int
    lost: float

    def takes(self, chance: Random) -> Span:
        """How long one request takes to the hub, and its answer back."""
        up, down = (base + round(chance.expovariate(1) * self.jitter) for base in (self.up, self.down))
        return up, down


@dataclass(frozen=True, slots=True)
class Plan:
    """A history before it happens. `looks` are when somebody reads all that the hub has."""

    seed: int
    hub: HubKind
    boots: Sequence[Boot]
    dial: Dial
    way: Way
    looks: Sequence[int]
    traits: frozenset[str]


def drawn(seed: int) -> Plan:
    """The plan of a seed."""
    chance = Random(f"clocks {seed}")
    hub = chance.choices(HUBS, (6, 1, 3, 2, 2, 2))[0]
    # A clock that says nothing of itself must be right.
    kind = chance.choices(LINES, (8, 4 if hub == "sound" else 0, 2))[0]
    way = _way(chance, kind)
    boots, at = list[Boot](), BEGINS + round(chance.random() * DAY)
    for _ in range(chance.choice((1, 1, 2, 2, 3, 4, 5))):
        boots.append(_boot(chance, at, way))
        at = boots[-1].dies + _long(chance, 5 * SECOND, 30 * DAY)
    ends = boots[-1].dies
    looks = sorted({chance.randrange(boots[0].born, ends), ends + MINUTE})
    error = _long(chance, 2, DATE_ERROR if kind == "date" or chance.random() < 0.7 else 2000)
    dial = Dial(list(_hub_readings(chance, hub, boots[0].born - DAY, ends + HOUR, error)))
    traits = {f"hub {hub}", f"line {kind}", *(_traits(boots))}
    return Plan(seed, hub, boots, dial, way, looks, frozenset(traits))


def _traits(boots: Sequence[Boot]) -> Iterator[str]:
    if any(boot.crystal.stops for boot in boots):
        yield "stops"
    if len(boots) > 1:
        yield "boots"
    if any(not boot.online for boot in boots):
        yield "a boot without contact"


def _long(chance: Random, least: int, most: int) -> int:
    """A length whose logarithm is even."""
    return round(exp(chance.uniform(log(least), log(most))))


def _sign(chance: Random) -> int:
    return chance.choice((-1, 1))


def _boot(chance: Random, born: int, way: Way) -> Boot:
    active = _long(chance, 2 * MINUTE, 2 * DAY)
    stops = list(_stops(chance, born, active, way))
    dies = born + active + sum(stop.length for stop in stops)
    asleep = list(_sleeps(chance, born, dies, stops))
    stops = sorted([*stops, *_miscounts(chance, asleep)])
    crystal = Crystal(_long(chance, 5 * SECOND, 30 * DAY), list(_drifts(chance, born, dies)), stops)

    def up(times: Sequence[int]) -> list[int]:
        """The same, without what falls into a sleep; what falls into a stop comes at its end."""
        awake = sorted({crystal.awake(time) for time in times})
        return [time for time in awake if born <= time < dies and not _within(time, asleep)]

    online = _contact(chance, born, dies)
    beat = max(active // chance.randrange(40, 160), 100 * MS)
    seals = sorted(chance.randrange(born, dies) for _ in range(chance.randrange(6, 24)))
    asks = up([chance.randrange(first, after) for first, after in online for _ in range(chance.randrange(1, 30))])
    # Where it hurts: within an exchange, and soon before and after.
    for stop in stops:
        if _within(stop.begins, online):
            there = stop.begins - way.up - round(chance.random() * (way.down + way.jitter))
            asks = up([*asks, there, stop.ends + _long(chance, 10 * MS, 10 * SECOND)])
    edges = [edge for stop in stops for edge in (stop.begins, stop.ends)] + asks
    near = [edge + _sign(chance) * _long(chance, MS, 2 * SECOND) for edge in edges for _ in range(2)]
    answered = [ask + way.up + way.down for ask in asks if chance.random() < 0.5]
    seals = up([*seals, *(time + _long(chance, MS, MINUTE) for time in answered)])
    return Boot(
        axis=f"{chance.getrandbits(128):032x}.0",
        born=born,
        dies=dies,
        end=chance.choice(("stop", "kill", "power")),
        crystal=crystal,
        dial=Dial(list(_wall_readings(chance, born, dies, stops))),
        online=online,
        restarts=up([chance.randrange(born, dies) for _ in range(chance.choice((0, 0, 0, 1, 2)))]),
        reads=up([*range(born + beat, dies, beat), *near]),
        seals=seals,
        asks=asks,
    )


def _within(time: int, spans: Sequence[Span]) -> bool:
    return any(first <= time < after for first, after in spans)


def _stops(chance: Random, born: int, active: int, way: Way) -> Iterator[Stop]:
    """Pauses anywhere; `active` us are not stood still through."""
    at = born
    count = chance.choice((0, 0, 0, 1, 1, 2, 4))
    for place in sorted(chance.randrange(SECOND, active) for _ in range(count)):
        short = max(2 * MS, way.up + way.down + way.jitter)
        length = _long(chance, MS, short) if chance.random() < 0.6 else _long(chance, MS, 3 * DAY)
        begins = max(at + 2 * SECOND, born + place)
        yield Stop(begins, length)
        at = begins + length


def _sleeps(chance: Random, born: int, dies: int, stops: Sequence[Stop]) -> Iterator[Span]:
    """Suspends that the axis counts, away from stops."""
    for _ in range(chance.choice((0, 0, 1, 2))):
        first = chance.randrange(born, dies)
        after = min(dies, first + _long(chance, 10 * SECOND, max(11 * SECOND, (dies - born) // 3)))
        if not any(first <= stop.ends and stop.begins <= after for stop in stops):
            yield first, after


def _miscounts(chance: Random, sleeps: Sequence[Span]) -> Iterator[Stop]:
    """By how much the axis goes on too little in some sleeps: off by a second either way, and two are taken off."""
    for number, (first, after) in enumerate(sleeps):
        apart = not any(begins <= after and first <= ends for begins, ends in sleeps[:number])
        if apart and after - first > _MOST_MISCOUNT and chance.random() < 0.5:
            length = chance.randrange(SECOND, _MOST_MISCOUNT)
            yield Stop(after - length, length, seen=True)


def _drifts(chance: Random, born: int, dies: int) -> Iterator[tuple[int, int]]:
    kind = chance.choice(("steady", "edge", "edge", "wanders"))
    if kind == "steady":
        yield born, chance.randrange(-50_000, 50_001)
    elif kind == "edge":
        yield born, _sign(chance) * MOST_DRIFT
    else:
        yield born, chance.randrange(-MOST_DRIFT, MOST_DRIFT + 1)
        for at in sorted({chance.randrange(born + 1, dies) for _ in range(6)}):
            yield at, chance.randrange(-MOST_DRIFT, MOST_DRIFT + 1)


def _contact(chance: Random, born: int, dies: int) -> list[Span]:
    kind = chance.choices(("always", "spells", "never"), (4, 4, 2))[0]
    if kind == "always":
        return [(born, dies)]
    if kind == "never":
        return []
    cuts = sorted({chance.randrange(born, dies) for _ in range(2 * chance.choice((1, 1, 2, 3)))})
    return list(zip(cuts[::2], cuts[1::2], strict=False))


def _way(chance: Random, kind: LineKind) -> Way:
    up, down = (_long(chance, MS, 4 * SECOND if chance.random() < 0.4 else 200 * MS) for _ in range(2))
    if chance.random() < 0.3:  # a line that is busy one way: what falls into the way back is not seen in the way there
        up, down = _long(chance, MS, 20 * MS), _long(chance, 500 * MS, 4 * SECOND)
    jitter = _long(chance, 100, max(200, min(up, down)))
    return Way(kind, up, down, jitter, chance.choice((0.0, 0.0, 0.1, 0.3)))


def _kept(chance: Random, begins: int, ends: int, error: int) -> Reading:
    """A clock that is off by at most `error` ms, and says so, from one true time to another.

    It is slewed by 300 ppm of true time at most: a kernel goes no faster than 500 ppm off its crystal.
    """
    room = (error - 1) * MS
    first, last = (chance.randint(-room, room) for _ in range(2))
    slew = 0 if ends == begins else max(-300, min(300, (last - first) * SECOND // (ends - begins)))
    if not -room <= first + (ends - begins) * slew // SECOND <= room:
        slew = 0
    return Reading(begins, first, slew, error, begins, _long(chance, 30 * SECOND, 2048 * SECOND))


def _stray(chance: Random) -> int:
    """By how many us a clock that nobody keeps is off."""
    return _sign(chance) * _long(chance, SECOND, 10 * YEAR)


def _wall_readings(chance: Random, born: int, dies: int, stops: Sequence[Stop]) -> Iterator[Reading]:
    """A device's wall clock over a boot."""
    first = chance.choice((-born, _sign(chance) * _long(chance, 100 * MS, 2 * MINUTE), _stray(chance)))
    still = [(stop.begins, stop.ends) for stop in stops]
    turns = {born, *(chance.randrange(born + 1, dies) for _ in range(chance.randrange(6)))}
    turns = {turn for turn in turns if not _within(turn, still)}  # a machine that stands still sets no clock
    knowing = chance.choice((0.0, 0.0, 0.5, 0.9))
    marks = sorted(turns | {stop.ends for stop in stops} | {dies + YEAR})
    ended = {stop.ends: stop for stop in stops}
    reading = Reading(born, first)
    for mark, after in pairwise(marks):
        off = reading.off + (mark - reading.begins) * reading.slew // SECOND
        stop = ended.get(mark)
        if stop is not None and stop.seen:
            reading = Reading(mark, off + chance.randint(-SECOND, SECOND))
        elif stop is not None:
            reading = _after_pause(chance, reading, stop, off)
        elif chance.random() < knowing:
            reading = _kept(chance, mark, after, _long(chance, 100, 2000))
        elif mark > born:
            stepped = chance.random() < 0.5
            slew = 0 if stepped else _sign(chance) * _long(chance, 100, 100_000)
            reading = Reading(mark, _stray(chance) if stepped else off, slew)
        yield reading


def _after_pause(chance: Random, before: Reading, stop: Stop, off: int) -> Reading:
    """What a wall clock is after a pause at whose beginning it was this one, and off by so many us."""
    lost, told = off - stop.length, Dial([before]).error(stop.begins)
    if told is None:
        return Reading(stop.ends, lost)
    error, told_at = told
    notices = abs(lost) >= (error - 1) * MS and chance.random() < 0.5
    return Reading(stop.ends, lost) if notices else Reading(stop.ends, lost, 0, error, told_at)


def _hub_readings(chance: Random, kind: HubKind, begins: int, ends: int, error: int) -> Iterator[Reading]:
    turns = sorted(chance.randrange(begins + DAY, ends - HOUR) for _ in range(2))
    if kind == "unsync":
        yield Reading(begins, _stray(chance))
    elif kind == "sound":
        yield _kept(chance, begins, ends, error)
    elif kind == "set right":
        yield Reading(begins, _stray(chance))
        yield _kept(chance, turns[0], ends, error)
    elif kind == "loses":
        yield _kept(chance, begins, turns[0], error)
        yield Reading(turns[0], 0, _sign(chance) * _long(chance, 1, 100_000))
        yield _kept(chance, turns[1], ends, error)
    elif kind == "steps":
        yield _kept(chance, begins, turns[0], _long(chance, 1000, 600_000))
        yield _kept(chance, turns[0], turns[1], _long(chance, 1000, 600_000))
        yield _kept(chance, turns[1], ends, error)
    else:
        yield _kept(chance, begins, turns[0], error)
        yield Reading(turns[0], _stray(chance), 0, error)
        yield _kept(chance, turns[1], ends, error)
