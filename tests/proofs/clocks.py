"""Row `clocks`: true time lies in what the hub tells, whatever became of the clocks. An oracle knows the true time.

Each seed is one history (`tests.proofs.clock_plans`): a device over one to five boots, with the real timekeeper and
real batches, and the real hub behind its router; clocks and line are simulated. `clock_oracle` says what is judged and
what is left out, and `python -m tests.proofs.clock_histories SEED` shows one history again.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.proofs.clock_histories import lived
from tests.proofs.clock_plans import HUBS, LINES
from tests.proofs.row import Findings, Row, fewer_than, total, tried

_PARTS = 50
_SEEDS = 200
_LEAST = 10_000
_MOST_TOLD = 2


def found_in(seeds: Iterable[int]) -> Findings:
    """What the histories of these seeds show."""
    figures: Counter[str] = Counter()
    violations = []
    count = 0
    for seed in seeds:
        count += 1
        plan, found = lived(seed)
        for trait in plan.traits:
            figures[trait] += 1
        for name, value in found.figures.items():
            figures[name] += round(value)
        traits = ", ".join(sorted(plan.traits))
        violations += [f"seed {seed} ({traits}): {what}" for what in found.violations[:_MOST_TOLD]]
    return Findings(count, violations, {name: float(value) for name, value in figures.items()})


def tell(parts: Sequence[Findings]) -> str:
    """Histories by what was against them, and readings by what could be said of them."""
    hubs = ", ".join(f"{kind} {total(parts, f'hub {kind}'):,.0f}" for kind in HUBS)
    lines = ", ".join(f"{kind} {total(parts, f'line {kind}'):,.0f}" for kind in LINES)
    points, judged = total(parts, "points"), total(parts, "judged")
    return (
        f"{tried(parts):,} histories ({total(parts, 'stops'):,.0f} whose axis stood still; hub: {hubs}; line: {lines}):"
        f" {sum(len(part.violations) for part in parts)} faults; of {points:,.0f} readings shown {judged:,.0f} told an"
        f" error and were judged, {total(parts, 'approximate'):,.0f} of them between their neighbours and"
        f" {total(parts, 'close'):,.0f} within a second; {total(parts, 'without an error'):,.0f} told none,"
        f" {total(parts, 'unknowable'):,.0f} lay beyond an unknowable pause, {total(parts, 'lied to'):,.0f} under a hub"
        " that lied"
    )


def _prove(part: int) -> Findings:
    return found_in(range(part * _SEEDS, (part + 1) * _SEEDS))


ROW = Row(
    name="clocks",
    promise="A reading's true time lies in `ts ± ts_err`, and intervals stay, whatever the clocks do",
    least=f"{_LEAST:,} histories of clocks against an oracle: true time inside in all, order and intervals kept in all",
    parts=_PARTS,
    prove=_prove,
    tell=tell,
    unmet=fewer_than(_LEAST),
    side_by_side=2,
)
