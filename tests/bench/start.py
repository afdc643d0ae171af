"""From `exec` to the first sample: until the open batch's file holds a tick.

By default every collector waits for its beat, the next whole second, so half a second of the median is waiting. A
second series has one collector that is asked at once (its beat is a minute off): the time until the agent could sample.
A third has no bytecode at all, as an image that was built without and cannot write any.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_agent.uplink.open_batch import SUFFIX
from tests.bench.daemons import HubProcess, Wish, start_agent, start_hub
from tests.bench.figures import Sheet, typical
from tests.bench.place import Place
from tests.bench.tree import write

_DEVICE = "starts"
_AT_ONCE = "[collectors.load]\ninterval = 60\n"
_TICK = b'{"tick"'
_LOOK = 0.0005
_PATIENCE = 30.0


def measure(place: Place, sheet: Sheet, starts: int) -> None:
    """Start agents one after the other."""
    root = place.folder("root")
    write(root, 0)
    hub = start_hub(place, [_DEVICE])
    _seconds(place, hub, root, "", {})  # whatever bytecode is missing is written now
    beats = [_seconds(place, hub, root, "", {}) for _ in range(starts)]
    at_once = [_seconds(place, hub, root, _AT_ONCE, {}) for _ in range(starts)]
    cold = []
    for _ in range(max(1, starts // 2)):
        with _no_bytecode(place) as settings:
            cold.append(_seconds(place, hub, root, _AT_ONCE, settings))
    hub.child.end()
    part = "start"
    sheet.add(typical(part, "exec to first sample", beats, "s", note="warm bytecode; waits for the whole second"))
    sheet.add(typical(part, "exec to able to sample", at_once, "s", note="warm bytecode; asked at once"))
    sheet.add(typical(part, "the same without bytecode", cold, "s", note="all sources compiled"))


def _seconds(place: Place, hub: HubProcess, root: Path, lines: str, settings: dict[str, str]) -> float:
    wish = Wish(_DEVICE, root, 60.0, place.folder("start"), lines)
    began = time.perf_counter()
    agent = start_agent(place, hub, wish, settings)
    try:
        while not _ticked(agent.runtime):
            if time.perf_counter() - began > _PATIENCE or not agent.child.lives:
                raise RuntimeError(f"no tick was taken: {agent.child.last_words()}")
            time.sleep(_LOOK)
        return time.perf_counter() - began
    finally:
        agent.child.end()


def _ticked(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(_TICK in Path(entry).read_bytes() for entry in entries if entry.name.endswith(SUFFIX))
    except FileNotFoundError:
        return False


@contextmanager
def _no_bytecode(place: Place) -> Iterator[dict[str, str]]:
    with TemporaryDirectory(dir=place.disk) as empty:
        yield {"PYTHONPYCACHEPREFIX": empty, "PYTHONDONTWRITEBYTECODE": "1"}
