"""Runs the proofs and prints their table: `python -m tests.proofs [--table] [--json] [ROW...]`.

Ends with 0 when every row that was asked for is met or cannot be tried here, 1 when one is not met or not complete. A
part that breaks by itself is said and left for the next run; the others go on.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.proofs.ledger import Ledger, ledger_of_this_tree
from tests.proofs.row import Row
from tests.proofs.rows import NAMES, prove, row_named
from tests.proofs.table import document, line_of, written


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs", description="Try what the README promises.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these: " + " ".join(NAMES))
    parser.add_argument("--table", action="store_true", help="run nothing; print what was found so far")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    wish = parser.parse_args()
    if unknown := set(wish.rows) - set(NAMES):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are: {' '.join(NAMES)}")
    ledger = ledger_of_this_tree()
    rows = [row_named(name) for name in wish.rows or NAMES]
    if not wish.table:
        for row in rows:
            _try(row, ledger)
    lines = [line_of(row, ledger.found(row.name)) for row in rows]
    sys.stdout.write(document(lines) if wish.json else written(lines))
    return 0 if all(line.state in {"met", "skipped"} for line in lines) else 1


def _try(row: Row, ledger: Ledger) -> None:
    """Run the parts of a row that were not run yet, and say how far it is."""
    known = ledger.found(row.name)
    left = [part for part in range(row.parts) if part not in known]
    if row.lacks() or not left:
        return
    began, done = time.monotonic(), 0
    with ProcessPoolExecutor(row.side_by_side, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(prove, row.name, part): part for part in left}
        for future in as_completed(running):
            done += 1
            fault = future.exception()
            if fault is not None:  # of the proof, not of what it proves: the part is tried again by the next run
                _say(f"{row.name}: part {running[future]} did not come to its end: {fault!r}")
                continue
            found = future.result()
            ledger.keep(row.name, running[future], found)
            _say(f"{row.name}: part {running[future]}, {done} of {len(left)}, {time.monotonic() - began:.0f} s")
            for violation in found.violations:
                _say(f"    {violation}")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
