"""What a beat of all collectors costs on recorded boards: processor time of one thread, and what is read.

The beats are apart, as in an agent, so that caches are as cold as there; the first ones, which look for what the board
has, do not count, and the looks that are made anew now and then do. Files of a recorded tree are opened one link deeper
than on a board, and answer from memory: what a bus takes to answer is waiting, and no processor time of the agent.
"""

import time

from edge_agent.agent.machine import host_of
from tests.bench.figures import Figure, Goal, Sheet
from tests.machines.machine import FOLDER, beat, collectors

_BOARDS = ("agx-orin-jp6", "thor-jp7", "nano-jp4")
_GOAL = Goal("at most", 2.0)
_FIRST = 3


def measure(sheet: Sheet, beats: int, apart: float) -> None:
    """Take so many beats of each board, so many seconds apart."""
    for name in _BOARDS:
        built = collectors(host_of(FOLDER / name))
        for _ in range(_FIRST):
            told = beat(built)
        spent = []
        for _ in range(beats):
            time.sleep(apart)
            began = time.thread_time_ns()
            told = beat(built)
            spent.append((time.thread_time_ns() - began) / 1e6)
        have = sum(one.reading.value is not None for one in told)
        files = len({one.reading.source for one in told})
        note = f"{have} readings, {len(told) - have} absent, of {files} sources; dearest beat {max(spent):.2f} ms"
        sheet.add(Figure(name, "a beat of all collectors", sum(spent) / len(spent), "ms", _GOAL, note))
