"""The pusher: empties the buffers toward the hub, one request at a time, and lets go only of what the hub named.

What goes next is the picker's choice (`picker`), how much at once is `portion`'s, when is `allowance`'s and
`daybook`'s; the time that is stated is `stamp`'s. What an answer means (`model.verdict`) and what follows:

    Delivered     each frame that was named is settled in its lane; the others come again. What this hub refused by
                  name, and another may take, steps aside; so does what was rejected without proof (`aside`). A
                  request of which nothing came is halved at once, down to one frame: the culprit stands alone, and
                  the hub's word falls on it only.
    TooLarge      the size is remembered, halved or as the hub says. One frame alone steps aside.
    Skewed        sent again at once, stamped with the time that the hub named; if it persists, unstamped
    Later         full-jitter backoff, at least as long as the hub asks; no answer at all is the same. Each failure
                  halves the number of frames. One frame alone steps aside, unless the hub asked for a wait (it speaks
                  of itself then) or nothing was sent: a hub that answers 500 to this frame only takes the others.
    Unauthorized  a slow probe, or at once when the key changed
    Refused       a slow probe

Every way out of a request either settled something, asks for less than before, or waits: there is no hot loop. What
was sent in vain is paid from a purse, and an empty purse waits, so that no row of failures burns a metered link.
Nothing is ever given up: whatever the hub does not settle is tried again for as long as the buffers hold it.

A request is put off by less than a second where the moment at which it is asked tells much (`TrueTime.turn`).

Idle means waiting for `Buffer.filled`. While only the pace, or frames aside, hold something back, the depth of the
buffers is looked at once a second, so that what is new goes at once all the same. The lamp is `hub`, and says nothing
of this device's own disk: what is held and cannot be read now is waited for, and its buffer has a lamp of its own.

A stop does not break the pace: `drained` sees what was sealed last off, and as much of the backlog as its time and the
pace allow; the rest stays in the spool. A fleet returns without a wave since each device waits for a time of its own:
drawn after each failure, drawn above what a hub asks of all, a tenth of what is left when the hub was `heard`, and a
drawn time until the backlog begins after the power came.
`tests/proofs/fleet.py` measures that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, NoReturn

import anyio

from edge_agent.kit.backoff import Backoff
from edge_agent.model.buffers import Buffer
from edge_agent.model.frame import Identity, LaneName
from edge_agent.model.http import Answer, Request, Unreachable
from edge_agent.model.lamp import Lamps
from edge_agent.model.offers import Dialect, Dispatch
from edge_agent.model.ports import Chance, Clock, Link, TrueTime
from edge_agent.model.quantity import Interval, Room
from edge_agent.model.verdict import Delivered, Later, Refused, Settlement, Skewed, TooLarge, Unauthorized, Verdict
from edge_agent.uplink.allowance import Pace, Purse
from edge_agent.uplink.aside import Aside
from edge_agent.uplink.daybook import Daybook
from edge_agent.uplink.load import Load
from edge_agent.uplink.picker import Picker
from edge_agent.uplink.portion import Portion
from edge_agent.uplink.rest import Pause, Rest, first
from edge_agent.uplink.stamp import Stamp

LAMP = "hub"
"""The part whose lamp this is."""

Allowed = Room | Literal["unlimited"]
"""So many bytes, or as many as there are."""

_BOOTED_MS, _BOOT_SPREAD_MS = 120_000, 60_000
"""So soon after the power came the backlog begins at a drawn time within so much: a whole fleet may be back with it."""
_UNREADABLE_LEAST, _UNREADABLE_MOST = 1.0, 60.0
"""Seconds until what could not be read is tried again: when there is something new, and when there is not."""
_LOOK = 1.0
"""Seconds between looks at whether there is something new, while other things are held back."""
_LINE_END = 4
"""Bytes around each header: colon, space, line end."""


@dataclass(frozen=True, slots=True)
class Options:
    """How much is sent at once, how fast, and how patiently."""

    most_bytes: Room = 2**20
    """The largest request; a frame larger than that goes alone."""
    most_frames: int = 500
    """The most frames of a request: an answer that names each of them stays below 64 KiB."""
    backfill_rate: Allowed = 256 * 1024
    """Bytes a second of the telemetry backlog, after an outage: a fifth of a usual LTE uplink."""
    max_bytes_per_day: Allowed = "unlimited"
    """The backlog waits once so many bytes were sent within 24 hours of powered-on time; what is new never does."""
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
    """Bytes of request bodies that left, repeats included."""
    requests: int
    last_ack: int | None
    """Axis ms of the last answer that settled something."""
    waiting: str | None
    """Why nothing is sent just now though something is held."""
    until: int | None
    """Axis ms until which it waits for that."""
    today: int | None
    """Bytes that count against the day's allowance; None where there is none."""


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
        daybook: Daybook | None = None,
    ) -> None:
        """`daybook` counts the bytes of a day; None where `max_bytes_per_day` is unlimited."""
        self._options = options
        self._buffers = buffers
        self._dialect = dialect
        self._link = link
        self._clock = clock
        self._chance = chance
        self._lamps = lamps
        self._daybook = daybook
        self._backoff = Backoff(chance, most=options.backoff_most)
        self._time = time
        self._stamp = Stamp(time)
        self._portion = Portion(options.most_bytes, options.most_frames)
        begin = clock.now()
        if begin < _BOOTED_MS:
            begin += round(chance.random() * _BOOT_SPREAD_MS)
        self._pace = Pace(None if options.backfill_rate == "unlimited" else options.backfill_rate, begin)
        self._purse = Purse(clock.now())
        self._aside = Aside(chance)
        self._picker = Picker(buffers, self._portion, self._aside, self._pace, self._purse, daybook)
        self._rest = Rest(clock)
        self._moved = anyio.Event()
        self._frames = self._bytes = self._requests = 0
        self._last_ack: int | None = None

    @property
    def progress(self) -> Progress:
        """How far it came."""
        pause, today = self._rest.pause, None if self._daybook is None else self._daybook.used
        waiting, until = (None, None) if pause is None else (pause.why, pause.until)
        return Progress(self._frames, self._bytes, self._requests, self._last_ack, waiting, until, today)

    def frame_limit(self) -> int | None:
        """Bytes of the largest frame that is known to reach the hub; None while nothing was too large."""
        return self._portion.frame_limit

    def nudge(self) -> None:
        """Something new should go at once (a flush): end a wait between attempts, as far as `rest` allows."""
        self._rest.nudge()

    def heard(self) -> None:
        """The hub speaks (its stream stands again): cut such a wait short."""
        self._rest.heard()

    def key_changed(self) -> None:
        """There is another key: whatever is waited for, try at once."""
        self._rest.renew()

    async def run(self) -> NoReturn:
        """Push for as long as the agent lives."""
        while True:
            if not self._holds():
                self._picker.rest()
                await self._filled()
            pause = await self._attempt()
            self._stir()
            if pause is not None:
                await self._rest.take(pause, self._stir)

    async def drained(self, within: float) -> None:
        """Wait until nothing is held, or for so many seconds, or until no attempt is left before they are over.

        `run` does the pushing meanwhile: a request in flight is not cut, since its frames would then go twice.
        """
        deadline = self._clock.now() + within * 1000

        async def settled() -> None:
            while self._holds() and (self._rest.pause is None or self._rest.pause.until < deadline):
                await self._moved.wait()

        await first(settled, partial(self._clock.sleep, within))

    async def _filled(self) -> None:
        await first(*(buffer.filled for buffer in self._buffers.values()))

    async def _refilled(self) -> None:
        # Not at once: a buffer may take for readable what it just failed to read.
        await self._clock.sleep(_UNREADABLE_LEAST)
        await self._filled()

    async def _changed(self) -> None:
        before = self._seen()
        while self._seen() == before:
            await self._clock.sleep(_LOOK)

    def _seen(self) -> list[tuple[int, int]]:
        depths = [buffer.depth() for buffer in self._buffers.values()]
        return [(depth.frames, depth.bytes) for depth in depths]

    def _holds(self) -> bool:
        return any(buffer.depth().frames for buffer in self._buffers.values())

    def _stir(self) -> None:
        """Let whoever waits for an empty buffer look again."""
        self._moved.set()
        self._moved = anyio.Event()

    async def _attempt(self) -> Pause | None:
        """One request and what follows from it: a wait, or None to go on at once."""
        now = self._clock.now()
        solvent_at = self._purse.holds_at(now, 0)
        if solvent_at > now:
            return Pause(solvent_at, "too much was sent in vain: the next attempt is saved for")
        load = await self._picker.pick(now)
        if not load.frames:
            return self._idle(now)
        await self._clock.sleep_until(self._time.turn())
        inventory = [holding for buffer in self._buffers.values() for holding in buffer.inventory()]
        now = self._clock.now()
        request = self._dialect.push(load.frames, Dispatch(self._stamp.at(now), {self._clock.axis: now}, inventory))
        self._requests += 1
        answer = await self._link.exchange(request)
        if isinstance(answer, Unreachable):
            if not answer.sent:
                self._portion.failed(len(load.frames))
                return self._failing(answer.reason)
            await self._spend(now, load, request)
            return self._later(load, Later(answer.reason))
        await self._spend(now, load, request)
        return await self._follow(load, answer, self._dialect.verdict(load.frames, answer))

    def _idle(self, now: int) -> Pause:
        """Nothing could be picked though something is held."""
        withheld = self._picker.withheld(now)
        if withheld is not None:
            return Pause(max(withheld.until, now + 1), withheld.why, sooner=self._changed)
        until = now + round(_UNREADABLE_MOST * 1000)
        return Pause(until, "what is held cannot be read", breakable=True, sooner=self._refilled)

    async def _spend(self, left_at: int, load: Load, request: Request) -> None:
        """A request left: its bytes count, and are in vain until an answer settles something."""
        self._bytes += len(request.body)
        self._purse.count(left_at, 0, len(request.body))
        if load.backlog:
            self._pace.spend(left_at, len(request.body))
        if self._daybook is not None:
            head = sum(len(name) + len(value) + _LINE_END for name, value in request.headers.items())
            await self._daybook.spend(len(request.path) + head + len(request.body))

    async def _follow(self, load: Load, answer: Answer, verdict: Verdict) -> Pause | None:
        match verdict:
            case Delivered():
                return await self._delivered(load, verdict)
            case TooLarge():
                return self._too_large(load, verdict.limit)
            case Skewed():
                if self._stamp.refused(answer.received_at, verdict.hub_time):
                    return None
                return self._shut("the hub refuses the time of a request that states none")
            case Later():
                return self._later(load, verdict)
            case Unauthorized():
                return self._shut(f"the hub does not accept the key: {verdict.why}")
            case Refused():
                return self._shut(f"this is not the hub's answer: {verdict.reason}")

    async def _delivered(self, load: Load, verdict: Delivered) -> Pause | None:
        now = self._clock.now()
        named = {identity: word for identity, word in verdict.settled.items() if identity in load.lanes}
        stored = any(word.status != "rejected" for word in named.values())
        if stored:
            self._aside.stored(now)
        kept = {identity: code for identity, code in verdict.kept.items() if identity in load.lanes}
        settled = dict[Identity, Settlement]()
        for identity, word in named.items():
            if word.status == "rejected" and not stored and not self._aside.proven(identity):
                kept[identity] = word.code or "no code"
            else:
                settled[identity] = word
        if settled or len(load.frames) > 1:
            self._step_aside(load, kept, now)
        if not settled:
            return self._unsettled(load, _told("the hub refused", kept) if kept else "the hub settled nothing")
        for lane, buffer in self._buffers.items():
            mine = {identity: word for identity, word in settled.items() if load.lanes[identity] == lane}
            if mine:
                await buffer.settle(mine)
        self._aside.forget(settled)
        self._purse.count(now, 2 * load.size_of(settled), 0)  # what was not in vain comes back, and earns as much
        self._frames += len(settled)
        self._last_ack = now
        self._backoff.reset()
        if not load.suspect:
            self._picker.turn()
            self._portion.settled(load.size, len(load.frames))
        self._tell(settled, kept)
        return None

    def _step_aside(self, load: Load, identities: Iterable[Identity], now: int) -> None:
        for identity in identities:
            self._aside.strike(identity, load.lanes[identity], load.size_of([identity]), now)

    def _unsettled(self, load: Load, why: str) -> Pause | None:
        """Less at once; one frame alone lets the others pass."""
        self._picker.rest()
        if len(load.frames) > 1:
            self._portion.failed(len(load.frames))
            return None
        (frame,) = load.frames
        return self._blame(load, f"{why} (batch {frame.identity}, {load.size} bytes)")

    def _blame(self, load: Load, why: str) -> Pause | None:
        """The one frame steps aside. While that may be the hub's fault everything waits, else only the frame does."""
        proven = self._aside.proven(load.frames[0].identity)
        self._step_aside(load, load.lanes, self._clock.now())
        if not proven:
            return self._failing(why)
        self._lamps.light(LAMP, "warn", why)
        return None

    def _too_large(self, load: Load, named: int | None) -> Pause | None:
        self._portion.too_large(load.size, named)
        if len(load.frames) > 1:
            return None
        return self._unsettled(load, "one batch alone is too large for the hub, or for what stands before it")

    def _later(self, load: Load, verdict: Later) -> Pause | None:
        if not load.suspect:
            self._portion.failed(len(load.frames))
        if len(load.frames) == 1 and verdict.after is None:
            return self._blame(load, verdict.why)
        return self._failing(verdict.why, verdict.after)

    def _failing(self, why: str, after: float | None = None) -> Pause:
        self._picker.rest()
        self._lamps.light(LAMP, "warn", why)
        return self._pause_of(self._backoff.next(after), why, breakable=after is None)

    def _shut(self, why: str) -> Pause:
        """A door that time alone will not open: somebody must look, and one small probe tells when they did."""
        self._lamps.light(LAMP, "fail", why)
        self._portion.probe()
        least, most = self._options.probe_least, self._options.probe_most
        return self._pause_of(least + self._chance.random() * max(0.0, most - least), why)

    def _pause_of(self, seconds: float, why: str, *, breakable: bool = False) -> Pause:
        return Pause(self._clock.now() + round(seconds * 1000), why, breakable)

    def _tell(self, settled: Mapping[Identity, Settlement], kept: Mapping[Identity, str]) -> None:
        rejected = {key: word.code or "no code" for key, word in settled.items() if word.status == "rejected"}
        said = [_told("rejected", rejected)] if rejected else []
        said += [_told("refused, and kept", kept)] if kept else []
        self._lamps.light(LAMP, "warn" if said else "ok", "; ".join(said))


def _told(what: str, codes: Mapping[Identity, str]) -> str:
    return f"{what}: {len(codes)} batches, {', '.join(sorted(set(codes.values())))}"
