"""Batches of moving numbers, made by the agent's own builder: 150 series in five tracks, seeded.

A third are counters, a third gauges of whole numbers, a third gauges with two decimals: random walks, as sensors do.
"""

import random
from collections.abc import Iterator, Sequence

from edge_agent.model.anchor import Anchor
from edge_agent.model.reading import Kind, Reading, Tick
from edge_agent.wire.batch import BatchBuilder

SERIES = 150
TRACKS = 5
SECOND = 1000
_WALK = 40
_FACTS = {"device.id": "bench", "host.name": "bench", "site": "lab"}
_SHAPES: Sequence[tuple[Kind, int, float]] = (("counter", 0, 1.0), ("gauge", 0, 1.0), ("gauge", 2, 0.01))


def batches(count: int, ticks: int, axis: str, end: int) -> Iterator[bytes]:
    """So many payloads in a row, each with so many ticks; the last tick of the last is at `end` on the axis."""
    chance = random.Random(f"{count} {ticks}")
    walk = [chance.randrange(100_000) for _ in range(SERIES)]
    at = end - (count * ticks - 1) * SECOND
    for number in range(count):
        builder = BatchBuilder(axis, _FACTS)
        for _ in range(ticks):
            steps = chance.choices(range(-_WALK, _WALK + 1), k=SERIES)
            walk = [
                level + (abs(step) if index % 3 == 0 else step)
                for index, (level, step) in enumerate(zip(walk, steps, strict=True))
            ]
            for track in range(TRACKS):
                builder.add(_tick(track, at, walk))
            at += SECOND
        yield builder.pack(Anchor(1_700_000_000_000, 1_700_000_000_020, at), {"number": number})


def _tick(track: int, at: int, walk: Sequence[int]) -> Tick:
    readings = []
    for index in range(track, SERIES, TRACKS):
        kind, digits, grain = _SHAPES[index % 3]
        readings.append(
            Reading(
                f"bench.metric.{index // 10}", walk[index] * grain, "By", _ATTRIBUTES[index], kind, digits, "proc/bench"
            )
        )
    return Tick(f"collector-{track}", at, tuple(readings))


_ATTRIBUTES = [{"number": str(index)} for index in range(SERIES)]
