"""Load on a real hub by the agent's own pusher and session, and a ledger of what the hub answered.

Each `Source` is a device: it seals frames at its pace, at most so many unsettled, keeps them in memory as a buffer
does, and notes each word of the hub. What the hub acknowledged must be in its store for ever, bytes and all; what it
did not acknowledge is offered until it is.
"""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import anyio

from edge_agent.dialects.native import Native
from edge_agent.kit.clock import SystemClock
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.offload import Threads
from edge_agent.kit.scopes import running
from edge_agent.link.keyfile import GivenKey
from edge_agent.link.origin import Origin
from edge_agent.link.session import Options as LinkOptions
from edge_agent.link.session import Session
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.buffers import Depth
from edge_agent.model.frame import Frame, FrameKind, Holding, Identity, LaneName
from edge_agent.model.ranges import ranges_of
from edge_agent.model.reading import Reading, Tick
from edge_agent.model.verdict import Settlement
from edge_agent.uplink.pusher import Options as PusherOptions
from edge_agent.uplink.pusher import Pusher
from edge_agent.wire.batch import BatchBuilder
from tests.proofs.real import PATIENCE, Device

_PAUSE = 0.01
_AT_A_TIME = 2
_MOST_UNSETTLED = 60
_TICKS = 10
_SERIES = 6
_PATIENT = LinkOptions(connect_timeout=1.0, first_byte_timeout=5.0, exchange_timeout=10.0)


class Source:
    """A device that pushes what it makes up. `sealed` holds every payload, `answered` the hub's word on each."""

    def __init__(self, device: Device, clock: SystemClock, offload: Threads, chance: Random) -> None:
        self.device = device
        self.sealed: dict[Identity, bytes] = {}
        self.answered: dict[Identity, Settlement] = {}
        self._clock, self._chance = clock, chance
        self._epoch = chance.getrandbits(63)
        self._held: dict[Identity, Frame] = {}
        self._more = asyncio.Event()
        origin = Origin.parse(f"http://127.0.0.1:{device.hub_port}")
        time = Timekeeper(clock)
        self.session = Session(_PATIENT, origin, GivenKey(device.key_file.read_text().strip()), clock, time, offload)
        self._pusher = Pusher(
            PusherOptions(backoff_most=0.3),
            {"telemetry": self},
            Native(device.name),
            self.session,
            clock,
            chance,
            time,
            LampBoard(clock, lambda _lamp: None),
        )

    async def run_until(self, enough: asyncio.Event) -> None:
        """Make frames and push them until told that it is enough, then push the rest."""
        async with running(self._pusher):
            while not enough.is_set():
                for _ in range(min(_AT_A_TIME, _MOST_UNSETTLED - len(self._held))):
                    self._seal()
                await asyncio.sleep(_PAUSE)
            with anyio.move_on_after(PATIENCE):
                while self._held:  # noqa: ASYNC110 - what is waited for happens in another process
                    await asyncio.sleep(_PAUSE)
        await self.session.close()

    def _seal(self) -> None:
        identity = self.draw()
        builder = BatchBuilder(self._clock.axis, {"device.id": self.device.name})
        now = self._clock.now()
        for tick in range(_TICKS):
            builder.add(Tick("load", now + tick, tuple(self._reading(number) for number in range(_SERIES))))
        payload = builder.pack(None, {"number": identity.seq})
        self.sealed[identity] = payload
        self._held[identity] = Frame(FrameKind.TELEMETRY, identity, now, payload)
        self._more.set()

    def _reading(self, number: int) -> Reading:
        return Reading(f"load.{number}", float(self._chance.randrange(10**6)), "1")

    # The rest is `model.buffers.Buffer`.

    @property
    def lane(self) -> LaneName:
        return "telemetry"

    def draw(self) -> Identity:
        return Identity(self._epoch, len(self.sealed))

    async def append(self, frame: Frame) -> bool:
        raise AssertionError(f"nobody gives this buffer a frame: {frame.identity}")

    async def adopt(self, frame: Frame) -> bool:
        raise AssertionError(f"nobody gives this buffer a frame: {frame.identity}")

    async def newest(self) -> Frame | None:
        return next(reversed(self._held.values()), None)

    async def oldest(self, most_bytes: int, most_frames: int) -> Sequence[Frame]:  # noqa: ARG002 - the port's signature
        return list(self._held.values())[:most_frames]

    async def settle(self, settled: Mapping[Identity, Settlement]) -> None:
        for identity, settlement in settled.items():
            if self._held.pop(identity, None) is not None:
                self.answered[identity] = settlement

    async def filled(self) -> None:
        while not self._held:
            self._more.clear()
            await self._more.wait()

    def inventory(self) -> Sequence[Holding]:
        return [Holding("telemetry", self._epoch, len(self.sealed), ranges_of(identity.seq for identity in self._held))]

    def depth(self) -> Depth:
        return Depth(len(self._held), sum(len(frame.payload) for frame in self._held.values()), None, durable=False)


def stored_frames(hub: Path, device: str) -> list[tuple[Identity, bytes]]:
    """Every telemetry frame of a device in the store, with its payload."""
    with closing(sqlite3.connect(f"file:{hub}/hub.sqlite?mode=ro", uri=True, timeout=PATIENCE)) as database:
        rows = database.execute(
            "SELECT frame.epoch, seq, payload FROM frame JOIN payload ON payload.frame = frame.id"
            " JOIN sender ON sender.id = frame.sender WHERE kind = ? AND device = ?",
            (FrameKind.TELEMETRY, device),
        ).fetchall()
    return [(Identity(epoch, seq), payload) for epoch, seq, payload in rows]
