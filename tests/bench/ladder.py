"""Where memory goes: a process a rung, each importing what the one before did and one thing more."""

from collections.abc import Sequence

from tests.bench.place import Place

_RUNGS = (
    ("the interpreter", "sys"),
    ("asyncio and anyio", "anyio"),
    ("settings (pydantic)", "edge_agent.config.load"),
    ("the agent's parts", "edge_agent.agent.run"),
    ("the HTTP client", "aiohttp"),
    ("the local server", "aiohttp.web"),
)
_SCRIPT = """
import psutil, sys
for module in sys.argv[1:]:
    __import__(module)
print(psutil.Process().memory_full_info().uss)
"""


def climb(place: Place) -> Sequence[str]:
    """The rungs, a line each: MiB so far, and what this rung added."""
    lines, before = [], 0.0
    for rung, (name, _) in enumerate(_RUNGS, 1):
        child = place.start("-c", _SCRIPT, *(module for _, module in _RUNGS[:rung]))
        child.wait()
        uss = int(child.last_words()) / 2**20
        lines.append(f"{uss:6.1f} MiB  {uss - before:+6.1f}  {name}")
        before = uss
    return lines
