"""Runs a module under cProfile, in all its threads: `python -m tests.bench.profiled FILE -m MODULE ARGS...`.

At the end FILE holds one merged profile. Each thread profiles itself from its first call on; so times are of the thread
that spent them, and waiting for another thread shows as time in the call that waits. `top` reads such a file.
"""

import cProfile
import pstats
import runpy
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.bench.place import ROOT

_MOST_NAME = 78


def top(file: Path, most: int) -> Sequence[str]:
    """The functions of a profile in which most time was spent, a line each; waiting is left out."""
    stats = pstats.Stats(str(file))
    found = [(own, whole, calls, key) for key, (_, calls, own, whole, _) in stats.stats.items() if not _waits(key)]  # type: ignore[attr-defined] - typeshed does not know it
    total = sum(own for own, *_ in found) or 1.0
    found.sort(key=lambda row: row[0], reverse=True)
    return [
        f"{own / total:6.1%} own {whole / total:6.1%} whole {calls:>8} calls  {_place(key)}"
        for own, whole, calls, key in found[:most]
    ]


def _waits(key: tuple[str, int, str]) -> bool:
    return any(word in key[2] for word in ("epoll", "SimpleQueue", "_thread.lock", "sleep"))


def _place(key: tuple[str, int, str]) -> str:
    file, line, name = key
    if file == "~":
        return name[:_MOST_NAME]
    path = Path(file)
    short = (
        path.relative_to(ROOT) if path.is_relative_to(ROOT) and "site-packages" not in file else Path(*path.parts[-2:])
    )
    return f"{short}:{line} {name}"[:_MOST_NAME]


class _Profilers:
    """One profiler a thread; `begin` is given to `threading.setprofile`."""

    def __init__(self) -> None:
        self.all: list[cProfile.Profile] = []

    def begin(self, *_event: object) -> None:
        """Profile the thread that calls."""
        profiler = cProfile.Profile()
        self.all.append(profiler)
        profiler.enable()


def main() -> None:
    """Run the module, and write the profile whatever ended it."""
    file, _, module, *rest = sys.argv[1:]
    sys.argv = [module, *rest]
    profilers = _Profilers()
    threading.setprofile(profilers.begin)
    main_thread = cProfile.Profile()
    main_thread.enable()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        main_thread.disable()
        stats = pstats.Stats(main_thread)
        for profiler in profilers.all:
            stats.add(profiler)
        stats.dump_stats(file)


if __name__ == "__main__":
    main()
