"""Row `states`: what a power cut or a kill may leave of the disk queue, enumerated, over three lives each.

`scripts` says what the device does, `exploring` stops it everywhere and goes through what may survive, `crashing` says
what must be found. Counted are the states of second lives from which a third one recovered: a place to stop together
with what survives there of what was not synced. Different ways to one image are recovered once; how many different
images that were is told beside it.

Part 0 are the written cases with more images a stop than the short form takes, and open batches before the queue
(`openings`); the others are drawn cases. The short form is in two halves, as the tests run side by side; the first two
parts, which run side by side too, begin with one each and time it.
"""

import time
from collections.abc import Iterable, Sequence

from tests.proofs.crashing import Product
from tests.proofs.exploring import Explorer
from tests.proofs.openings import Openings
from tests.proofs.row import Findings, Row, fewer_than, greatest, total, tried
from tests.proofs.scripts import CASES, Case, drawn
from tests.sim.loop import run

_LEAST = 500_000
_PARTS = 4
_STATES_A_PART = 250_000
_HALVES = 2
_DRAWN = ((12, 36), (2,))
_MOST_SECONDS = 15.0
_MANY, _FEW = 32, 4
"""Images noted where the world stops, at most: when there is time, and in the short form."""


def explored(cases: Iterable[Case], most: int, enough: int = 0) -> Findings:
    """Cases one after the other, until there were `enough` states if that is said."""
    states, violations, sums = 0, list[str](), {"cases": 0.0, "images": 0.0, "firsts": 0.0, "wholes": 0.0}
    for case in cases:
        explorer = Explorer(case, Product(case.options), most)
        run(explorer.explore())
        states += explorer.states
        violations += [f"{case.name}: {violation}" for violation in explorer.tale.violations]
        for name, value in (
            ("cases", 1),
            ("images", explorer.images),
            ("firsts", explorer.firsts),
            ("wholes", explorer.wholes),
        ):
            sums[name] += value
        if enough and states >= enough:
            break
    return Findings(states, violations, sums)


def short(half: int) -> Findings:
    """Half of the short form: written cases with few images a stop, drawn ones that leave much unsynced."""
    found = explored((*CASES[half::_HALVES], *map(drawn, _DRAWN[half])), _FEW)
    return _with_openings(found, step=3) if half == 0 else found


def _with_openings(found: Findings, step: int) -> Findings:
    """And batches that were left open, killed at every `step`-th place."""
    openings = Openings(step)
    run(openings.explore())
    found.figures["openings"] = openings.states
    violations = [*found.violations, *(f"open batches: {what}" for what in openings.violations)]
    return Findings(found.tried + openings.states, violations, found.figures)


def _prove(part: int) -> Findings:
    timed, violations = dict[str, float](), list[str]()
    if part < _HALVES:
        began = time.perf_counter()
        few = short(part)
        timed = {"short_seconds": time.perf_counter() - began, "short_states": few.tried}
        violations += few.violations
    if part == 0:
        found = _with_openings(explored(CASES, _MANY), step=1)
    else:
        found = explored((drawn(part * 10_000 + seed) for seed in range(10_000)), _MANY // 2, _STATES_A_PART)
    return Findings(found.tried, (*violations, *found.violations), {**found.figures, **timed})


def _tell(parts: Sequence[Findings]) -> str:
    return (
        f"{tried(parts):,} states in {total(parts, 'cases'):,.0f} cases, {total(parts, 'images'):,.0f} images "
        f"recovered; {sum(len(part.violations) for part in parts)} batches lost or doubled; short form: "
        f"{total(parts, 'short_states'):,.0f} states in {greatest(parts, 'short_seconds'):.1f} s"
    )


def _unmet(parts: Sequence[Findings]) -> Sequence[str]:
    short_of = list(fewer_than(_LEAST)(parts))
    if greatest(parts, "short_seconds") > _MOST_SECONDS:
        short_of.append(f"the short form took {greatest(parts, 'short_seconds'):.1f} s of {_MOST_SECONDS:g}")
    return short_of


ROW = Row(
    "states",
    "no sealed batch is lost or doubled by a crash anywhere",
    "100,000 crash states of three lives in 15 s, 0 lost or doubled",
    _PARTS,
    _prove,
    _tell,
    _unmet,
    side_by_side=2,
)
