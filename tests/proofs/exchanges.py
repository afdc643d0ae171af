"""Row `exchanges`: how near a device is to true time after one exchange with its hub, and after twenty.

Each try is a device that just booted, over a line of which each way takes 20 to 200 ms, anew each time: 40 to 400 ms
there and back. It asks every five to fifteen seconds; its crystal is off by at most 50 ppm, the hub's clock by 1 ms at
most, and the hub states 2 ms. A hub of `Date` alone is a whole second coarse; where that is also old by up to 0.9 s (a
server that writes it once a second or so) the time is told, and nothing is asked of it. No device has a kernel that
knows the time.

Greatest errors are over all tries after one exchange. After twenty the typical try counts, which is the median; the
worst of a hundred is told beside it, since a line that was slow one way twenty times over cannot be known.
"""

from collections.abc import Sequence
from random import Random

from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.http import Answer
from edge_agent.wire.headers import HUB_TIME, HubTime, format_hub_time
from tests.proofs.clock_plans import BEGINS
from tests.proofs.clock_play import date_of
from tests.proofs.clock_world import HOUR, MS, SECOND, Crystal, DeviceClock, Dial, Reading, Universe
from tests.proofs.row import Findings, Row, greatest, tried

_PARTS = 4
_TRIES = 1000
_WAY = (20 * MS, 200 * MS)
_STALE = 900 * MS
_EXCHANGES = 20
_KINDS = {"stated": "with a stated error", "date": "with `Date` alone", "old": "with an old `Date`"}
_MOST = {("stated", 1): 300.0, ("date", 1): 600.0, ("stated", 20): 15.0, ("date", 20): 150.0}
"""Ms: of the worst after one exchange, of the typical after twenty."""


def errors(kind: str, seed: int) -> list[float]:
    """By how many ms a device is off after each exchange."""
    chance = Random(f"exchanges {kind} {seed}")
    universe = Universe(BEGINS + round(chance.random() * HOUR))
    crystal = Crystal(chance.randrange(HOUR), [(universe.true, chance.randrange(-50_000, 50_001))])
    clock = DeviceClock(universe, "axis", crystal, Dial([Reading(0, -universe.true)]))
    keeper, off, stale = Timekeeper(clock), chance.randint(-MS, MS), _STALE if kind == "old" else 0
    found = []
    for _ in range(_EXCHANGES):
        sent_at = clock.now()
        universe.true += chance.randrange(*_WAY)
        headers = _stamps(kind, universe.true + off - round(chance.random() * stale))
        universe.true += chance.randrange(*_WAY)
        keeper.observe(Answer(200, headers, b"", sent_at, clock.now()))
        now = keeper.now()
        assert now is not None
        found.append(abs(now - universe.true / MS))
        universe.true += chance.randrange(5 * SECOND, 15 * SECOND)
    return found


def _stamps(kind: str, hub: int) -> dict[str, str]:
    """What a hub says of the time when its clock showed this many us."""
    if kind == "stated":
        return {HUB_TIME: format_hub_time(HubTime(hub // MS, 2))}
    return {"date": date_of(hub // SECOND)}


def measured(seeds: Sequence[int]) -> Findings:
    """Errors over these seeds, each for all kinds of hub."""
    figures, violations = dict[str, float](), list[str]()
    for kind in _KINDS:
        tries = [errors(kind, seed) for seed in seeds]
        for after in (1, _EXCHANGES):
            sizes = sorted(each[after - 1] for each in tries)
            median, worst = sizes[len(sizes) // 2], sizes[-1]
            figures[f"{kind} {after} typical"] = median
            figures[f"{kind} {after} of a hundred"] = sizes[round(len(sizes) * 0.99) - 1]
            figures[f"{kind} {after} worst"] = worst
            most, size = _MOST.get((kind, after)), worst if after == 1 else median
            if most is not None and size > most:
                violations.append(f"{kind}: {size:.0f} ms off after {after} exchanges, of {most:.0f}")
    return Findings(len(_KINDS) * len(seeds), violations, figures)


def _prove(part: int) -> Findings:
    return measured(range(part * _TRIES, (part + 1) * _TRIES))


def _tell(parts: Sequence[Findings]) -> str:
    told = []
    for kind, name in _KINDS.items():
        for after in (1, _EXCHANGES):
            typical, hundred, worst = (
                greatest(parts, f"{kind} {after} {which}") for which in ("typical", "of a hundred", "worst")
            )
            told.append(f"{name} after {after}: {typical:.0f} ms, {hundred:.0f} in 99 of 100, at worst {worst:.0f}")
    return f"{tried(parts):,} devices on a line of 40-400 ms; " + "; ".join(told)


ROW = Row(
    name="exchanges",
    promise="A few answers of the hub are enough to know the time",
    least="40-400 ms there and back, each way drawn: ≤ 0.3 s off after one exchange (≤ 0.6 s with `Date` alone),"
    " typically ≤ 15 ms after 20 (≤ 150 ms)",
    parts=_PARTS,
    prove=_prove,
    tell=_tell,
    unmet=lambda _: (),
    side_by_side=2,
)
