"""The agent: introduces the parts to each other and keeps them running, one generation a turn.

Shutdown order is the indentation. Leaving a generation stops its sampler, then seals what is open; spool, pusher,
stream, local endpoint and ledger outlive generations (a pusher that stopped with each would cut a request in flight,
and its frames would go twice). Draining happens on stop only. Whatever breaks unexpectedly leaves through the same
blocks, sealed, and ends the process.
"""

from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from edge_agent.agent.deferred import Deferred, Unmade
from edge_agent.agent.generations import Generations
from edge_agent.agent.keywatcher import KeyWatcher
from edge_agent.agent.logs import Announcer, Log
from edge_agent.agent.machine import Ports
from edge_agent.agent.plan import Plan
from edge_agent.agent.runtime import runtime_folder
from edge_agent.agent.status import status_of
from edge_agent.agent.tally import Tally
from edge_agent.agent.watchdog import Watchdog
from edge_agent.config.load import Loaded
from edge_agent.downlink.admission import Ability, TrustedKey
from edge_agent.downlink.dispatcher import Dispatcher
from edge_agent.downlink.ledger import Ledger
from edge_agent.downlink.listener import Listener
from edge_agent.downlink.reporter import Reporter
from edge_agent.kit.backoff import Backoff
from edge_agent.kit.lamps import LampBoard
from edge_agent.kit.notify import Notifier
from edge_agent.kit.scopes import Part, running
from edge_agent.link.keyfile import Key
from edge_agent.link.timekeeper import Timekeeper
from edge_agent.local.health import Health
from edge_agent.model.failure import DeviceError
from edge_agent.model.frame import LANES
from edge_agent.model.reading import Missed, Tick
from edge_agent.model.word import ConfigChanged, Hello, Reset, Signed, Watch, Word
from edge_agent.spool.spool import Spool
from edge_agent.uplink.beater import Beater
from edge_agent.uplink.daybook import Daybook
from edge_agent.uplink.pusher import Pusher
from edge_agent.uplink.sampler import Sampler
from edge_agent.uplink.sealer import Sealer

_SILENT = 30.0
"""Seconds without any tick after which this machine is said to make no progress."""

_BOOTED_MS = 120_000
_BOOT_SPREAD = 30.0
"""Seconds within which a machine that was switched on so lately begins to follow its stream."""

_AFTER_PUSH = 0.2
"""Seconds that all wait which would take the processor, or load libraries, while the first push is made."""

_GRACE = 5.0
"""Seconds that a stop may take to push what was sealed last; what is left stays in the spool."""


class Agent:
    """One agent on one machine. `run` lives until `stop` is set; the rest tells how it fares."""

    def __init__(
        self,
        loaded: Loaded,
        ports: Ports,
        key: Key,
        notifier: Notifier,
        log: Log,
    ) -> None:
        self._loaded, self._ports, self._key, self._notifier = loaded, ports, key, notifier
        self._log = log
        self.lamps = lamps = LampBoard(ports.clock, log.lamp)
        self.tally = Tally(ports.clock)
        settings = loaded.settings
        self.time = Timekeeper(ports.clock, settings.time.kernel)
        self._device = settings.device.id
        self._resource = {**settings.labels, "device.id": self._device}
        self.spool = Spool(
            settings.spool,
            settings.state.folder / "spool" / "hub",
            self._device,
            ports.disk,
            ports.offload,
            ports.clock,
            ports.chance,
            lamps,
            self.time,
        )
        self.buffers = {lane: self.spool.lane(lane) for lane in LANES}
        self.plan: Plan | None = None
        self.pusher: Pusher | None = None
        self._sealer: Sealer | None = None
        self._sealed_before = 0
        self._missed: Counter[tuple[str, str]] = Counter()
        self._counted: Mapping[str, int] = {}
        self._begun = anyio.Event()
        self._beater: Beater | None = None

    async def run(self, stop: anyio.Event) -> None:
        """Sample, seal, push and obey until `stop` is set, then seal and drain."""
        ports, settings = self._ports, self._loaded.settings
        async with AsyncExitStack() as stack:
            link = await stack.enter_async_context(ports.link(settings.hub, self._key, self.time))
            dialect = self._loaded.dialect.build(self._loaded.dialect.options(), self._device)
            await self.spool.open()
            stack.push_async_callback(self.spool.close)
            worker = ports.offload.worker("config")
            stack.callback(ports.offload.release, worker)
            reports = Reporter(self.buffers["reports"], ports.clock, self.time, self._resource)
            generations = Generations(
                loaded=self._loaded,
                keys={name: b64decode(key.public) for name, key in settings.trust.items() if "config" in key.types},
                file=settings.state.folder / "document.json",
                dialect=dialect,
                link=link,
                disk=ports.disk,
                worker=worker,
                clock=ports.clock,
                backoff=Backoff(ports.chance),
                host=ports.host,
                reports=reports,
                lamps=self.lamps,
            )
            plan = await generations.first()
            self.pusher = pusher = Pusher(
                settings.push,
                self.buffers,
                dialect,
                link,
                ports.clock,
                ports.chance,
                self.time,
                self.lamps,
                await self._daybook(stack),
            )
            dispatcher = self._dispatcher(reports)
            listener = Listener(
                settings.stream,
                dialect,
                link,
                ports.clock,
                ports.chance,
                self.lamps,
                ports.disk,
                ports.offload,
                settings.state.folder / "last-event-id",
                partial(self._hear, dispatcher, generations),
            )
            watcher = KeyWatcher(self._key, ports.clock, partial(_retry_key, pusher, listener))
            self._beater = beater = Beater(
                settings.live, dialect, link, ports.clock, self.time, self.lamps, self.tally.latest
            )
            # After a power cut a whole fleet is back in the same second, and must not ask for its streams in it.
            spread = ports.chance.random() * _BOOT_SPREAD if ports.clock.now() < _BOOTED_MS else 0.0
            watchdog = Watchdog(self._notifier, ports.clock, self.health)
            announcer = Announcer(partial(self._log.begun, self._device, settings.hub.url, len(plan.schedules)))
            parts: tuple[Part, ...] = (watchdog, dispatcher, generations, watcher)
            after: tuple[Part, ...] = (beater, announcer, *self._local())
            async with running(
                pusher,
                *(Deferred(part, self._begun) for part in parts),
                Deferred(listener, self._begun, later=_AFTER_PUSH + spread),
                *(Deferred(part, self._begun, later=_AFTER_PUSH) for part in after),
            ):
                following: Plan | None = plan
                while following is not None:
                    following = await self._live(following, generations, stop)
                self._notifier.stopping()
                await pusher.drained(within=_GRACE)

    async def _live(self, plan: Plan, generations: Generations, stop: anyio.Event) -> Plan | None:
        """One generation; the next plan, or None to stop."""
        ports = self._ports
        gone = {one.name for one in self.plan.schedules} if self.plan else set()
        self.tally.forget(gone - {one.name for one in plan.schedules})
        self.plan = plan
        self._log.set_level(plan.loaded.settings.log.level)
        self._sealer = sealer = Sealer(
            plan.loaded.settings.seal,
            self.buffers["telemetry"],
            ports.clock,
            ports.disk,
            self.runtime,
            plan.resource,
            self.time,
            self.lamps,
            self._missed,
            first=1.0 - ports.chance.random(),
            limit=self.pusher.frame_limit if self.pusher else None,
        )
        await sealer.recover()
        sampler = Sampler(plan.schedules, ports.clock, ports.offload, self.lamps, self._take, self._miss, self._counted)
        async with sealer:
            try:
                async with running(sampler):
                    following = await _next(generations, stop)
            finally:
                self._counted = sampler.counted
                # Before the last seal: a batch that was opened during it would be sealed by nobody.
                self._sealer = None
        self._sealed_before += sealer.bytes_sealed
        return following

    @property
    def epoch(self) -> int:
        """The epoch under which this life's telemetry goes."""
        return self.buffers["telemetry"].inventory()[-1].epoch

    @property
    def runtime(self) -> Path:
        """Where the open batch lives."""
        state = self._loaded.settings.state
        return state.runtime or runtime_folder(state.folder)

    async def flush(self) -> Mapping[str, Any]:
        """Seal what is open and push at once; one of the tools of handlers."""
        if self._sealer is None or self.pusher is None:
            raise DeviceError("there is no open batch just now", hint="a new config begins, or the agent stops; again")
        sealed = await self._sealer.flush()
        self.pusher.nudge()
        return sealed

    def health(self) -> Health:
        """Whether this machine makes progress: ticks are taken and sealed. The hub has no part in it."""
        if self.plan is None or self.tally.last is None:
            return Health(ok=False, notes={"sampler": "no tick was taken yet"})
        shortest = min(schedule.interval for schedule in self.plan.schedules)
        silent = (self._ports.clock.now() - self.tally.last) / 1000
        if silent > max(_SILENT, 3 * shortest):
            return Health(ok=False, notes={"sampler": f"no tick was taken for {silent:.0f} s"})
        waited = self._sealer.stalled(self._ports.clock.now()) if self._sealer else 0.0
        if waited:
            return Health(ok=False, notes={"sealer": f"nothing was sealed for {waited:.0f} s"})
        return Health(ok=True)

    def ready(self) -> Health:
        """Whether the hub takes what is pushed."""
        lamps = {lamp.part: lamp for lamp in self.lamps.all()}
        hub = lamps.get("hub")
        if hub is None:
            return Health(ok=False, notes={"hub": "nothing was pushed yet"})
        return Health(ok=hub.state == "ok", notes={"hub": hub.note} if hub.note else {})

    def status(self) -> dict[str, Any]:
        """The state of this agent as one JSON object (`agent.status`)."""
        return status_of(
            loaded=self._loaded,
            plan=self.plan,
            clock=self._ports.clock,
            time=self.time,
            lamps=self.lamps,
            tally=self.tally,
            buffers=self.buffers,
            progress=self.pusher.progress if self.pusher else None,
            sealed_bytes=self._sealed_before + (self._sealer.bytes_sealed if self._sealer else 0),
        )

    def _take(self, tick: Tick) -> None:
        assert self._sealer is not None, "the sampler runs inside the sealer's block"
        self.tally.take(tick)
        self._sealer.take(tick)
        if not self._begun.is_set():
            self._begun.set()

    def _take_given(self, tick: Tick) -> bool:
        """Take what a program on this device handed over; False while no batch can be open."""
        if self._sealer is None:
            return False
        self.tally.take_given(tick)
        self._sealer.take(tick)
        return True

    def _miss(self, missed: Missed) -> None:
        assert self._sealer is not None, "the sampler runs inside the sealer's block"
        self.tally.miss(missed)
        self._sealer.miss(missed)

    async def _hear(self, dispatcher: Dispatcher, generations: Generations, word: Word) -> None:
        match word:
            case Signed(purpose="instruction"):
                await dispatcher.hear(word)
            case Hello() | ConfigChanged() | Reset() | Signed():
                generations.nudge()
                if self.pusher is not None:
                    self.pusher.heard()
            case Watch(seconds):
                if self._beater is not None:
                    self._beater.watch(seconds)
            case _:
                pass  # the listener itself acts on the rest

    async def _daybook(self, stack: AsyncExitStack) -> Daybook | None:
        """The count of a day's bytes, open until the stack closes; None where a day has no bound."""
        ports, settings = self._ports, self._loaded.settings
        most = settings.push.max_bytes_per_day
        if most == "unlimited":
            return None
        file = settings.state.folder / "allowance"
        daybook = Daybook(most, file, ports.disk, ports.offload, ports.clock, self.lamps)
        await stack.enter_async_context(daybook)
        return daybook

    def _dispatcher(self, reports: Reporter) -> Dispatcher:
        ports, settings = self._ports, self._loaded.settings
        abilities = {
            choice.name: Ability(choice.offer.args, choice.offer.build(choice.options, self))
            for choice in self._loaded.handlers
        }
        ledger = Ledger(settings.state.folder / "ledger", ports.disk, ports.offload)
        keys = {name: TrustedKey(b64decode(key.public), key.types) for name, key in settings.trust.items()}
        return Dispatcher(
            settings.instructions, self._device, keys, abilities, ledger, reports, ports.clock, self.time, self.lamps
        )

    def _local(self) -> list[Part]:
        ports, settings = self._ports, self._loaded.settings
        if not settings.local.enabled:
            return []
        events = Reporter(self.buffers["events"], ports.clock, self.time, self._resource)

        async def record_event(kind: str, said: Mapping[str, Any]) -> bool:
            return await events.report({"type": kind, "data": said})

        def server() -> Part:
            from edge_agent.local.server import LocalServer  # noqa: PLC0415 - the first push does not wait for it

            return LocalServer(
                settings.local,
                ports.clock,
                self.lamps,
                self.tally.latest,
                self.status,
                self.health,
                self.ready,
                record_event,
                self._take_given,
            )

        return [Unmade("localserver", server)]


async def _next(generations: Generations, stop: anyio.Event) -> Plan | None:
    """The next plan, or None once it is time to stop."""
    following: list[Plan] = []

    async def turn(scope: anyio.CancelScope) -> None:
        following.append(await generations.turn())
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(turn, group.cancel_scope)
        await stop.wait()
        group.cancel_scope.cancel()
    return following[0] if following else None


def _retry_key(pusher: Pusher, listener: Listener) -> None:
    pusher.key_changed()
    listener.key_changed()
