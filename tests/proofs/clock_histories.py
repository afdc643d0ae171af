"""One history, from its seed to what was found in it: `python -m tests.proofs.clock_histories SEED`."""

import sys

from tests.proofs.clock_oracle import Judgement, judged
from tests.proofs.clock_plans import Plan, drawn
from tests.proofs.clock_play import Play
from tests.sim.loop import run


def lived(seed: int) -> tuple[Plan, Judgement]:
    """Draw a history, play it, judge it."""
    plan = drawn(seed)
    return plan, judged(run(Play(plan).run(), seed))


if __name__ == "__main__":
    shown, verdict = lived(int(sys.argv[1]))
    sys.stdout.write(f"{sorted(shown.traits)}\n{dict(verdict.figures)}\n" + "\n".join(verdict.violations) + "\n")
