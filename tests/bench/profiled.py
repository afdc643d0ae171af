"""Runs a module under cProfile, in all its threads: `python -m tests.bench.profiled FILE -m MODULE ARGS...`.

At the end FILE holds, as JSON, each function with its calls, its own seconds and those with what it called, summed over
the threads. SIGUSR1 begins anew: what was spent before it (the start) is taken off. `top` reads such a file.
"""

import cProfile
import runpy
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import orjson

from tests.bench.place import ROOT

_MOST_NAME = 84
_WAITS = ("poll", "SimpleQueue", "_thread.lock", "sleep", "_run_once", "run_forever", "_bootstrap", " _work")

_Spent = dict[str, tuple[int, float, float]]


def top(file: Path, most: int) -> Sequence[str]:
    """The functions of a profile in which most time was spent, a line each; waiting is left out."""
    spent: _Spent = orjson.loads(file.read_bytes())
    rows = [(own, whole, calls, name) for name, (calls, own, whole) in spent.items() if own > 0]
    total = sum(own for own, *_ in rows) or 1.0
    rows.sort(reverse=True)
    return [
        f"own {own / total:6.1%}  with callees {whole / total:6.1%}  {calls:>9,} calls  {name}"
        for own, whole, calls, name in rows[:most]
    ]


class _Profilers:
    """One profiler a thread, and what they had counted when it was begun anew."""

    def __init__(self) -> None:
        self._all: list[cProfile.Profile] = []
        self._before: _Spent = {}

    def begin(self, *_event: object) -> None:
        """Profile the thread that calls; `threading.setprofile` calls it in each new one."""
        profiler = cProfile.Profile()
        self._all.append(profiler)
        profiler.enable()

    def begin_anew(self, *_signal: object) -> None:
        """What was spent so far does not count."""
        main = self._all[0]
        main.disable()  # counting is no part of what is counted
        self._before = self._sum()
        main.enable()

    def spent(self) -> _Spent:
        """What was spent since; ends the profile of the main thread, which calls."""
        self._all[0].disable()
        found: _Spent = {}
        for name, (calls, own, whole) in self._sum().items():
            calls_before, own_before, whole_before = self._before.get(name, (0, 0.0, 0.0))
            if not any(word in name for word in _WAITS):
                found[name] = (calls - calls_before, own - own_before, whole - whole_before)
        return found

    def _sum(self) -> _Spent:
        total: _Spent = {}
        for profiler in self._all:
            for entry in profiler.getstats():
                name = _name(entry.code)
                calls, own, whole = total.get(name, (0, 0.0, 0.0))
                total[name] = (calls + entry.callcount, own + entry.inlinetime, whole + entry.totaltime)
        return total


def _name(code: object) -> str:
    if isinstance(code, str):
        return code[:_MOST_NAME]
    file, line, name = (getattr(code, part) for part in ("co_filename", "co_firstlineno", "co_name"))
    path = Path(file)
    near = path.is_relative_to(ROOT) and "site-packages" not in file
    return f"{path.relative_to(ROOT) if near else Path(*path.parts[-2:])}:{line} {name}"[:_MOST_NAME]


def main() -> None:
    """Run the module, and write the profile whatever ended it."""
    file, _, module, *rest = sys.argv[1:]
    sys.argv = [module, *rest]
    profilers = _Profilers()
    signal.signal(signal.SIGUSR1, profilers.begin_anew)
    threading.setprofile(profilers.begin)
    profilers.begin()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        Path(file).write_bytes(orjson.dumps(profilers.spent()))


if __name__ == "__main__":
    main()
