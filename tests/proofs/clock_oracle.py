"""The oracle: judges what a reader was shown, and what the device believed, by the true time of each reading.

At every look, for every reading that is shown:

    true      where a `ts_err` is told, true time lies in `ts` give or take it
    order     along one axis `ts` never falls
    interval  where one offset fits every anchor of an axis, all intervals are what the axis measured; elsewhere they
              are but for as many jumps up as anchors force, and for steps down, which are taken back over ten times
              their length
    whole     each reading that was settled is shown, once

and at every answer that the device heard: true time lies in what it believes give or take what it says.

What cannot be known is not asked for: how long an axis stood still in front of its first anchor or behind its last one,
as far as these are stored; at the hub, readings on the far side of such a stop are `unknowable`, and so are those of
the very millisecond in which an axis stood still. Of the device's own belief it is asked that it is right a minute
after its axis stood still last, once three stated stamps were heard since. Where the hub lied, truth is not asked for.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from edge_agent.model.anchor import Anchor
from tests.proofs.clock_play import Chronicle, Look
from tests.proofs.clock_world import MS, SECOND

_GRAIN = 1
"""Ms: the axis is read in whole ones."""
_CLAIMS, _RECOVERS = 3, 70 * SECOND
_CLOSE = 1000


@dataclass(slots=True)
class Judgement:
    """What was found in one history, in words and in figures."""

    violations: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def judged(told: Chronicle) -> Judgement:
    """What a history shows."""
    found = Judgement()
    for number, look in enumerate(told.looks):
        last = number == len(told.looks) - 1
        for what in (*_whole(told, look, last=last), *_true(told, look, found), *_ordered(told, look)):
            found.violations.append(f"look {number}: {what}")
    found.violations += _believed(told, found)
    found.figures["skews"] += told.skews
    if told.skewed_again:
        found.violations.append(f"{told.skewed_again} requests with what a refusal taught were refused for their time")
    return found


def _whole(told: Chronicle, look: Look, *, last: bool) -> Iterator[str]:
    if look.twice:
        yield f"readings {look.twice[:5]} are shown twice"
    if last and (gone := told.settled - look.points.keys()):
        yield f"{len(gone)} settled readings are not shown"


def _true(told: Chronicle, look: Look, found: Judgement) -> Iterator[str]:
    figures, lies = found.figures, told.plan.hub == "lies"
    hidden = {boot: _hidden(told, look, boot) for boot in range(len(told.plan.boots))}
    guessed = any(hidden.values())
    for serial, (ts, error, flag) in sorted(look.points.items()):
        read = told.reads[serial]
        figures["points"] += 1
        if error is None:
            figures["without an error"] += 1
            continue
        if lies or (flag != "anchored" and guessed) or _is_in(read.at, hidden[read.boot]):
            figures["unknowable" if not lies else "lied to"] += 1
            continue
        figures["judged"] += 1
        figures["approximate"] += flag != "anchored"
        figures["close"] += error <= _CLOSE
        off = ts - read.true / MS
        if abs(off) > error + _GRAIN:
            yield f"reading {serial} of boot {read.boot} at {read.at} is {off:.1f} ms off and said {error}, {flag}"


def _hidden(told: Chronicle, look: Look, boot: int) -> list[tuple[float, float]]:
    """The parts of an axis whose true time cannot be known, in axis ms."""
    anchors = [anchor.at for anchor in look.anchors.get(boot, ())]
    crystal = told.plan.boots[boot].crystal
    hidden = list[tuple[float, float]]()
    for stop in crystal.stops:
        place = crystal.at(stop.begins) // MS
        hidden.append((place, place))
        if not any(at > place for at in anchors):
            hidden.append((place, float("inf")))
        if not any(at < place for at in anchors):
            hidden.append((float("-inf"), place))
    return hidden if anchors else []


def _is_in(at: int, parts: Sequence[tuple[float, float]]) -> bool:
    return any(first <= at <= last for first, last in parts)


def _ordered(told: Chronicle, look: Look) -> Iterator[str]:
    by_boot = defaultdict[int, list[tuple[int, int]]](list)
    for serial, (ts, _, _) in look.points.items():
        by_boot[told.reads[serial].boot].append((told.reads[serial].at, ts))
    for boot, points in sorted(by_boot.items()):
        points.sort()
        forced = _forced(look.anchors.get(boot, ()))
        jumps = 0
        for (at, ts), (then, after) in pairwise(points):
            gained = (after - ts) - (then - at)
            if after < ts:
                yield f"boot {boot}: time falls by {ts - after} ms after {at}"
            if gained > 0:
                jumps += 1
            elif gained < -((then - at) // 10) - _GRAIN:
                yield f"boot {boot}: {then - at} ms after {at} became {after - ts}"
            if gained and not forced:
                yield f"boot {boot}: {then - at} ms after {at} became {after - ts}, and one offset fits every anchor"
        if jumps > forced:
            yield f"boot {boot}: {jumps} jumps up, {forced} are forced"


def _forced(anchors: Sequence[Anchor]) -> int:
    """How often anchors force another offset, at least: none fits all, or of those since the last change."""
    changes, lo, hi = 0, None, None
    for anchor in sorted(anchors, key=lambda anchor: anchor.at):
        if lo is None or hi is None or max(lo, anchor.lo) > min(hi, anchor.hi):
            changes += 1
            lo, hi = anchor.lo, anchor.hi
        else:
            lo, hi = max(lo, anchor.lo), min(hi, anchor.hi)
    return max(0, changes - 1)


def _believed(told: Chronicle, found: Judgement) -> Iterator[str]:
    for belief in told.beliefs if told.plan.hub != "lies" else ():
        stops = told.plan.boots[belief.boot].crystal.stops
        stopped = max((stop.ends for stop in stops if stop.begins <= belief.true), default=None)
        if stopped is not None and (belief.claims < _CLAIMS or belief.true < stopped + _RECOVERS):
            continue
        found.figures["beliefs"] += 1
        off = belief.now - belief.true / MS
        if abs(off) > belief.error + _GRAIN:
            yield f"at {belief.at} of boot {belief.boot} the device is {off:.1f} ms off and says {belief.error}"
