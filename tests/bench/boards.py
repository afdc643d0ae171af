"""What a beat of all collectors costs on recorded boards: processor time of all threads, and what is read.

The beats of a board are apart, as in an agent, and those of the others come between, so caches are as cold as there.
The first ones, which look for what the board has, do not count, and the looks that are made anew now and then do. Files
of a recorded tree are opened at each read and one link deeper than on a board, where most stay open, and they answer
from memory: what a bus takes to answer is waiting, and no processor time of the agent.
"""

import time
from collections.abc import Mapping

from edge_agent.agent.machine import host_of
from edge_agent.model.offers import Collector
from tests.bench.figures import Figure, Goal, Sheet
from tests.machines.machine import FOLDER, beat, collectors

_BOARDS = ("agx-orin-jp6", "thor-jp7", "nano-jp4")
_GOAL = Goal("at most", 2.0)
_FIRST = 3


def measure(sheet: Sheet, beats: int, apart: float) -> None:
    """Take so many beats of each board, so many seconds apart."""
    boards = {name: collectors(host_of(FOLDER / name)) for name in _BOARDS}
    told = {name: [beat(built) for _ in range(_FIRST)][-1] for name, built in boards.items()}
    spent: dict[str, list[float]] = {name: [] for name in boards}
    for _ in range(beats):
        for name, built in boards.items():
            time.sleep(apart / len(boards))
            spent[name].append(_cost(built))
    for name, costs in spent.items():
        have = sum(one.reading.value is not None for one in told[name])
        files = len({one.reading.source for one in told[name]})
        note = f"{have} readings, {len(told[name]) - have} absent, of {files} sources; dearest beat {max(costs):.2f} ms"
        sheet.add(Figure(name, "a beat of all collectors", sum(costs) / len(costs), "ms", _GOAL, note))


def _cost(built: Mapping[str, Collector]) -> float:
    """Milliseconds of processor time that a beat takes, in whatever threads."""
    began = time.process_time_ns()
    for collector in built.values():
        tuple(collector.collect())
    return (time.process_time_ns() - began) / 1e6
