"""A schedule is its seed, and the reckoning sees what a wrong hub, disk or network could hide."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path

import orjson
import pytest

from edge_agent.hub.exchange import Reply
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.http import Request
from edge_agent.model.reading import Reading, Tick
from edge_agent.wire.batch import BatchBuilder
from edge_agent.wire.frame import encode
from tests.sim.device import DEVICE
from tests.sim.loop import run
from tests.sim.reckoning import Bounds, Broken, Reckoning
from tests.sim.schedule import play
from tests.sim.weather import FAIR, Door, Weather
from tests.sim.witness import Witness, frames_in
from tests.sim.world import World, world

ROOT = Path(__file__).resolve().parents[2]
_KEPT = Bounds({"telemetry": 64 * 1024}, 64 * 1024)
Act = Callable[[World, Witness], Awaitable[None]]


def replayed(seed: str, hash_seed: str) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-m", "tests.sim", seed, "--kind", "crashes"]
    return subprocess.run(command, cwd=ROOT, env=surroundings, check=False, capture_output=True, text=True)


def test_a_seed_is_replayed_to_the_byte_in_any_process() -> None:
    first, second = replayed("11", "1"), replayed("11", "2")
    assert first.returncode == 0, first.stdout[-500:]
    assert first.stdout == second.stdout
    assert "killed" in first.stdout or "power is cut" in first.stdout
    assert "sealed telemetry" in first.stdout
    assert "every invariant held" in first.stdout.splitlines()[-1]


def test_another_seed_is_another_run() -> None:
    assert play(1).trace != play(2).trace


async def lie(request: Request) -> Reply:
    """Call everything stored."""
    results = [
        {"epoch": f"{frame.identity.epoch:016x}", "seq": frame.identity.seq, "status": "stored"}
        for frame in frames_in(request.body)
    ]
    return Reply(body=orjson.dumps({"results": results, "hub_time": 0}))


async def a_false_word(one: World, _witness: Witness) -> None:
    one.line.weather = Weather(door=Door("liar", lie))
    await one.passes(20)
    one.line.weather = FAIR


async def a_second_number(one: World, _witness: Witness) -> None:
    batch = next(iter(one.station.data.execute("SELECT payload FROM payload")))[0]
    frame = Frame(1, Identity(99, 0), 0, batch)
    headers = {"content-type": "application/vnd.edge.frames"}
    await one.house.ask("POST", "/api/v1/telemetry", encode(frame), key=one.house.key, headers=headers)


async def a_file_that_went(one: World, _witness: Witness) -> None:
    one.line.cut()
    await one.passes(20)
    for path in [path for path in one.disk.paths() if path.suffix == ".seg"]:
        one.disk.unlink(path)


async def a_row_that_went(one: World, _witness: Witness) -> None:
    one.station.data.execute("DELETE FROM frame WHERE id = 1")


async def a_number_twice(one: World, witness: Witness) -> None:
    one.line.cut()
    await one.passes(5)
    identity = max(witness.open, default=next(iter(witness.sealed)))
    witness.seal(Frame(1, identity, 0, b"other bytes"), "telemetry", "device")


async def a_lane_that_grew(one: World, _witness: Witness) -> None:
    one.disk.plant(next(path for path in one.disk.paths() if path.suffix == ".seg"), bytes(80_000))


async def a_dead_letter(one: World, _witness: Witness) -> None:
    one.disk.plant(Path("/var/lib/edge-agent/spool/hub/dead/1.frame"), b"")


async def a_tick_that_went(_one: World, witness: Witness) -> None:
    witness.write_down(next(iter(witness.sealed)), 1)


@pytest.mark.parametrize(
    ("act", "seen"),
    [
        (a_false_word, "nowhere"),
        (a_second_number, "doubled"),
        (a_file_that_went, "nowhere"),
        (a_row_that_went, "nowhere"),
        (a_number_twice, "number used twice"),
        (a_lane_that_grew, "quota|nowhere"),
        (a_dead_letter, "dead letters"),
        (a_tick_that_went, "ticks"),
    ],
)
def test_the_reckoning_sees(act: Act, seen: str) -> None:
    async def scene() -> None:
        witness = Witness()
        async with world(witness=witness, seal={"every": "2s"}, push={"probe_least": "5s", "probe_most": "5s"}) as one:
            await one.passes(20)
            reckoning = Reckoning(witness, one.station, one.machines, _KEPT)
            reckoning.step()
            await act(one, witness)
            with pytest.raises(Broken, match=seen):
                await reckoned(one, Reckoning(witness, one.station, one.machines, _KEPT))

    run(scene())


async def reckoned(one: World, reckoning: Reckoning) -> None:
    """Calm, the end, and the reckoning."""
    reckoning.step()
    one.line.mend()
    await one.passes(60)
    await one.stop()
    assert (await one.audit())["device"] == DEVICE
    reckoning.end(await one.audit())


def batch(*instants: int) -> Frame:
    """The batch of these ticks, always of the same number."""
    builder = BatchBuilder("boot-1.0", {})
    for at in instants:
        builder.add(Tick("wave", at, (Reading("level", 1.0, "1", digits=0),)))
    return Frame(FrameKind.TELEMETRY, Identity(9, 0), 0, builder.pack(None, {}))


@pytest.mark.parametrize("fate", [{"thinned"}, {"thinned", "lost"}, {"thinned", "torn"}, {"thinned", "lost", "torn"}])
def test_windows_may_count_fewer_ticks_only_of_a_batch_that_was_lost_and_came_back_torn(fate: set[str]) -> None:
    async def scene() -> None:
        witness = Witness()
        async with world() as one:
            reckoning = Reckoning(witness, one.station, one.machines, _KEPT)
            for frame in (batch(1, 2), batch(1) if "torn" in fate else batch(1, 2)):
                witness.seal(frame, "telemetry", "device")
            for at in (1, 2):
                witness.write_down(Identity(9, 0), at)
            reckoning.hub.claims.thinned[9] = ((0, 1),)
            if "lost" in fate:
                reckoning.hub.claims.lost[9] = ((0, 1),)
            with nullcontext() if {"lost", "torn"} <= fate else pytest.raises(Broken, match="points"):
                reckoning.count({"series": [{"points": [[0, 1]]}]}, exact=True)

    run(scene())
