"""Replays the run of one seed and prints what happened: `python -m tests.sim SEED [--kind KIND]`.

Ends with 1 when an invariant broke, which the last lines name, else with 0.
"""

import argparse
import sys

from tests.sim.schedule import KINDS, play


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description="Replay the run of one seed.")
    parser.add_argument("seed", type=int, metavar="SEED", help="a whole number")
    parser.add_argument("--kind", choices=KINDS, help="another kind than the seed draws")
    wish = parser.parse_args()
    outcome = play(wish.seed, wish.kind)
    sys.stdout.write("\n".join(outcome.trace) + "\n")
    said = f"BROKEN: {outcome.broken}" if outcome.broken else "every invariant held"
    sys.stdout.write(f"seed {outcome.seed}, {outcome.kind}, {outcome.strikes} strikes: {said}\n")
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
