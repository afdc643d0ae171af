"""`python -m tests.bench [--quick] [PART ...]`: a table on standard output, and JSON in `.bench/latest.json`.

Parts are `cost`, `boards`, `start`, `drain` and `ingest`; all when none is named. `--quick` shortens each, to see that
the bench works: its figures are no statement about anything. Under seven minutes in all. Exits 0 when it ran, whatever
it found.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from edge_agent.kit.clock import SystemClock
from tests.bench import boards, cost, drain, ingest, start
from tests.bench.figures import Sheet, table
from tests.bench.place import ROOT, Place

_RESULT = ROOT / ".bench/latest.json"

Part = Callable[[Place, Sheet], None]

_WHOLE: Mapping[str, Part] = {
    "cost": lambda place, sheet: cost.measure(place, sheet, cost.Plan()),
    "boards": lambda _place, sheet: boards.measure(sheet, beats=60, apart=1),
    "start": lambda place, sheet: start.measure(place, sheet, starts=7),
    "drain": lambda place, sheet: drain.measure(place, sheet, readings=2_000_000, rounds=3),
    "ingest": lambda place, sheet: ingest.measure(place, sheet, ingest.Plan()),
}
_QUICK: Mapping[str, Part] = {
    "cost": lambda place, sheet: cost.measure(place, sheet, cost.Plan(window=6, seals=(1, 2), profile=3)),
    "boards": lambda _place, sheet: boards.measure(sheet, beats=3, apart=0),
    "start": lambda place, sheet: start.measure(place, sheet, starts=2),
    "drain": lambda place, sheet: drain.measure(place, sheet, readings=100_000, rounds=1),
    "ingest": lambda place, sheet: ingest.measure(place, sheet, ingest.Plan(rounds=1, seconds=1, warm=0.2)),
}


def main() -> None:
    """Run the parts in order."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="What the agent costs, what the hub takes."
    )
    parser.add_argument("parts", nargs="*", choices=[[], *_WHOLE], metavar="PART", help=", ".join(_WHOLE))
    parser.add_argument("--quick", action="store_true", help="short rounds, to see that it works")
    told = parser.parse_args()
    parts = _QUICK if told.quick else _WHOLE
    sheet, began = Sheet(), time.perf_counter()
    for name in told.parts or parts:
        sys.stderr.write(f"bench: {name} ...\n")
        with Place() as place:
            parts[name](place, sheet)
    seconds = time.perf_counter() - began
    said = {
        "at": SystemClock().wall(),
        "quick": told.quick,
        "seconds": round(seconds, 1),
        "machine": _machine(),
        "figures": [figure.told() for figure in sheet.figures],
        "footnotes": dict(sheet.footnotes),
    }
    _RESULT.parent.mkdir(exist_ok=True)
    _RESULT.write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2))
    machine = ", ".join(f"{name} {value}" for name, value in _machine().items())
    quick = "QUICK: these figures state nothing. " if told.quick else ""
    sys.stdout.write(
        f"{table(sheet)}\n\n{quick}{machine}; {seconds:.0f} s in all; also in {_RESULT.relative_to(ROOT)}\n"
    )


def _machine() -> dict[str, Any]:
    """What ran it, as far as it matters to the figures."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "processor": model[0].partition(":")[2].strip() if model else platform.machine(),
        "kernel": platform.release(),
    }


if __name__ == "__main__":
    main()
