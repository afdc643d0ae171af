"""Row `exchanges`: how near a device is to true time after one exchange with its hub, and after twenty.

Each try is a device that just booted. Its line takes 40 to 400 ms there and back, and is of one of two kinds. A steady
one has a length of its own, the same both ways, and each way of each exchange takes longer by chance, by half of that
on average (exponential), up to 200 ms. On a wild one each way of each exchange takes 20 to 200 ms, drawn anew. The
device asks every five to fifteen seconds, put off as `link.turns` has it; its crystal is off by at most 50 ppm, the
hub's clock by 1 ms at most, and the hub states 2 ms. A hub of `Date` alone is a whole second coarse. No device has a
kernel that knows the time.

A harder case is told, and nothing is asked of it: a `Date` that is old by up to 0.9 s, as of a server that writes it
once a second or so.

All are asked, but for wild lines with a stated error after twenty exchanges: there it is 99 of 100, since a line that
was slow one way twenty times over looks like another offset. Beside it stands what the best of all estimates would
give, one that knows the law of the line: the middle of all offsets that it allows.
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
from tests.proofs.row import Findings, Row, greatest, total, tried

_PARTS = 4
_TRIES = 5000
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
_FEW = 0.01
_WILD = ("stated wild", _EXCHANGES)
_ASKED = {
    ("stated steady", 1): (300, 0.0),
    ("stated wild", 1): (300, 0.0),
    ("date steady", 1): (600, 0.0),
    ("date wild", 1): (600, 0.0),
    ("stated steady", _EXCHANGES): (15, 0.0),
    _WILD: (15, _FEW),
    ("date steady", _EXCHANGES): (150, 0.0),
    ("date wild", _EXCHANGES): (150, 0.0),
}
"""Ms that a device may be off, and the share of devices that may be off by more."""


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
        universe.true += (keeper.turn() - clock.now()) * MS
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


def unavoidable(seed: int) -> float:
    """By how many ms the best of all estimates is off after twenty exchanges on a wild line.

    It knows the law of the line, and crystals and clocks without error: what it does not know is which of the offsets
    that fit all forty ways (in ms) is the true one, and it takes their middle.
    """
    chance = Random(f"exchanges unavoidable {seed}")
    (least, most), ways = _WAY, [(chance.randrange(*_WAY), chance.randrange(*_WAY)) for _ in range(_EXCHANGES)]
    lo = max(max(least - there, back - most) for there, back in ways)
    hi = min(min(most - there, back - least) for there, back in ways)
    return abs(lo + hi) / 2 / MS


def measured(seeds: Sequence[int]) -> Findings:
    """Errors over these seeds, each for all kinds of hub and line."""
    figures = dict[str, float]()
    for kind in _KINDS:
        tries = [errors(kind, seed) for seed in seeds]
        for after in (1, _EXCHANGES):
            sizes = sorted(each[after - 1] for each in tries)
            figures[f"{kind} {after} typical"], figures[f"{kind} {after} worst"] = sizes[len(sizes) // 2], sizes[-1]
            most, _ = _ASKED.get((kind, after), (inf, 1.0))
            figures[f"{kind} {after} beyond"] = sum(size > most for size in sizes)
    best, (most, _) = [unavoidable(seed) for seed in seeds], _ASKED[_WILD]
    figures["best worst"], figures["best beyond"] = max(best), sum(size > most for size in best)
    return Findings(len(_KINDS) * len(seeds), [], figures)


def unmet(parts: Sequence[Findings]) -> list[str]:
    """Which bounds too many devices were beyond, in words."""
    devices = tried(parts) / len(_KINDS)
    said = []
    for (kind, after), (most, share) in _ASKED.items():
        beyond = total(parts, f"{kind} {after} beyond")
        if beyond > share * devices:
            said.append(f"{_KINDS[kind]} {beyond:.0f} of {devices:.0f} are more than {most} ms off after {after}")
    return said


def _prove(part: int) -> Findings:
    return measured(range(part * _TRIES, (part + 1) * _TRIES))


def _tell(parts: Sequence[Findings]) -> str:
    told = []
    for kind, name in _KINDS.items():
        for after in (1, _EXCHANGES):
            typical, worst = (greatest(parts, f"{kind} {after} {which}") for which in ("typical", "worst"))
            line = f"{name} after {after}: {typical:.0f} ms, at worst {worst:.0f}"
            most, share = _ASKED.get((kind, after), (0, 0.0))
            if share:
                line += f", {_within(parts, f'{kind} {after}'):.1f} in 100 within {most}"
                line += f" (the best of all estimates: {_within(parts, 'best'):.2f}, "
                line += f"at worst {greatest(parts, 'best worst'):.0f})"
            told.append(line)
    return f"{tried(parts):,} devices; " + "; ".join(told)


def _within(parts: Sequence[Findings], name: str) -> float:
    """How many devices in 100 are not off by more than is asked."""
    return 100 - 100 * len(_KINDS) * total(parts, f"{name} beyond") / tried(parts)


ROW = Row(
    name="exchanges",
    promise="A few answers of the hub are enough to know the time",
    least="lines of 40-400 ms, steady and wild: ≤ 0.3 s off after one exchange (≤ 0.6 s with `Date` alone); after 20"
    " ≤ 15 ms (≤ 150 ms with `Date`); all, but for 99 of 100 with 15 ms on a wild line",
    parts=_PARTS,
    prove=_prove,
    tell=_tell,
    unmet=unmet,
    side_by_side=2,
)
