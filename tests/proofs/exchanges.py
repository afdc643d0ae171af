"""Row `exchanges`: how near a device is to true time after one exchange with its hub, and after twenty.

Each try is a device that just booted. Its line takes 40 to 400 ms there and back, and is of one of two kinds. A steady
one has a length of its own, the same both ways, and each way of each exchange takes longer by chance, by half of that
on average (exponential), up to 200 ms. On a wild one each way of each exchange takes 20 to 200 ms, drawn anew. The
device asks every five to fifteen seconds; its crystal is off by at most 50 ppm, the hub's clock by 1 ms at most, and
the hub states 2 ms. A hub of `Date` alone is a whole second coarse. No device has a kernel that knows the time.

A harder case is told, and nothing is asked of it: a `Date` that is old by up to 0.9 s, as of a server that writes it
once a second or so.

After one exchange the worst of all tries counts, and after twenty on a steady line with a stated error. In the other
cases it is the worst of a hundred: a line that was slow one way twenty times over cannot be known, nor where in the
second twenty stamps were made that fell close together.
"""

from collections.abc import Sequence
from math import inf
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
_LATER = 0.5
_STALE = 900 * MS
_EXCHANGES = 20
_KINDS = {
    "stated steady": "with a stated error on a steady line",
    "stated wild": "with a stated error on a wild line",
    "date steady": "with `Date` alone on a steady line",
    "date wild": "with `Date` alone on a wild line",
    "old steady": "with an old `Date`",
}
_MOST = {
    ("stated steady", 1): (300.0, "worst"),
    ("stated wild", 1): (300.0, "worst"),
    ("date steady", 1): (600.0, "worst"),
    ("date wild", 1): (600.0, "worst"),
    ("stated steady", 20): (15.0, "worst"),
    ("stated wild", 20): (15.0, "of a hundred"),
    ("date steady", 20): (150.0, "of a hundred"),
    ("date wild", 20): (150.0, "of a hundred"),
}
"""Ms that are asked, and of whom."""


def errors(kind: str, seed: int) -> list[float]:
    """By how many ms a device is off after each exchange."""
    chance = Random(f"exchanges {kind} {seed}")
    universe = Universe(BEGINS + round(chance.random() * HOUR))
    crystal = Crystal(chance.randrange(HOUR), [(universe.true, chance.randrange(-50_000, 50_001))])
    clock = DeviceClock(universe, "axis", crystal, Dial([Reading(0, -universe.true)]))
    keeper, off, stale = Timekeeper(clock), chance.randint(-MS, MS), _STALE if kind.startswith("old") else 0
    length, found = chance.randrange(*_WAY), list[float]()

    def way() -> int:
        return chance.randrange(*_WAY) if kind.endswith("wild") else _one_way(length, chance)

    for _ in range(_EXCHANGES):
        sent_at = clock.now()
        universe.true += way()
        headers = _stamps(kind, universe.true + off - round(chance.random() * stale))
        universe.true += way()
        keeper.observe(Answer(200, headers, b"", sent_at, clock.now()))
        now = keeper.now()
        assert now is not None
        found.append(abs(now - universe.true / MS))
        universe.true += chance.randrange(5 * SECOND, 15 * SECOND)
    return found


def _one_way(length: int, chance: Random) -> int:
    return min(_WAY[1], length + round(chance.expovariate(1) * length * _LATER))


def _stamps(kind: str, hub: int) -> dict[str, str]:
    """What a hub says of the time when its clock showed this many us."""
    if kind.startswith("stated"):
        return {HUB_TIME: format_hub_time(HubTime(hub // MS, 2))}
    return {"date": date_of(hub // SECOND)}


def measured(seeds: Sequence[int]) -> Findings:
    """Errors over these seeds, each for all kinds of hub."""
    figures, violations = dict[str, float](), list[str]()
    for kind in _KINDS:
        tries = [errors(kind, seed) for seed in seeds]
        for after in (1, _EXCHANGES):
            sizes = sorted(each[after - 1] for each in tries)
            median, hundredth, worst = sizes[len(sizes) // 2], sizes[round(len(sizes) * 0.99) - 1], sizes[-1]
            figures[f"{kind} {after} typical"] = median
            figures[f"{kind} {after} of a hundred"] = hundredth
            figures[f"{kind} {after} worst"] = worst
            most, of = _MOST.get((kind, after), (inf, "worst"))
            if figures[f"{kind} {after} {of}"] > most:
                violations.append(f"{kind}: {figures[f'{kind} {after} {of}']:.0f} ms off after {after}, of {most:.0f}")
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
    return f"{tried(parts):,} devices; " + "; ".join(told)


ROW = Row(
    name="exchanges",
    promise="A few answers of the hub are enough to know the time",
    least="lines of 40-400 ms, steady and wild: ≤ 0.3 s off after one exchange (≤ 0.6 s with `Date` alone); after 20"
    " ≤ 15 ms (all on a steady line, 99 of 100 on a wild one), ≤ 150 ms with `Date` (99 of 100)",
    parts=_PARTS,
    prove=_prove,
    tell=_tell,
    unmet=lambda _: (),
    side_by_side=2,
)
