"""A fleet in virtual time: of each device the real pusher and listener, of its spool and its sealing what they come to.

A device's telemetry is a function of time: one frame every ten seconds, from its first seal on; what is held is what
the hub did not settle. The first seal is where `uplink.sealer` has it: a drawn share of ten seconds after the start.
All devices share one hub, which can be away, and counts each request that reaches its door.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Literal

import anyio
import orjson

from edge_agent.dialects.native import Native
from edge_agent.downlink.listener import Listener
from edge_agent.downlink.listener import Options as ListenerOptions
from edge_agent.hub.store.failure import RETRY_AFTER_SECONDS
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.scopes import running
from edge_agent.model.buffers import Depth
from edge_agent.model.frame import Frame, FrameKind, Holding, Identity
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.ports import Stream
from edge_agent.model.verdict import Settlement
from edge_agent.model.word import Hello, Word
from edge_agent.uplink.pusher import Options, Pusher
from edge_agent.wire.frame import encoded_size, split
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.sim.offload import InlineOffload
from tests.uplink.scripted import KnownTime

Absence = Literal["refuses", "swallows", "busy"]
"""How a hub is away: nobody answers the door, nothing ever answers, or it asks all to wait."""

EVERY = 10_000
"""Ms from seal to seal."""
_PAYLOAD = bytes(2_650)
"""Ten ticks of 150 readings, packed."""
_FRAME_BYTES = encoded_size(Frame(FrameKind.TELEMETRY, Identity(1, 0), 0, _PAYLOAD))
_OFFSET = 1_800_000_000_000
_SPREAD = 30.0


class Hub:
    """The one hub. `arrivals` are the axis ms at which a request reached it."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.away: Absence | None = None
        self.arrivals: list[int] = []
        self.frames = 0
        self._left = anyio.Event()

    def leave(self, how: Absence) -> None:
        """Be away from now on: streams break."""
        self.away = how
        self._left.set()
        self._left = anyio.Event()

    def come_back(self) -> None:
        """Be there again."""
        self.away = None
        self.arrivals.clear()

    async def gone(self) -> None:
        """Wait until it leaves."""
        await self._left.wait()

    async def answer(self, request: Request) -> tuple[int, Mapping[str, str], bytes] | Unreachable:
        """What a request comes to; one that is refused at the door did not arrive."""
        match self.away:
            case "refuses":
                return Unreachable("no connection", sent=False)
            case "swallows":
                await self._clock.sleep(20)
                return Unreachable("no answer in time")
            case "busy":
                self.arrivals.append(self._clock.now())
                return 503, {"retry-after": str(RETRY_AFTER_SECONDS)}, b""
            case None:
                pass
        self.arrivals.append(self._clock.now())
        if request.method == "GET":
            return (200 if request.path.endswith("/stream") else 204), {"content-type": "text/event-stream"}, b""
        frames = split(request.body)
        self.frames += len(frames)
        entries = [
            {"epoch": f"{frame.identity.epoch:016x}", "seq": frame.identity.seq, "status": "stored"} for frame in frames
        ]
        return 200, {"content-type": "application/json"}, orjson.dumps({"results": entries})


class _Way:
    """The way of one device to the hub. Implements the port `Link`."""

    def __init__(self, hub: Hub, clock: SimClock, chance: Random) -> None:
        self._hub, self._clock, self._chance = hub, clock, chance

    async def exchange(self, request: Request) -> Answer | Unreachable:
        sent_at = self._clock.now()
        await self._clock.sleep(self._chance.uniform(0.01, 0.04))
        reply = await self._hub.answer(request)
        if isinstance(reply, Unreachable):
            return reply
        await self._clock.sleep(self._chance.uniform(0.01, 0.04))
        return Answer(*reply, sent_at, self._clock.now())

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream | Unreachable]:
        answer = await self.exchange(request)
        yield answer if isinstance(answer, Unreachable) else _Standing(answer, self._hub)


class _Standing:
    """A stream that says hello, and then nothing until the hub leaves. Implements the port `Stream`."""

    def __init__(self, answer: Answer, hub: Hub) -> None:
        self._answer, self._hub = answer, hub
        self._said = False

    @property
    def answer(self) -> Answer:
        return self._answer

    async def read(self) -> bytes:
        if self._said:
            await self._hub.gone()
            return b""
        self._said = True
        return b'event: hello\ndata: {"hub_epoch":"a"}\n\n'


class _Sealed:
    """The telemetry of one device as a function of time. Implements the port `Buffer`, but for what fills it."""

    lane: Literal["telemetry"] = "telemetry"

    def __init__(self, clock: SimClock, epoch: int, first: int, before: int) -> None:
        """`first` is the axis ms of the first seal of this life, `before` how many frames earlier lives left."""
        self._clock, self._epoch, self._first, self._before = clock, epoch, first, before
        self._next = 0
        self._beyond: set[int] = set()

    @property
    def _end(self) -> int:
        """The number after the last that is sealed."""
        return self._before + max(0, (self._clock.now() - self._first) // EVERY + 1)

    def _frame(self, seq: int) -> Frame:
        return Frame(FrameKind.TELEMETRY, Identity(self._epoch, seq), 0, _PAYLOAD)

    async def newest(self) -> Frame | None:
        last = self._end - 1
        held = last >= max(self._next, self._before) and last not in self._beyond
        return self._frame(last) if held else None

    async def oldest(self, most_bytes: int, most_frames: int) -> Sequence[Frame]:
        most = max(1, min(most_frames, most_bytes // _FRAME_BYTES))
        found: list[Frame] = []
        for seq in range(self._next, self._end):
            if len(found) == most:
                break
            if seq not in self._beyond:
                found.append(self._frame(seq))
        return found

    async def settle(self, settled: Mapping[Identity, Settlement]) -> None:
        self._beyond |= {identity.seq for identity in settled}
        while self._next in self._beyond:
            self._beyond.discard(self._next)
            self._next += 1

    async def filled(self) -> None:
        while not self.depth().frames:
            await self._clock.sleep_until(self._first + (self._end - self._before) * EVERY)

    def inventory(self) -> Sequence[Holding]:
        return [Holding("telemetry", self._epoch, self._end, ((self._next, self._end),))]

    def depth(self) -> Depth:
        frames = self._end - self._next - len(self._beyond)
        return Depth(frames, frames * _FRAME_BYTES, None, durable=True)

    def draw(self) -> Identity:
        raise AssertionError("frames are sealed by time alone")

    async def append(self, frame: Frame) -> bool:
        raise AssertionError(f"{frame.identity}: frames are sealed by time alone")

    async def adopt(self, frame: Frame) -> bool:
        raise AssertionError(f"{frame.identity}: frames are sealed by time alone")


class Device:
    """One device. The port `Part`: lives until cancelled."""

    def __init__(self, number: int, seed: int, clock: SimClock, hub: Hub, before: int, *, just_booted: bool) -> None:
        chance = Random(f"{seed}/{number}")
        self._clock = clock
        self._spread = chance.random() * _SPREAD if just_booted else 0.0
        self.name = f"car-{number}"
        self._dialect = Native(self.name)
        self._way = _Way(hub, clock, chance)
        lamps = LampBoard(clock, lambda _lamp: None)
        first = clock.now() + round((1 - chance.random()) * EVERY * 0.95)
        self.sealed = _Sealed(clock, chance.getrandbits(62), first, before)
        self._pusher = Pusher(
            Options(),
            {"telemetry": self.sealed},
            self._dialect,
            self._way,
            clock,
            chance,
            KnownTime(clock, _OFFSET),
            lamps,
        )
        self._listener = Listener(
            ListenerOptions(idle=0),
            self._dialect,
            self._way,
            clock,
            chance,
            lamps,
            MemoryDisk(),
            InlineOffload(),
            Path("/state/last-event-id"),
            self._hear,
        )

    async def run(self) -> None:
        """Push at once; follow the stream, a drawn time later when the power just came (`agent.agent`)."""
        async with running(self._pusher):
            await self._clock.sleep(self._spread)
            async with running(self._listener):
                await anyio.sleep_forever()

    async def _hear(self, word: Word) -> None:
        if isinstance(word, Hello):
            self._pusher.heard()
            await self._way.exchange(self._dialect.config())


@asynccontextmanager
async def fleet(devices: Sequence[Device]) -> AsyncIterator[None]:
    """All of them, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(anyio.create_task_group())
        for device in devices:
            group.start_soon(device.run, name=device.name)
        yield
        group.cancel_scope.cancel()
