"""Plays a plan: the real timekeeper, stamp, batches and dialect on the device, the real hub behind its router.

What is simulated is what the clocks show, the line, and when the device does what. The rest of the agent (sampler, disk
queue, pusher) is played by hand here: a reading is a serial number, a life seals and asks when the plan says so, and
sends what is held, the newest first. After a kill what was open is sealed by the next life, under its own number and
without an anchor; after a power cut it is gone. All that happens is noted with its true time.
"""

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import format_datetime
from functools import partial
from random import Random
from typing import Any

import orjson

from edge_agent.dialects.native import Native
from edge_agent.hub.exchange import Reply
from edge_agent.hub.settings import Settings
from edge_agent.hub.wiring import Hub
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Frame, FrameKind, Holding, Identity
from edge_agent.model.http import Answer, Request
from edge_agent.model.offers import Dispatch
from edge_agent.model.ranges import ranges_of
from edge_agent.model.reading import Reading, Tick
from edge_agent.model.verdict import Delivered, Skewed
from edge_agent.uplink.stamp import Stamp
from edge_agent.wire.batch import BatchBuilder
from edge_agent.wire.headers import HUB_TIME, format_hub_time, parse_hub_time
from tests.proofs.clock_plans import BEGINS, DATE_STALE, Boot, Plan
from tests.proofs.clock_world import MS, SECOND, DeviceClock, HubClock, Universe
from tests.sim.offload import InlineOffload

NAME = "serial"
DEVICE = "car-1"
_TIMES = 2**53
_MOST_FRAMES = 8
_TIMEOUT = 30 * SECOND


@dataclass(frozen=True, slots=True)
class Read:
    """One reading: its boot, and when it was taken by its axis (ms) and in truth (us)."""

    boot: int
    at: int
    true: int


@dataclass(frozen=True, slots=True)
class Belief:
    """What the device held for true time (Unix ms) when it was asked, and how far off it said that may be."""

    boot: int
    at: int
    true: int
    now: int
    error: int
    claims: int
    """How many stamps with a stated error this life had heard since the axis stood still last."""


@dataclass(slots=True)
class Look:
    """What a reader was shown: points by serial number, as (ts, ts_err, flag); and the anchors stored until then."""

    points: dict[int, tuple[int, int | None, str]]
    twice: list[int]
    anchors: dict[int, list[Anchor]]


@dataclass(slots=True)
class Chronicle:
    """All that a history left to be judged."""

    plan: Plan
    reads: list[Read] = field(default_factory=list)
    beliefs: list[Belief] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    settled: set[int] = field(default_factory=set)
    """Serial numbers that the hub said are stored."""
    skews: int = 0
    """Requests that were refused for the time that they stated."""
    skewed_again: int = 0
    """How many of them left at once after such a refusal, with what it taught."""
    asked: int = 0


class _Life:
    """A process on a boot."""

    def __init__(self, number: int, boot: Boot, universe: Universe, epoch: int) -> None:
        self.number, self.boot, self.epoch = number, boot, epoch
        self.clock = DeviceClock(universe, boot.axis, boot.crystal, boot.dial)
        self.keeper = Timekeeper(self.clock)
        self.stamp = Stamp(self.keeper)
        self.next = 0
        self.open: list[tuple[int, int]] = []
        self.asked_at = self.busy_until = 0
        self.refused_at = 0
        self.taught = False
        """What the last refusal taught was still so when it was heard."""
        self.heard: list[int] = []
        """True times at which requests left whose answers stated an error."""


@dataclass(frozen=True, slots=True)
class _Held:
    frame: Frame
    serials: Sequence[int]
    boot: int
    anchor: Anchor | None


Act = Callable[[], Awaitable[None]]


class Play:
    """One run of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chronicle = Chronicle(plan)
        self._chance = Random(f"play {plan.seed}")
        self._universe = Universe(BEGINS)
        clock = HubClock(self._universe, plan.dial, lambda true: true - BEGINS + 10**12)
        settings = Settings(clock_error=None)
        self._hub = Hub(settings, clock, Random(f"hub {plan.seed}"), InlineOffload())
        self._dialect = Native(DEVICE)
        self._key = ""
        self._events: list[tuple[int, int, Act]] = []
        self._order = 0
        self._life: _Life | None = None
        self._held: list[_Held] = []
        self._epochs: dict[int, int] = {}
        """Each epoch, oldest first, and the number after its last."""
        self._anchors: dict[int, list[Anchor]] = {}
        self._arrived: set[Identity] = set()

    async def run(self) -> Chronicle:
        """From the first boot to the last look."""
        self._universe.true = self.plan.boots[0].born
        await self._hub.open()
        self._key = await self._hub.accounts.add_device(DEVICE)
        for number, boot in enumerate(self.plan.boots):
            self._book(number, boot)
        for true in self.plan.looks:
            self._at(true, self._look)
        try:
            while self._events:
                true, _, act = heapq.heappop(self._events)
                self._universe.true = max(self._universe.true, true)
                await act()
        finally:
            await self._hub.close()
        return self.chronicle

    def _at(self, true: int, act: Act) -> None:
        self._order += 1
        heapq.heappush(self._events, (true, self._order, act))

    def _book(self, number: int, boot: Boot) -> None:
        self._at(boot.born, partial(self._begin, number, boot))
        for true in boot.restarts:
            self._at(true, partial(self._begin, number, boot))
        for act, times in ((self._read, boot.reads), (self._seal, boot.seals), (self._ask, boot.asks)):
            for true in times:
                self._at(true, act)
        self._at(boot.dies, self._end)

    # The device.

    async def _begin(self, number: int, boot: Boot) -> None:
        before, epoch = self._life, self._chance.getrandbits(63)
        self._life = life = _Life(number, boot, self._universe, epoch)
        self._epochs[epoch] = 0
        if before is not None:  # killed, and started again at once
            self._hold(before, anchor=None)
        life.busy_until = self._universe.true

    async def _end(self) -> None:
        life = self._life
        assert life is not None
        if life.boot.end == "stop":
            self._hold(life, life.keeper.anchor())
        elif life.boot.end == "kill":
            self._hold(life, anchor=None)
        self._life = None

    async def _read(self) -> None:
        life, reads = self._life, self.chronicle.reads
        assert life is not None
        at = life.clock.now()
        if not life.open or at > life.open[-1][0]:
            life.open.append((at, len(reads)))
            reads.append(Read(life.number, at, self._universe.true))

    async def _seal(self) -> None:
        life = self._life
        assert life is not None
        self._hold(life, life.keeper.anchor())
        await self._ask()

    def _hold(self, life: _Life, anchor: Anchor | None) -> None:
        """Seal what is open and queue it."""
        if not life.open:
            return
        builder = BatchBuilder(life.boot.axis, {"device.id": DEVICE})
        for at, serial in life.open:
            builder.add(Tick("clock", at, (Reading(NAME, serial, "1"),)))
        identity = Identity(life.epoch, life.next)
        frame = Frame(FrameKind.TELEMETRY, identity, life.open[-1][0], builder.pack(anchor, {}))
        self._held.append(_Held(frame, [serial for _, serial in life.open], life.number, anchor))
        life.next = self._epochs[life.epoch] = life.next + 1
        life.open = []

    def _inventory(self, life: _Life) -> list[Holding]:
        numbers: dict[int, list[int]] = {}
        for held in self._held:
            numbers.setdefault(held.frame.identity.epoch, []).append(held.frame.identity.seq)
        return [
            Holding("telemetry", epoch, following, ranges_of(numbers.get(epoch, ())))
            for epoch, following in self._epochs.items()
            if epoch in numbers or epoch == life.epoch
        ]

    async def _ask(self) -> None:
        """One request, if the device is in contact and waits for no other: what is held, or a mere sign of life."""
        life, true = self._life, self._universe.true
        online = life is not None and any(first <= true < after for first, after in life.boot.online)
        if life is None or not online or true < life.busy_until:
            return
        load = [*self._held[-1:], *self._held[:-1]][:_MOST_FRAMES]
        now = life.clock.now()
        if load:
            dispatch = Dispatch(life.stamp.at(now), {life.boot.axis: now}, self._inventory(life))
            request = self._dialect.push([held.frame for held in load], dispatch)
        else:
            request = self._dialect.config()
        self.chronicle.asked += 1
        life.asked_at, life.busy_until = true, true + _TIMEOUT
        up, down = self.plan.way.takes(self._chance)
        if self._chance.random() >= self.plan.way.lost:
            sent = replace(request, headers={**request.headers, "x-api-key": self._key})
            self._at(true + up, partial(self._arrive, life, sent, load, (true, now), down))

    async def _arrive(
        self, life: _Life, request: Request, load: Sequence[_Held], left: tuple[int, int], down: int
    ) -> None:
        """The request is at the hub."""
        reply = await self._hub.router.answer(request, "192.0.2.1")
        if reply.status == 200:
            for held in load:
                if held.frame.identity not in self._arrived and held.anchor is not None:
                    self._anchors.setdefault(held.boot, []).append(held.anchor)
                self._arrived.add(held.frame.identity)
        if self._chance.random() >= self.plan.way.lost:
            true = life.boot.crystal.awake(self._universe.true + down)
            self._at(true, partial(self._hear, life, self._carried(reply), load, left))

    def _carried(self, reply: Reply) -> Reply:
        """The reply with the headers that arrive: a `Date`, and what a proxy made of them."""
        stale = round(self._chance.random() * DATE_STALE) * MS
        stamped = self.plan.dial.at(self._universe.true - stale) // 1000
        headers = {**reply.headers, "content-type": reply.content_type, "date": date_of(stamped)}
        if self.plan.way.kind == "date":
            headers.pop(HUB_TIME, None)
        elif self.plan.way.kind == "cache" and self._chance.random() < 0.5:
            age = self._chance.randrange(1, 100_000)
            told = parse_hub_time(reply.headers[HUB_TIME])
            old = replace(told, stamp=max(0, told.stamp - age * 1000))
            headers |= {HUB_TIME: format_hub_time(old), "age": str(age)}
        return replace(reply, headers=headers)

    async def _hear(self, life: _Life, reply: Reply, load: Sequence[_Held], left: tuple[int, int]) -> None:
        """The answer is back, if the process that asked still waits for it."""
        if life is not self._life or life.asked_at != left[0]:  # nobody waits for it any more
            return
        life.busy_until = 0
        (left_at, sent_at), received_at = left, life.clock.now()
        answer = Answer(reply.status, dict(reply.headers), reply.body, sent_at, received_at)
        life.keeper.observe(answer)
        if "age" not in reply.headers and "err=" in reply.headers.get(HUB_TIME, ""):
            life.heard.append(left_at)
        self._note_belief(life)
        verdict = self._dialect.verdict([held.frame for held in load], answer) if load else Delivered({})
        if isinstance(verdict, Skewed):
            self.chronicle.skews += 1
            self.chronicle.skewed_again += life.refused_at == left_at and life.taught
            assert life.stamp.refused(received_at, verdict.hub_time), "it has another way"
            life.refused_at, life.taught = self._universe.true, self._was_quiet(life, left_at)
            await self._ask()
            return
        assert isinstance(verdict, Delivered), verdict
        for held in load:
            if held.frame.identity in verdict.settled:
                self.chronicle.settled |= set(held.serials)
        self._held = [held for held in self._held if held.frame.identity not in verdict.settled]

    def _was_quiet(self, life: _Life, since: int) -> bool:
        """Neither did the axis stand still since then, nor was the hub's clock set."""
        true = self._universe.true
        stood = any(stop.begins < true and since < stop.ends for stop in life.boot.crystal.stops)
        return not stood and not self.plan.dial.is_set(since, true)

    def _note_belief(self, life: _Life) -> None:
        known, true = life.keeper.known(), self._universe.true
        now = life.keeper.now()
        if known is None or known.error is None or now is None:
            return
        stopped = max((stop.ends for stop in life.boot.crystal.stops if stop.begins <= true), default=0)
        claims = sum(left >= stopped for left in life.heard)
        self.chronicle.beliefs.append(Belief(life.number, life.clock.now(), true, now, known.error, claims))

    # The reader.

    async def _look(self) -> None:
        """Read all that the hub has."""
        token = await self._token()
        path = f"/api/v1/query?device={DEVICE}&name={NAME}&from={-_TIMES}&to={_TIMES}&width=10000"
        reply = await self._hub.router.answer(Request("GET", path, {"authorization": f"Bearer {token}"}), "reader")
        assert reply.status == 200, reply.body
        found = orjson.loads(reply.body)
        assert found["complete"], found
        points: dict[int, tuple[int, int | None, str]] = {}
        twice = []
        for series in found["series"]:
            for point in series["points"]:
                shown: dict[str, Any] = dict(zip(found["columns"], point, strict=True))
                if shown["value"] in points:
                    twice.append(int(shown["value"]))
                points[int(shown["value"])] = (shown["ts"], shown["ts_err"], shown["flag"])
        self.chronicle.looks.append(Look(points, twice, {boot: list(some) for boot, some in self._anchors.items()}))

    async def _token(self) -> str:
        invited = await self._hub.logins.invite("vic", "viewer")
        body, headers = orjson.dumps({"token": invited}), {"content-type": "application/json"}
        reply = await self._hub.router.answer(Request("POST", "/api/v1/auth/login", headers, body), "reader")
        return str(orjson.loads(reply.body)["access_token"])


def date_of(seconds: int) -> str:
    """Unix seconds as HTTP writes them."""
    return format_datetime(datetime.fromtimestamp(seconds, timezone.utc), usegmt=True)
