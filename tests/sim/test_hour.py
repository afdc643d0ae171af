"""Agent and hub together for a virtual hour: nothing missing, no thread, no socket, and the same bytes each time."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

from tests.sim.loop import run
from tests.sim.world import World, world

HOUR = 3600
SERIES = 60
SETTLES = 0.7
"""Seconds after the last beat, in which what that beat began comes to its end."""
MOST_CPU_SECONDS = 12.0
"""Several times what it takes: this test finds what became ten times slower, on any machine."""


@dataclass(frozen=True)
class Outcome:
    """What is left of a scene: digests of all its bytes, and what was sampled and stored."""

    disk: str
    hub: str
    trace: str
    sampled: int
    audit: dict[str, Any]


def digest(parts: Sequence[Any]) -> str:
    return sha256("\n".join(map(repr, parts)).encode()).hexdigest()


def outlets() -> tuple[int, list[str]]:
    """This process's threads and sockets."""
    descriptors = Path("/proc/self/fd").iterdir()
    targets = [str(one.readlink()) for one in descriptors if one.is_symlink()]
    return psutil.Process().num_threads(), sorted(target for target in targets if target.startswith("socket:"))


async def outcome(one: World) -> Outcome:
    dump = await one.house.hub.store.read(lambda connection: list(connection.iterdump()))
    files = [(str(path), one.disk.content(path)) for path in one.disk.paths()]
    return Outcome(
        digest(files),
        digest(dump),
        digest(one.line.trace),
        one.agent.tally.readings,
        await one.audit(),
    )


def hour(seed: int, seconds: float = HOUR) -> Outcome:
    async def scene() -> Outcome:
        before = outlets()
        async with world(seed, SERIES) as one:
            await one.passes(seconds + SETTLES)
            assert outlets() == before
            assert {passage.fate for passage in one.line.trace} == {"200", "204"}
            await one.stop()
            return await outcome(one)

    return run(scene())


def test_an_hour_of_agent_and_hub_loses_nothing_and_gives_the_same_bytes_again() -> None:
    began = time.process_time()
    first = hour(seed=7)
    spent = time.process_time() - began

    assert first.sampled == SERIES * (HOUR + 1), "one at once, and one a beat"
    assert first.audit["readings"] == first.sampled
    for epoch in first.audit["epochs"]:
        assert (epoch["missing"], epoch["held"], epoch["lost"]) == (0, 0, {}), epoch
        assert epoch["stored"] == epoch["next"]
    assert spent < MOST_CPU_SECONDS

    assert hour(seed=7) == first


def test_another_seed_gives_other_bytes_and_the_same_readings() -> None:
    one, other = hour(seed=1, seconds=120), hour(seed=2, seconds=120)
    assert one.sampled == other.sampled == one.audit["readings"] == other.audit["readings"]
    assert (one.disk, one.hub, one.trace) != (other.disk, other.hub, other.trace)
    assert one.trace != other.trace


def test_another_process_gives_the_same_bytes_whatever_its_sets_are_hashed_by() -> None:
    code = "from tests.sim.test_hour import hour\nfound = hour(3, 120)\nprint(found.disk, found.hub, found.trace)"
    here = Path(__file__).resolve().parents[2]

    def elsewhere(hash_seed: str) -> bytes:
        surroundings = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, "-c", code], cwd=here, env=surroundings, check=True, capture_output=True
        ).stdout

    assert elsewhere("1") == elsewhere("2") != b""
