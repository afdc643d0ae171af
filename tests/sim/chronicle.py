"""The chronicle of a run: who did what at which virtual second, a line each, the same for the same seed."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from edge_agent.hub.exchange import Reply
from edge_agent.model.frame import Frame, FrameKind
from edge_agent.model.http import Request
from tests.sim.line import Passage
from tests.sim.witness import frames_in, results_of, short

_LANES = {
    FrameKind.TELEMETRY: "telemetry",
    FrameKind.EVENTS: "events",
    FrameKind.LOGS: "logs",
    FrameKind.REPORTS: "reports",
    FrameKind.THINNED: "thinned",
}


class Chronicle:
    """Notes lines; `lines` are written when they are asked for."""

    def __init__(self) -> None:
        self._notes: list[tuple[float, str, str]] = []
        self._passages: dict[int, tuple[Passage, Request, Reply | None]] = {}
        self.now = 0.0
        """The virtual second of the last note."""

    @property
    def lines(self) -> list[str]:
        """Everything that was noted."""
        written = []
        for number, (at, who, what) in enumerate(self._notes):
            passage = self._passages.get(number)
            said = what if passage is None else _told(*passage)
            written.append(f"{at:9.3f}  {who:<9} {said}".rstrip())
        return written

    def note(self, who: str, what: str) -> None:
        """Somebody did something."""
        with suppress(RuntimeError):  # once the run is over its last second stands
            self.now = asyncio.get_running_loop().time()
        self._notes.append((self.now, who, what))

    def passage(self, passage: Passage, request: Request, reply: Reply | None) -> None:
        """A request's fate is known."""
        self._passages[len(self._notes)] = (passage, request, reply)
        self.note("line", "")

    def audit(self, found: Mapping[str, Any]) -> None:
        """What the hub says of every epoch."""
        for epoch in found["epochs"]:
            names = ("next", "stored", "thinned", "held", "missing", "readings")
            figures = ", ".join(f"{name} {epoch[name]}" for name in names)
            lost = ", ".join(f"{reason} {count}" for reason, count in sorted(epoch["lost"].items()))
            self.note("audit", f"{epoch['lane']} {epoch['epoch'][:5]}: {figures}, lost {lost or 0}")


def _told(passage: Passage, request: Request, reply: Reply | None) -> str:
    parts = [f"{passage.method} {passage.path.removeprefix('/api/v1')}"]
    frames: dict[str, list[Frame]] = {}
    for frame in frames_in(request.body):
        frames.setdefault(_LANES.get(FrameKind(frame.kind), "?"), []).append(frame)
    parts += [f"{lane} {_listed(some)}" for lane, some in frames.items()]
    if request.body:
        parts.append(f"{len(request.body)} bytes")
    parts.append(f"left {passage.at:.3f}: {passage.fate}")
    if reply is not None:
        words = Counter(status if code == "None" else f"{status} {code}" for _, status, code in results_of(reply.body))
        parts += [f"{count} {word}" for word, count in sorted(words.items())]
    return ", ".join(parts)


def _listed(frames: list[Frame]) -> str:
    """Numbers of frames, runs of one epoch joined."""
    runs: list[list[int]] = []
    for epoch, seq in (frame.identity for frame in frames):
        if runs and runs[-1][0] == epoch and runs[-1][2] + 1 == seq:
            runs[-1][2] = seq
        else:
            runs.append([epoch, seq, seq])
    return " ".join(
        short(frames[0].identity._replace(epoch=epoch, seq=first)) + (f"-{last}" if last > first else "")
        for epoch, first, last in runs
    )
