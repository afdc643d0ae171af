"""Row `schedules`: agent and hub together through drawn faults of network, power, disks, hubs and what stands between.

Each seed is one run of the simulation (`tests.sim.schedule`) of a drawn kind, judged at every step from what a witness
saw at the device's disk port and on the line, and from the frames that the hub stores (`tests.sim.reckoning`). What a
run finds is replayed with `python -m tests.sim SEED`. A run counts nothing as lost that the scene itself destroyed:
what was sealed since a disk image that is put back, and what was acknowledged since a backup that is restored.
"""

from collections import Counter
from collections.abc import Sequence

from tests.proofs.row import Findings, Row, fewer_than, total, tried
from tests.sim.schedule import KINDS, Outcome, play

_PARTS = 47
_SEEDS = 216
_LEAST = 10_000


def prove(part: int) -> Findings:
    """The schedules of `_SEEDS` seeds, of which no other part has one."""
    return found_in([play(seed) for seed in range(part * _SEEDS, (part + 1) * _SEEDS)])


def found_in(outcomes: Sequence[Outcome]) -> Findings:
    """What runs found, in figures."""
    figures: Counter[str] = Counter()
    for outcome in outcomes:
        figures[f"runs {outcome.kind}"] += 1
        figures["seconds"] += round(outcome.seconds)
        if outcome.total is not None:
            for name in outcome.total.__slots__:
                figures[name] += getattr(outcome.total, name)
    broken = [f"seed {one.seed} ({one.kind}): {one.broken}" for one in outcomes if one.broken]
    return Findings(len(outcomes), broken, {name: float(count) for name, count in figures.items()})


def tell(parts: Sequence[Findings]) -> str:
    """Runs by kind, and what became of what was sealed in them."""
    kinds = ", ".join(f"{kind} {total(parts, f'runs {kind}'):,.0f}" for kind in KINDS)
    hours = total(parts, "seconds") / 3600
    fates = ("stored", "thinned", "lost", "excused")
    stored, thinned, lost, excused = (f"{total(parts, fate):,.0f}" for fate in fates)
    return (
        f"{tried(parts):,} runs ({kinds}) of {hours:,.0f} virtual hours; of {total(parts, 'sealed'):,.0f} frames sealed"
        f" {stored} stored, {thinned} thinned, {lost} declared lost (small quotas), {excused} destroyed by the scene"
    )


ROW = Row(
    name="schedules",
    promise="no schedule of faults loses, doubles or dead-letters anything",
    least=f"{_LEAST:,} seeded schedules: 0 missing, 0 doubled, 0 dead letters",
    parts=_PARTS,
    prove=prove,
    tell=tell,
    unmet=fewer_than(_LEAST),
    side_by_side=2,
)
