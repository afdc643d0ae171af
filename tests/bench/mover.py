"""Moves the bench's tree by a step a second, between the agents' beats: `python -m tests.bench.mover ROOT`."""

import asyncio
import sys
from itertools import count
from pathlib import Path
from typing import NoReturn

from edge_agent.kit.clock import SystemClock
from tests.bench.tree import write

_SECOND = 1000
_BETWEEN = 500


async def main(root: Path) -> NoReturn:
    """Move until killed; half a second off the beats, so that no beat sees half a step."""
    clock = SystemClock()
    due = clock.now() // _SECOND * _SECOND + _BETWEEN
    for step in count(1):
        due += _SECOND
        await clock.sleep_until(due)
        write(root, step)
    raise AssertionError("steps never end")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
