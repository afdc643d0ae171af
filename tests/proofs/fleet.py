"""Row `fleet`: a thousand devices whose hub comes back do not come as a wave.

What counts is each request that reaches the hub's door, streams and config fetches too, in bins of one second over the
whole return: the greatest bin against the mean of the first minute. What they send ever after belongs to it, a
hundred requests a second from a thousand devices. Scenes:

    refuses    an hour away, connections refused; the devices were switched on in the same second
    swallows   an hour away, nothing ever answers
    busy       an hour of 503 with the Retry-After of a hub whose store is full, the same for all. (A hub that asks for
               minutes has them come back over minutes: what they send ever after is then more than twice the first.)
    power      the power of all returns in the same second, an hour of backlog in each spool, the hub is there
"""

from collections import Counter
from collections.abc import Sequence

from tests.proofs.fleet_agents import Absence, Device, Hub, fleet
from tests.proofs.row import Findings, Row, greatest, total, tried
from tests.sim.clock import SimClock
from tests.sim.loop import run

DEVICES = 1000
SCENES: tuple[Absence | None, ...] = ("refuses", "swallows", "busy", None)
"""How the hub was away; None is the return of the power."""
MOST = 2.0

_SEEDS = 2
_WATCHED = 480
"""Seconds: the longest wait between attempts, the time of an answer that never comes, and some."""
_MINUTE = 60
_LONG_UP, _JUST_BOOTED = 1_000_000, 20_000
"""Axis ms at which a scene begins."""


def returned(how: Absence | None, seed: int, away: float, watched: int) -> Findings:
    """One return after so many seconds away (in the spools, where the power was), watched for so many seconds."""

    async def scene() -> tuple[list[int], int]:
        clock = SimClock(start=_JUST_BOOTED if how is None else _LONG_UP)
        hub = Hub(clock)
        before = round(away / 10) if how is None else 0
        devices = [Device(number, seed, clock, hub, before, just_booted=how is None) for number in range(DEVICES)]
        async with fleet(devices):
            if how is not None:
                await clock.sleep(30)
                hub.leave(how)
                await clock.sleep(away)
                hub.come_back()
            began = clock.now()
            await clock.sleep(watched)
            arrivals = [at - began for at in hub.arrivals]
        return arrivals, sum(device.sealed.depth().frames > 1 for device in devices)

    arrivals, behind = run(scene(), seed)
    bins = Counter(at // 1000 for at in arrivals)
    mean = sum(bins[second] for second in range(_MINUTE)) / _MINUTE
    peak = max(bins.values(), default=0)
    name = how or "power"
    violations = []
    if not arrivals or peak > MOST * mean:
        violations.append(f"{name}, seed {seed}: {peak} requests in a second, {mean:.0f} a second in the first minute")
    ratio = peak / mean if mean else 0.0
    figures = {"ratio": ratio, f"ratio {name}": ratio, "peak": peak, "requests": len(arrivals), "behind": behind}
    return Findings(1, violations, figures)


def _prove(part: int) -> Findings:
    return returned(SCENES[part % len(SCENES)], part // len(SCENES), away=3600, watched=_WATCHED)


def _tell(parts: Sequence[Findings]) -> str:
    names = [how or "power" for how in SCENES]
    worst = ", ".join(f"{name} {greatest(parts, f'ratio {name}'):.2f}" for name in names)
    return (
        f"{tried(parts)} returns of {DEVICES:,} devices, {total(parts, 'requests'):,.0f} requests: the busiest second "
        f"has {greatest(parts, 'ratio'):.2f} times the mean of the first minute ({worst}), at most "
        f"{greatest(parts, 'peak'):.0f} requests"
    )


def _unmet(parts: Sequence[Findings]) -> Sequence[str]:
    behind = total(parts, "behind")
    return [f"{behind:.0f} devices did not empty their backlog within {_WATCHED} s"] if behind else []


ROW = Row(
    name="fleet",
    promise="A fleet returns without a wave",
    least="1,000 devices, hub back after an hour: peak arrivals ≤ 2 times the mean of the first minute",
    parts=_SEEDS * len(SCENES),
    prove=_prove,
    tell=_tell,
    unmet=_unmet,
    side_by_side=2,
)
