"""`kill -9` of the real agent beside a live hub, at any instant: while it starts, samples, seals, pushes, stops.

Three devices share a hub, and each is killed and started again in a row. The instants are drawn by number of part,
device and kill; those of `seal` and `settle` follow what is seen in its folders, so that they fall into the few
milliseconds that matter. In the end each lives once in peace, and what came of every beat is reckoned (`real`).
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.proofs.real import PATIENCE, Device, camp, said, scratch, side_by_side
from tests.proofs.row import Findings, Row, fewer_than, total, tried
from tests.system.program import Program
from tests.system.until import until

_DEVICES = 3
_KILLS = 10
_PARTS = 12
_WINDOWS = ("anywhere", "start", "seal", "settle", "stop")
_START = 0.9
_LIFE = 2.5
_STOP = 0.2
_MOMENT = 0.02


def prove(part: int, devices: int = _DEVICES, kills: int = _KILLS) -> Findings:
    """One part: so many devices, each killed so often."""
    with scratch() as folder:
        site = camp(folder, devices)
        with site.hub():
            wrong = side_by_side(devices, partial(_kill_again_and_again, part, kills), site.devices)
            reckonings = [device.reckon() for device in site.devices]
    violations = [one for each in (*wrong, *(reckoning.violations for reckoning in reckonings)) for one in each]
    violations += [f"{reckoning.lost} batches were declared lost" for reckoning in reckonings if reckoning.lost]
    figures = {
        "beats": float(sum(reckoning.given for reckoning in reckonings)),
        "in hand": float(sum(reckoning.in_hand for reckoning in reckonings)),
        "missed": float(sum(reckoning.missed for reckoning in reckonings)),
    }
    return Findings(devices * kills, [f"part {part}: {one}" for one in violations], figures)


def _kill_again_and_again(part: int, kills: int, device: Device) -> Sequence[str]:
    chance = random.Random(f"{part} {device.name}")
    device.configure()
    wrong = []
    for kill in range(kills):
        with device.alive() as agent:
            window = _WINDOWS[(part + kill) % len(_WINDOWS)]
            wait = _waits(device, agent, chance)[window]
            wait()
            if not agent.lives and window != "stop":
                wrong.append(f"{device.name}: the agent ended by itself: {said(agent)}")
            agent.kill()
    return [*wrong, *device.settle()]


def _waits(device: Device, agent: Program, chance: random.Random) -> dict[str, Callable[[], None]]:
    """How the instant of a kill comes, by window."""

    def sleep(longest: float) -> None:
        time.sleep(chance.uniform(0, longest))

    def begin(beats: int = 1) -> None:
        enough = device.beaten(beats)
        until(lambda: enough() or not agent.lives, within=PATIENCE)

    def anywhere() -> None:
        begin()
        sleep(_LIFE)

    def watch(folder: Path) -> None:
        begin()
        sleep(_LIFE / 2)
        before = _names(folder)
        deadline = time.monotonic() + _LIFE
        while agent.lives and _names(folder) == before and time.monotonic() < deadline:
            time.sleep(0)  # as near to the event as can be
        sleep(_MOMENT)

    def stop() -> None:
        begin(chance.randrange(1, 12))
        agent.tell_to_stop()
        sleep(_STOP)

    return {
        "anywhere": anywhere,
        "start": partial(sleep, _START),
        "seal": partial(watch, device.folder / "open"),
        "settle": partial(watch, device.state / "spool/hub/telemetry"),
        "stop": stop,
    }


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def _tell(parts: Sequence[Findings]) -> str:
    beats, in_hand, missed = total(parts, "beats"), total(parts, "in hand"), total(parts, "missed")
    told = f"{in_hand:,.0f} in hand when killed, {missed:,.0f} declared missed"
    return f"{tried(parts):,} kills, {beats:,.0f} ticks: 0 missing, 0 doubled, {told}"


ROW = Row(
    name="kills",
    promise="`kill -9` of the agent costs at most the tick in hand",
    least="300 kills beside a live hub: 0 missing, 0 doubled, at most 1 tick each",
    parts=_PARTS,
    prove=prove,
    tell=_tell,
    unmet=fewer_than(300),
    side_by_side=2,
)
