"""A real spool on the disk under test: `python -m tests.proofs.vm.writer FOLDER SEED`.

Batches of all sizes go to two lanes, in short segments; a part of what is held is settled, as by a hub, so that
segments are unlinked between. What `append` calls durable is said aloud, and what is settled is said before.

A payload is its own witness: its first 32 bytes are the SHA-256 of the rest. It goes on until it is killed.
"""

import asyncio
import random
import sys
from hashlib import sha256
from pathlib import Path

from edge_agent.kit.chance import system_chance
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.disk import SystemDisk
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.offload import Threads
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import KIND_OF_LANE, Frame
from edge_agent.model.verdict import Settlement
from edge_agent.spool.options import EventsQuota, Options, Quota
from edge_agent.spool.spool import Spool
from tests.proofs.vm.words import digest, say

DEVICE = "powercut"
_ROOM = 2**20
"""Bytes that a lane may take: few, so that a segment is an eighth of a megabyte."""
_MOST_HELD = 24
_WITNESS = 32
_SIZES = ((200, 2_000), (2_000, 9_000), (9_000, 24_000))
_PAUSE = 0.02
_STORED = Settlement("stored")


def open_spool(folder: Path) -> Spool:
    """The spool that the writer has; whoever checks it opens it so too."""
    clock = SystemClock()
    lamps = LampBoard(clock, lambda _lamp: None)
    room = Options(
        telemetry=Quota(max_bytes=_ROOM), events=EventsQuota(max_bytes=_ROOM), min_free_bytes=0, min_free_inodes=0
    )
    return Spool(room, folder, DEVICE, SystemDisk(), Threads(), clock, system_chance(), lamps, Timekeeper(clock))


def bears_witness(payload: bytes) -> bool:
    """Whether a payload is one that a writer made, to its last byte."""
    return sha256(payload[_WITNESS:]).digest() == payload[:_WITNESS]


async def _write(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    spool = open_spool(folder)
    await spool.open()
    lanes = [spool.lane("telemetry"), spool.lane("events")]
    for lane in lanes:
        await _let_go(lane, chance)
    say("ready")
    at = 0
    while True:
        lane = chance.choice(lanes)
        at += 1
        body = chance.randbytes(chance.randint(*chance.choice(_SIZES)))
        frame = Frame(KIND_OF_LANE[lane.lane], lane.draw(), at, sha256(body).digest() + body)
        if not await lane.append(frame):
            await asyncio.sleep(_PAUSE)  # the disk takes nothing: what it took stays owed
            continue
        say(f"sealed {lane.lane} {frame.identity} {digest(frame)}")
        if lane.depth().frames > _MOST_HELD or chance.random() < 0.1:
            await _let_go(lane, chance)


async def _let_go(lane: Buffer, chance: random.Random) -> None:
    """Settle some of what is held: mostly the oldest, sometimes any."""
    held = list(await lane.oldest(_ROOM, 2 * _MOST_HELD))
    some = held[: len(held) // 2] if chance.random() < 0.7 else [frame for frame in held if chance.random() < 0.5]
    for frame in some:
        say(f"settled {lane.lane} {frame.identity}")
    await lane.settle({frame.identity: _STORED for frame in some})


if __name__ == "__main__":
    asyncio.run(_write(Path(sys.argv[1]), int(sys.argv[2])))
