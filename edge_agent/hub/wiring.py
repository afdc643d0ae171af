"""The hub whole: the only place that introduces its parts to each other.

`Hub` is everything but sockets: a simulation opens it, runs it, and asks its router. `serve` puts the rim around it.
Shutdown: readers get `bye`, the rim lets requests end, the pulses stop, the store closes.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import anyio

from edge_agent.hub import (
    accounts,
    condition,
    configs,
    export,
    instructions,
    intake,
    journal,
    keys,
    logins,
    presence,
    query,
    retention,
)  # fmt: skip
from edge_agent.hub.accounts import Accounts
from edge_agent.hub.audit import Auditor
from edge_agent.hub.condition import Condition
from edge_agent.hub.configs import Configs
from edge_agent.hub.devices import Devices, apply_event
from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.export import Exports
from edge_agent.hub.fanout import Fanout
from edge_agent.hub.folder import FILE, locked
from edge_agent.hub.instructions import Instructions
from edge_agent.hub.intake import Intake
from edge_agent.hub.journal import Entry, Journal
from edge_agent.hub.keys import Keyring
from edge_agent.hub.live import RENEW_SECONDS, Live, Sample, Watchers
from edge_agent.hub.logins import Logins
from edge_agent.hub.metrics import Metrics
from edge_agent.hub.openapi import OpenApi
from edge_agent.hub.page import Page
from edge_agent.hub.presence import Presence
from edge_agent.hub.query import History
from edge_agent.hub.retention import Pruner
from edge_agent.hub.rim import Rim
from edge_agent.hub.router import Router
from edge_agent.hub.routes import Parts, table
from edge_agent.hub.series import Catalogue
from edge_agent.hub.settings import Settings
from edge_agent.hub.store import Store, StoreBroken, StoreFull
from edge_agent.hub.streams import KEEPALIVE_SECONDS, DeviceStreams
from edge_agent.hub.viewers import ViewerStreams
from edge_agent.hub.wall import Wall
from edge_agent.kit.scopes import running
from edge_agent.model.failure import DeviceError
from edge_agent.model.ports import Chance, Clock, Offload
from edge_agent.wire.problem import Problem

_SCHEMAS = (
    intake.SCHEMA, accounts.SCHEMA, logins.SCHEMA, keys.SCHEMA, journal.SCHEMA, instructions.SCHEMA, configs.SCHEMA,
    presence.SCHEMA, condition.SCHEMA,
)  # fmt: skip
_ROOM = 256
_EXPIRE_SECONDS = 10.0
_TELL_SECONDS = 5.0
_TRIM_SECONDS = 60.0
_PRUNE_SECONDS = 10.0
_CHECK_SECONDS = 10.0
_STOPPING_AFTER = 2

Announce = Callable[["Hub", str], Awaitable[None]]
"""Told once the hub answers: the hub, and the address that it answers on."""


class Pulse:
    """Does one thing again and again. A store that is full or broken is tried again at the next beat."""

    def __init__(self, clock: Clock, seconds: float, beat: Callable[[], Awaitable[None]]) -> None:
        self._clock, self._seconds, self._beat = clock, seconds, beat

    async def run(self) -> NoReturn:
        """Beat for ever, once after each wait."""
        while True:
            await self._clock.sleep(self._seconds)
            with suppress(StoreFull, StoreBroken):  # whoever stores meets the same, and is answered
                await self._beat()


class Hub:
    """All of the hub but its sockets. `database` None lives in memory."""

    def __init__(
        self, settings: Settings, clock: Clock, chance: Chance, offload: Offload, database: Path | None = None
    ) -> None:
        self._clock, self.wall = clock, Wall(clock, settings.clock_error_ms)
        self.store = store = Store(database, _SCHEMAS, offload, most_bytes=settings.limits.store)
        self.keyring = Keyring(store, chance)
        self.accounts = Accounts(store, clock, chance)
        self.logins = Logins(store, clock, chance, self.keyring)
        entries: Fanout[Entry] = Fanout(_ROOM)
        samples: Fanout[Sample | Entry] = Fanout(_ROOM)
        self.journal = Journal(store, self.keyring, entries)
        self.presence = Presence(store, clock, self.journal)
        self.instructions = Instructions(store, clock, chance, self.keyring, self.journal)
        self.configs = Configs(store, clock, self.keyring, self.journal)
        self._watchers = Watchers()
        self._live = Live(clock, self.presence, samples)
        self.streams = DeviceStreams(
            clock, self.keyring, self.journal, entries, self.instructions, self.presence, self._is_watched
        )
        self.viewers = ViewerStreams(clock, self.journal, entries, samples, self._watchers, self._look)
        self._intake = Intake(
            store,
            self.wall.now,
            intake.Options(skew_tolerance=settings.skew_tolerance),
            offload.worker("hub-intake"),
            era=lambda: self.wall.era,
            apply_report=self._apply_report,
            apply_event=partial(apply_event, self.journal),
            stored=self._live.show_stored,
        )
        keeping = retention.Options(raw=settings.retention, drop_oldest=settings.drop_oldest)
        self._pruner = Pruner(store, self.wall.now, lambda: self.wall.is_settled, keeping)
        self.condition = Condition(store, self.wall)
        self._page, openapi = Page(), OpenApi()
        gauges: Mapping[str, Callable[[], float]] = {
            "device_streams": lambda: len(self.streams.standing()),
            "viewer_streams": lambda: self.viewers.open,
            "clock_steps": lambda: self.wall.steps,
        }
        metrics = Metrics(store, clock, self.presence, self.condition, gauges)
        parts = Parts(
            telemetry=self._telemetry,
            live=self._live,
            streams=self.streams,
            viewers=self.viewers,
            configs=self.configs,
            instructions=self.instructions,
            devices=Devices(store, self.accounts, self.presence, self.condition, self._is_watched),
            logins=self.logins,
            catalogue=Catalogue(store),
            history=History(store, clock.now, query.Options(), offload.worker("hub-query")),
            exports=Exports(store, clock.now, export.Options(), offload.worker("hub-export")),
            auditor=Auditor(store),
            metrics=metrics,
            openapi=openapi,
            page=self._page,
        )
        routes = table(parts)
        openapi.describe(routes)
        self.router = Router(routes, self.accounts, self.logins, self.wall, self.presence.heard, metrics.see)

    async def open(self) -> None:
        """Open the store, draw what a first start needs, read what earlier lives left."""
        self._page.open()
        await self.store.open()
        await self.keyring.open()
        await self.journal.open()
        await self.presence.open()

    async def run(self) -> NoReturn:
        """Live: signs of life, leases, transitions and deadlines."""
        clock = self._clock
        async with running(
            self.presence,
            Pulse(clock, _TELL_SECONDS, self.presence.tell),
            Pulse(clock, KEEPALIVE_SECONDS, self._keep_alive),
            Pulse(clock, RENEW_SECONDS, self._renew),
            Pulse(clock, _EXPIRE_SECONDS, self._expire),
            Pulse(clock, _TRIM_SECONDS, self.journal.trim),
            Pulse(clock, _PRUNE_SECONDS, self._pruner.prune),
            Pulse(clock, _CHECK_SECONDS, self.condition.check),
        ):
            await anyio.Event().wait()
        raise AssertionError("a pulse ended")

    def part(self) -> None:
        """Say goodbye to every reader of a stream."""
        self.streams.part(_STOPPING_AFTER, "stopping")
        self.viewers.part(_STOPPING_AFTER, "stopping")

    async def close(self) -> None:
        """Close the store, once what was asked before is done."""
        await self.store.close()

    async def _telemetry(self, ask: Ask) -> Reply | Problem:
        self.presence.pushed(ask.caller.name, ask.request.headers)
        reply = await self._intake.telemetry(ask)
        await self.journal.pump()
        return reply

    def _apply_report(self, connection: sqlite3.Connection, device: str, record: Mapping[str, Any]) -> None:
        if record["type"] == "outcome":
            self.instructions.apply_outcome(connection, device, record)
        elif record["type"] == "config":
            self.configs.apply_state(connection, device, record)

    def _is_watched(self, device: str) -> bool:
        return device in self._watchers.watched(self.streams.standing())

    def _look(self) -> None:
        for device in self._watchers.watched(self.streams.standing()):
            self.streams.watch(device)

    async def _expire(self) -> None:
        await self.instructions.expire(issued_since=self.wall.era)

    async def _renew(self) -> None:
        self._look()

    async def _keep_alive(self) -> None:
        self.streams.keep_alive()
        self.viewers.keep_alive()
        self.streams.check_keys(await self.accounts.review())


async def serve(settings: Settings, clock: Clock, chance: Chance, offload: Offload, announce: Announce) -> None:
    """Run the hub on its address until it is cancelled. `settings.folder` is made when it is new."""
    with closing(locked(settings.folder)):
        database = settings.folder / FILE
        try:
            database.touch(mode=0o600)
        except OSError as error:
            raise DeviceError(f"{database}: {error.strerror}", hint="run this as the hub's own user") from None
        hub = Hub(settings, clock, chance, offload, database)
        await hub.open()
        try:
            async with Rim(settings, hub.router, clock) as rim, running(hub):
                await announce(hub, rim.address)
                try:
                    await anyio.Event().wait()
                finally:
                    hub.part()
        finally:
            with anyio.CancelScope(shield=True):
                await hub.close()
