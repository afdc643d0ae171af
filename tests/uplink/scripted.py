"""What a pusher meets: lanes in memory, a link whose answers a scene writes, and a hub that stores by the rules."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import orjson

from edge_agent.model.anchor import Anchor
from edge_agent.model.buffers import Depth
from edge_agent.model.frame import KIND_OF_LANE, Frame, Holding, Identity, LaneName
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.ports import Clock, Stream
from edge_agent.model.verdict import Settlement
from edge_agent.wire.frame import encoded_size, split
from edge_agent.wire.problem import CONTENT_TYPE, Problem

Respond = Callable[[Request, Sequence[Frame]], Answer | Unreachable]


class MemoryLane:
    """`model.buffers.Buffer` without a disk; `settled` keeps what was let go of, and how."""

    def __init__(self, lane: LaneName, epoch: int) -> None:
        self._lane: LaneName = lane
        self._epoch = epoch
        self._next = 0
        self._filled = asyncio.Event()
        self.held: dict[Identity, Frame] = {}
        self.settled: dict[Identity, Settlement] = {}

    @property
    def lane(self) -> LaneName:
        return self._lane

    def put(self, payload: bytes = b"x") -> Frame:
        """Seal a frame of so many bytes."""
        frame = Frame(KIND_OF_LANE[self._lane], self.draw(), 0, payload)
        self.held[frame.identity] = frame
        self._filled.set()
        return frame

    def evict(self, frame: Frame) -> None:
        """Drop a frame, as a quota does."""
        del self.held[frame.identity]

    def draw(self) -> Identity:
        self._next += 1
        return Identity(self._epoch, self._next - 1)

    async def append(self, frame: Frame) -> bool:
        self.held[frame.identity] = frame
        self._filled.set()
        return True

    async def adopt(self, frame: Frame) -> bool:
        return await self.append(frame)

    async def newest(self) -> Frame | None:
        return self.held.get(Identity(self._epoch, self._next - 1))

    async def oldest(self, most_bytes: int, most_frames: int) -> Sequence[Frame]:
        found: list[Frame] = []
        for _, frame in sorted(self.held.items()):
            if found and (len(found) == most_frames or most_bytes < sum(map(encoded_size, [*found, frame]))):
                break
            found.append(frame)
        return found

    async def settle(self, settled: Mapping[Identity, Settlement]) -> None:
        for identity, settlement in settled.items():
            if self.held.pop(identity, None) is not None:
                self.settled[identity] = settlement

    async def filled(self) -> None:
        while not self.held:
            self._filled.clear()
            await self._filled.wait()

    def inventory(self) -> Sequence[Holding]:
        return [Holding(self._lane, self._epoch, self._next, ())] if self._next else []

    def depth(self) -> Depth:
        return Depth(len(self.held), sum(map(encoded_size, self.held.values())), None, durable=True)


class ScriptedLink:
    """`model.ports.Link`: each exchange takes `delay` virtual seconds and is answered by `respond`."""

    def __init__(self, clock: Clock, respond: Respond, delay: float = 0.05) -> None:
        self._clock = clock
        self.respond = respond
        self.delay = delay
        self.pushes: list[list[Frame]] = []
        self.requests: list[Request] = []
        self.times: list[int] = []

    async def exchange(self, request: Request) -> Answer | Unreachable:
        frames = split(request.body)
        self.times.append(self._clock.now())
        self.requests.append(request)
        self.pushes.append(frames)
        sent_at = self._clock.now()
        answer = self.respond(request, frames)
        await self._clock.sleep(self.delay)
        if isinstance(answer, Unreachable):
            return answer
        return Answer(answer.status, answer.headers, answer.body, sent_at, self._clock.now())

    @asynccontextmanager
    async def stream(self, _request: Request) -> AsyncIterator[Stream | Unreachable]:
        yield Unreachable("this link has no streams")


class KnownTime:
    """`model.ports.TrueTime` that knows what a scene says."""

    def __init__(self, clock: Clock, offset: int | None = None) -> None:
        self._clock = clock
        self.offset = offset
        self.turns_at = 0

    def observe(self, answer: Answer) -> None:
        """The link's business, not the pusher's."""

    def anchor(self) -> Anchor | None:
        return None if self.offset is None else Anchor(self.offset, self.offset, 0)

    def now(self) -> int | None:
        return None if self.offset is None else self._clock.now() + self.offset

    def turn(self) -> int:
        return self.turns_at


def answered(status: int, body: bytes = b"", content_type: str = "text/html", **headers: str) -> Answer:
    """Any answer; the link fills in its times."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"content-type": content_type, **named}, body, 0, 0)


def refused(status: int, code: str, frame: Frame | None = None, **extra: object) -> Answer:
    """A problem document, naming a frame or not."""
    named = {} if frame is None else {"epoch": f"{frame.identity.epoch:016x}", "seq": frame.identity.seq}
    return answered(status, Problem(status, code, "Title", extra={**named, **extra}).body(), CONTENT_TYPE)


def settling(statuses: Mapping[Identity, str], code: str = "bad_batch") -> Answer:
    """A 200 that settles these; what is rejected in it has this code."""
    entries = [
        {"epoch": f"{epoch:016x}", "seq": seq, "status": status, **({"code": code} if status == "rejected" else {})}
        for (epoch, seq), status in statuses.items()
    ]
    return answered(200, orjson.dumps({"results": entries}), "application/json")


def storing(_request: Request, frames: Sequence[Frame]) -> Answer:
    """A hub that stores everything."""
    return settling({frame.identity: "stored" for frame in frames})


class Trouble:
    """A line and a hub that fail in every way now and then: what was stored is told late, by halves, or never."""

    def __init__(self, chance: random.Random, hub: "Hub") -> None:
        self._chance = chance
        self._hub = hub

    def __call__(self, request: Request, frames: Sequence[Frame]) -> Answer | Unreachable:
        roll = self._chance.random()
        if roll < 0.15:
            return Unreachable("the request was lost")
        if roll < 0.3:
            return self._chance.choice(
                [
                    answered(500),
                    answered(413),
                    answered(200, b"<html>"),
                    answered(401),
                    refused(400, "clock_skew", hub_time=1_800_000_000_000),
                    settling({}),
                    answered(429, retry_after="7"),
                ]
            )
        answer = self._hub(request, frames)
        if roll < 0.45:
            return Unreachable("the answer was lost")
        if roll < 0.55:
            told = [frame.identity for frame in frames if self._chance.random() < 0.5]
            return settling({identity: "stored" for identity in told if identity in self._hub.stored})
        return answer


class Hub:
    """Stores by identity, and refuses bad frames as the real one does: by result, or as a problem when alone."""

    def __init__(self, bad: Iterable[Identity] = ()) -> None:
        self.bad = set(bad)
        self.stored: dict[Identity, bytes] = {}
        self.repeats = 0

    def __call__(self, _request: Request, frames: Sequence[Frame]) -> Answer:
        if any(frame.identity in self.bad for frame in frames):
            return refused(400, "bad_batch", frames[0] if len(frames) == 1 else None)
        statuses = {frame.identity: self._store(frame) for frame in frames}
        return settling(statuses)

    def _store(self, frame: Frame) -> str:
        if frame.identity in self.stored:
            self.repeats += 1
            return "duplicate"
        self.stored[frame.identity] = frame.payload
        return "stored"
