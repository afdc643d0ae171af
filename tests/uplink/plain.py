"""Plain stand-ins for what the sealer meets: a buffer that keeps what it is given, and true time that is set."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from edge_agent.kit.lamps import LampBoard
from edge_agent.model.anchor import Anchor
from edge_agent.model.buffers import Depth
from edge_agent.model.frame import Frame, Holding, Identity, LaneName
from edge_agent.model.http import Answer
from edge_agent.model.lamp import Lamp, Lamps
from edge_agent.model.ports import Clock
from edge_agent.model.verdict import Settlement


@dataclass
class PlainBuffer:
    """`model.buffers.Buffer` as a list. While `gate` is not set, appends do not return, shielded if so told."""

    epoch: int = 7
    lane: LaneName = "telemetry"
    durable: bool = True
    shielded: bool = False
    frames: list[Frame] = field(default_factory=list)
    drawn: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def draw(self) -> Identity:
        self.drawn += 1
        return Identity(self.epoch, self.drawn - 1)

    async def append(self, frame: Frame) -> bool:
        with anyio.CancelScope(shield=self.shielded):
            await self.gate.wait()
        assert frame.identity not in {kept.identity for kept in self.frames}, "a frame is appended once"
        self.frames.append(frame)
        return self.durable

    async def adopt(self, frame: Frame) -> bool:
        for kept in self.frames:
            if kept.identity == frame.identity:
                assert kept == frame, "one number, one content"
                return self.durable
        self.frames.append(frame)
        return self.durable

    async def newest(self) -> Frame | None:
        return self.frames[-1] if self.frames else None

    async def oldest(self, most_bytes: int, most_frames: int) -> Sequence[Frame]:  # noqa: ARG002 - the port's signature
        return self.frames[:most_frames]

    async def settle(self, settled: Mapping[Identity, Settlement]) -> None:
        self.frames = [frame for frame in self.frames if frame.identity not in settled]

    async def filled(self) -> None:
        await self.gate.wait()

    def inventory(self) -> Sequence[Holding]:
        return ()

    def depth(self) -> Depth:
        return Depth(len(self.frames), sum(len(frame.payload) for frame in self.frames), None, self.durable)


@dataclass
class PlainTime:
    """`model.ports.TrueTime` as it is set."""

    known: Anchor | None = None

    def observe(self, answer: Answer) -> None:
        """Learn nothing."""

    def anchor(self) -> Anchor | None:
        return self.known

    def now(self) -> int | None:
        return None

    def turn(self) -> int:
        return 0


def _unheard(_lamp: Lamp) -> None:
    """Nobody listens to these lamps."""


def board(clock: Clock) -> LampBoard:
    """A board of lamps."""
    return LampBoard(clock, _unheard)


def state(lamps: Lamps, part: str) -> str | None:
    """The state of one lamp; None when it is not lit."""
    return next((lamp.state for lamp in lamps.all() if lamp.part == part), None)


def note(lamps: Lamps, part: str) -> str:
    """What one lamp says."""
    return next(lamp.note for lamp in lamps.all() if lamp.part == part)
