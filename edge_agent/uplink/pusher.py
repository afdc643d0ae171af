"""The pusher: empties the buffers toward the hub, one request at a time, and lets go only of what the hub named.

Order: reports, the newest telemetry, events and logs in one small request, so that what matters now is there first;
then the telemetry backlog, oldest first, in requests of up to `most_bytes`. The two take turns while both have frames.

What an answer means (`model.verdict`):

    Delivered     each named frame is settled in its lane; the others come again. A request that settled nothing is
                  halved at once, down to one frame: the culprit stands alone, and the hub's word falls on it only.
                  One frame alone that stays unsettled steps back behind all others.
    TooLarge      the size is remembered, halved or as the hub says, and doubled again after so many large requests
                  that were settled. One frame alone steps back likewise.
    Skewed        sent again at once, stamped with the time that the hub named; if it persists, unstamped. Both hold
                  for an hour; then the device's own knowledge is tried again.
    Later         full-jitter backoff, at least as long as the hub asks; no answer at all is the same. Each failure
                  halves the number of frames (a slow line carries small requests), each full request that is
                  settled doubles it.
    Unauthorized  a slow probe, or at once when the key changed
    Refused       a slow probe

Every way out of a request either settled something, asks for less than before, or waits: there is no hot loop.
Idle means waiting for `Buffer.filled`; nothing is polled. The lamp is `hub`, and says nothing of this device's own
disk: what is held and cannot be read now is waited for, and its buffer has a lamp of its own.

Not handled here: pacing of the backlog (`backfill_rate`, bytes a day), and sealing below a learned limit.
"""

from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import anyio

from edge_agent.kit.backoff import Backoff
from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import Identity, LaneName
from edge_agent.model.http import Answer, Unreachable
from edge_agent.model.lamp import Lamps
from edge_agent.model.offers import Dialect, Dispatch
from edge_agent.model.ports import Chance, Clock, Link, TrueTime
from edge_agent.model.quantity import Interval, Room
from edge_agent.model.verdict import Delivered, Later, Refused, Settlement, Skewed, TooLarge, Unauthorized, Verdict
from edge_agent.uplink.load import Load

LAMP = "hub"
"""The part whose lamp this is."""

_SKEW_MEMORY_MS = 3_600_000
_NUDGE_MS = 60_000
_MOST_ASIDE = 16
_TRUST_AFTER = 32
"""So many large requests are settled before larger ones are tried again: a refused one costs little beside them."""
_UNREADABLE_LEAST, _UNREADABLE_MOST = 1.0, 60.0
"""Seconds until what could not be read is tried again: when there is something new, and when there is not."""


@dataclass(frozen=True, slots=True)
class Options:
    """How much is sent at once, and how patiently."""

    most_bytes: Room = 2**20
    """The largest request; a frame larger than that goes alone."""
    most_frames: int = 500
    """The most frames of a request: an answer that names each of them stays below 64 KiB."""
    backoff_most: Interval = 300.0
    """The ceiling of the waits between failed attempts."""
    probe_least: Interval = 60.0
    """The shortest wait before a wrong door or a refused key is tried again."""
    probe_most: Interval = 300.0
    """The longest."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What came of it since this pusher began."""

    frames: int
    """Frames that the hub settled."""
    bytes: int
    """Bytes of request bodies, repeats included."""
    requests: int
    last_ack: int | None
    """Axis ms of the last answer that settled something."""
    waiting: str | None
    """Why nothing is sent just now though something is held."""


@dataclass(frozen=True, slots=True)
class _Pause:
    """A wait until an axis time (ms), and what may end it sooner: a nudge, or something new to push."""

    until: int
    why: str
    breakable: bool = False
    fillable: bool = False


class Pusher:
    """Pushes what the buffers hold. `run` lives until cancelled; `drained` waits for it."""

    def __init__(
        self,
        options: Options,
        buffers: Mapping[LaneName, Buffer],
        dialect: Dialect,
        link: Link,
        clock: Clock,
        chance: Chance,
        time: TrueTime,
        lamps: Lamps,
    ) -> None:
        self._options = options
        self._buffers = buffers
        self._dialect = dialect
        self._link = link
        self._clock = clock
        self._chance = chance
        self._time = time
        self._lamps = lamps
        self._backoff = Backoff(chance, most=options.backoff_most)
        self._limit = options.most_bytes
        self._large = 0
        self._appetite = options.most_frames
        self._aside: dict[Identity, int] = {}
        self._backlog_next = False
        self._skews = 0
        self._skewed_until = 0
        self._hub_offset: int | None = None
        self._pause: _Pause | None = None
        self._wake = anyio.Event()
        self._moved = anyio.Event()
        self._nudged_at: int | None = None
        self._frames = self._bytes = self._requests = 0
        self._last_ack: int | None = None

    @property
    def progress(self) -> Progress:
        """How far it came."""
        waiting = None if self._pause is None else self._pause.why
        return Progress(self._frames, self._bytes, self._requests, self._last_ack, waiting)

    def nudge(self) -> None:
        """Something new should go soon (a seal, a flush, a hub that was heard of): end a wait between attempts.

        Not one that the hub asked for, nor a slow probe; and at most once a minute, so that a nudge at every seal
        does not undo the backoff.
        """
        now = self._clock.now()
        rested = self._nudged_at is None or now - self._nudged_at >= _NUDGE_MS
        if self._pause is not None and self._pause.breakable and rested:
            self._nudged_at = now
            self._wake.set()

    def key_changed(self) -> None:
        """There is another key: whatever is waited for, try at once."""
        self._wake.set()

    async def run(self) -> NoReturn:
        """Push for as long as the agent lives."""
        while True:
            if not self._holds():
                self._backlog_next = False
                await self._filled()
            pause = await self._attempt()
            self._stir()
            if pause is not None:
                await self._rest(pause)

    async def drained(self, within: float) -> None:
        """Wait until nothing is held, or for so many seconds, or until no attempt is left before they are over.

        `run` does the pushing meanwhile: a request in flight is not cut, since its frames would then go twice.
        """
        deadline = self._clock.now() + within * 1000

        async def settled() -> None:
            while self._holds() and (self._pause is None or self._pause.until < deadline):
                await self._moved.wait()

        await _first(settled, partial(self._clock.sleep, within))

    async def _filled(self) -> None:
        await _first(*(buffer.filled for buffer in self._buffers.values()))

    async def _refilled(self) -> None:
        # Not at once: a buffer may take for readable what it just failed to read.
        await self._clock.sleep(_UNREADABLE_LEAST)
        await self._filled()

    def _holds(self) -> bool:
        return any(buffer.depth().frames for buffer in self._buffers.values())

    def _stir(self) -> None:
        """Let whoever waits for an empty buffer look again."""
        self._moved.set()
        self._moved = anyio.Event()

    async def _rest(self, pause: _Pause) -> None:
        self._pause = pause
        self._stir()
        try:
            sooner = [self._refilled] if pause.fillable else []
            await _first(partial(self._clock.sleep_until, pause.until), self._wake.wait, *sooner)
        finally:
            # Only now: a key that changed during the request must end the wait that follows from the old one.
            self._pause, self._wake = None, anyio.Event()

    async def _attempt(self) -> _Pause | None:
        """One request and what follows from it: a wait, or None to go on at once."""
        load = await self._pick(self._aside.keys())
        while not load.frames and self._aside:
            # Nothing else is left, so the one that has been aside for longest is tried, or forgotten if it is gone.
            longest = next(iter(self._aside))
            load = await self._pick(self._aside.keys() - {longest})
            if not load.frames:
                del self._aside[longest]
        if not load.frames:
            until = self._clock.now() + round(_UNREADABLE_MOST * 1000)
            return _Pause(until, "what is held cannot be read", breakable=True, fillable=True)
        request = self._dialect.push(load.frames, self._dispatch())
        self._requests += 1
        self._bytes += len(request.body)
        answer = await self._link.exchange(request)
        if isinstance(answer, Unreachable):
            return self._later(load, Later(answer.reason))
        return await self._follow(load, answer, self._dialect.verdict(load.frames, answer))

    async def _pick(self, without: Container[Identity]) -> Load:
        """What goes next: the urgent or the backlog, whose turn it is, or the other when that has nothing."""
        load = Load(self._limit, self._appetite)
        picks = [self._pick_urgent, self._pick_backlog]
        for pick in reversed(picks) if self._backlog_next else picks:
            await pick(load, without)
            if load.frames:
                break
        return load

    async def _pick_urgent(self, load: Load, without: Container[Identity]) -> None:
        await self._pick_oldest("reports", load, without)
        newest = await self._buffers["telemetry"].newest() if "telemetry" in self._buffers else None
        if newest is not None and newest.identity not in without:
            load.add("telemetry", newest)
        await self._pick_oldest("events", load, without)
        await self._pick_oldest("logs", load, without)

    async def _pick_backlog(self, load: Load, without: Container[Identity]) -> None:
        await self._pick_oldest("telemetry", load, without)

    async def _pick_oldest(self, lane: LaneName, load: Load, without: Container[Identity]) -> None:
        room_bytes, room_frames = load.room
        if lane not in self._buffers or room_bytes <= 0 or room_frames <= 0:
            return
        # What stepped aside still stands first in its lane, and must not take the others' room.
        aside_bytes, aside_frames = sum(self._aside.values()), len(self._aside)
        for frame in await self._buffers[lane].oldest(room_bytes + aside_bytes, room_frames + aside_frames):
            if frame.identity not in without and not load.add(lane, frame):
                return

    def _dispatch(self) -> Dispatch:
        now = self._clock.now()
        inventory = [holding for buffer in self._buffers.values() for holding in buffer.inventory()]
        return Dispatch(self._stamp(now), {self._clock.axis: now}, inventory)

    def _stamp(self, now: int) -> int | None:
        """True time as the hub will believe it, in Unix ms."""
        if now >= self._skewed_until:
            self._skews = 0
        if self._skews == 0:
            return self._time.now()
        if self._skews == 1:
            return self._time.now() if self._hub_offset is None else now + self._hub_offset
        return None

    async def _follow(self, load: Load, answer: Answer, verdict: Verdict) -> _Pause | None:
        match verdict:
            case Delivered():
                return await self._delivered(load, verdict)
            case TooLarge():
                return self._too_large(load, verdict.limit)
            case Skewed():
                return self._skewed(answer, verdict.hub_time)
            case Later():
                return self._later(load, verdict)
            case Unauthorized():
                return self._shut(f"the hub does not accept the key: {verdict.why}")
            case Refused():
                return self._shut(f"this is not the hub's answer: {verdict.reason}")

    async def _delivered(self, load: Load, verdict: Delivered) -> _Pause | None:
        settled = {identity: word for identity, word in verdict.settled.items() if identity in load.lanes}
        if not settled:
            return self._unsettled(load, "the hub answered and settled nothing")
        for lane, buffer in self._buffers.items():
            mine = {identity: word for identity, word in settled.items() if load.lanes[identity] == lane}
            if mine:
                await buffer.settle(mine)
        for identity in settled:
            self._aside.pop(identity, None)
        self._frames += len(settled)
        self._last_ack = self._clock.now()
        self._backoff.reset()
        self._backlog_next = not self._backlog_next
        if len(load.frames) >= self._appetite:
            self._appetite = min(self._appetite * 2, self._options.most_frames)
        self._trust(load)
        self._tell(settled)
        return None

    def _trust(self, load: Load) -> None:
        """What stands between may be another by now: a limit that was filled so often is doubled."""
        if self._limit < self._options.most_bytes and load.size * 2 >= self._limit:
            self._large += 1
            if self._large >= _TRUST_AFTER:
                self._large = 0
                self._limit = min(self._limit * 2, self._options.most_bytes)

    def _unsettled(self, load: Load, why: str) -> _Pause | None:
        """Less at once; one frame alone lets the others pass, and waits."""
        if len(load.frames) > 1:
            self._appetite = len(load.frames) // 2
            return None
        if len(self._aside) >= _MOST_ASIDE:
            self._aside.clear()
        identity = load.frames[0].identity
        self._aside.pop(identity, None)
        self._aside[identity] = load.size
        return self._failing(f"{why} (batch {identity}, {load.size} bytes)")

    def _too_large(self, load: Load, named: int | None) -> _Pause | None:
        if len(load.frames) > 1:
            self._limit = named if named is not None and named < load.size else load.size // 2
            self._large = 0
            return None
        return self._unsettled(load, "one batch alone is too large for the hub, or for what stands before it")

    def _skewed(self, answer: Answer, hub_time: int | None) -> _Pause | None:
        self._skews += 1
        self._skewed_until = answer.received_at + _SKEW_MEMORY_MS
        self._hub_offset = None if hub_time is None else hub_time - answer.received_at
        if self._skews > 2:  # noqa: PLR2004 - once with its own time, once without any
            return self._shut("the hub refuses the time of a request that states none")
        return None

    def _later(self, load: Load, verdict: Later) -> _Pause:
        self._appetite = max(1, len(load.frames) // 2)
        return self._failing(verdict.why, verdict.after)

    def _failing(self, why: str, after: float | None = None) -> _Pause:
        self._lamps.light(LAMP, "warn", why)
        return self._pause_of(self._backoff.next(after), why, breakable=after is None)

    def _shut(self, why: str) -> _Pause:
        """A door that time alone will not open: somebody must look, and one small probe tells when they did."""
        self._lamps.light(LAMP, "fail", why)
        self._appetite = 1
        least, most = self._options.probe_least, self._options.probe_most
        return self._pause_of(least + self._chance.random() * max(0.0, most - least), why)

    def _pause_of(self, seconds: float, why: str, *, breakable: bool = False) -> _Pause:
        return _Pause(self._clock.now() + round(seconds * 1000), why, breakable)

    def _tell(self, settled: Mapping[Identity, Settlement]) -> None:
        codes = [word.code or "no code" for word in settled.values() if word.status == "rejected"]
        if codes:
            self._lamps.light(LAMP, "warn", f"{len(codes)} batches rejected: {', '.join(sorted(set(codes)))}")
        else:
            self._lamps.light(LAMP, "ok")


async def _first(*waits: Callable[[], Awaitable[None]]) -> None:
    """Wait for whichever ends first; the others are cancelled."""
    async with anyio.create_task_group() as group:

        async def wait_for(wait: Callable[[], Awaitable[None]]) -> None:
            await wait()
            group.cancel_scope.cancel()

        for wait in waits:
            group.start_soon(wait_for, wait)
