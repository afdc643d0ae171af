"""How fast a backlog leaves: the agent's own spool, pusher and session in this process, against a hub of its own.

The spool is filled once, frame by frame, and copied for each round, each into a new hub with an empty store on the
disk. A round lasts from the first push (the connection stands by then, and what is imported late is) to the last
settlement. What the hub stored is asked of its audit, and must be every reading.
"""

import asyncio
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from edge_agent.dialects.native import OFFER
from edge_agent.dialects.native import Options as NativeOptions
from edge_agent.kit.chance import system_chance
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.offload import Threads
from edge_agent.kit.scopes import running
from edge_agent.link.keyfile import KeyFile
from edge_agent.link.origin import Origin
from edge_agent.link.session import Options as LinkOptions
from edge_agent.link.session import Session
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.frame import LANES, Frame, FrameKind
from edge_agent.model.http import Request, Unreachable
from edge_agent.uplink.pusher import Options as PusherOptions
from edge_agent.uplink.pusher import Pusher
from tests.bench.batches import SERIES, batches
from tests.bench.daemons import HubProcess, start_hub
from tests.bench.figures import Sheet, typical
from tests.bench.flash import open_spool
from tests.bench.place import Place

_DEVICE = "drains"
_TICKS = 60
_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class _Drained:
    """One round."""

    seconds: float
    requests: int


def measure(place: Place, sheet: Sheet, readings: int, rounds: int) -> None:
    """Fill a spool with at least so many readings, and drain it again and again."""
    frames = -(-readings // (SERIES * _TICKS))
    full = place.folder("full-spool")
    began = time.perf_counter()
    asyncio.run(_fill(full, frames))
    filled = frames / (time.perf_counter() - began)
    speeds, requests = [], 0
    for _ in range(rounds):
        spool = place.folder("spool")
        shutil.copytree(full, spool, dirs_exist_ok=True)
        hub = start_hub(place, [_DEVICE])
        drained = asyncio.run(_drain(spool, hub))
        stored = hub.audit(_DEVICE)
        hub.child.end()
        if stored != (frames, frames * SERIES * _TICKS):
            raise RuntimeError(f"of {frames} frames the hub stored {stored[0]}, with {stored[1]} readings")
        speeds.append(stored[1] / drained.seconds)
        requests = drained.requests
    note = f"{frames} frames of {_TICKS} ticks in {requests} requests; every one in the hub's audit"
    sheet.add(typical("drain", "backlog to a durable hub", speeds, "readings/s", note=note))
    sheet.add(typical("drain", "built and sealed into the spool", [filled], "frames/s", note="one fdatasync each"))


async def _fill(folder: Path, frames: int) -> None:
    clock = SystemClock()
    spool = open_spool(folder, _DEVICE)
    await spool.open()
    lane = spool.lane("telemetry")
    for payload in batches(frames, _TICKS, clock.axis, clock.now()):
        if not await lane.append(Frame(FrameKind.TELEMETRY, lane.draw(), clock.now(), payload)):
            raise RuntimeError("the spool did not take a frame to the disk")
    await spool.close()


async def _drain(folder: Path, hub: HubProcess) -> _Drained:
    clock = SystemClock()
    known, threads = Timekeeper(clock), Threads()
    spool = open_spool(folder, _DEVICE)
    await spool.open()
    origin = Origin.parse(f"http://127.0.0.1:{hub.port}")
    session = Session(LinkOptions(), origin, KeyFile(hub.key_files[_DEVICE]), clock, known, threads)
    buffers = {lane: spool.lane(lane) for lane in LANES}
    dialect = OFFER.build(NativeOptions(), _DEVICE)
    lamps = LampBoard(clock, lambda _lamp: None)
    pusher = Pusher(
        PusherOptions(backfill_rate="unlimited"), buffers, dialect, session, clock, system_chance(), known, lamps
    )
    try:
        first = await session.exchange(Request("GET", "/healthz"))
        if isinstance(first, Unreachable):
            raise RuntimeError(f"the hub is not there: {first.reason}")  # noqa: TRY004 - a value tells that it failed
        began = time.perf_counter()
        async with running(pusher):
            await pusher.drained(within=_WITHIN)
        return _Drained(time.perf_counter() - began, pusher.progress.requests)
    finally:
        await session.close()
        await spool.close()
