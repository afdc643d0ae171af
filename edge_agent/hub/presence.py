"""Presence: which devices are there, told by what they send and by the streams they hold.

`online`: heard within 90 s. `stale`: silent for longer, but its stream still stands or it was heard within 300 s.
`offline`: else, and after a start of the hub until heard. Each transition is an `agent.status` event. A device is a
`twin` for ten minutes after two machines were last seen to speak for it (`twins`): by heartbeats, which name their
boot, or by pushes, which name their process, too. Lamps are what the device said last, lost when the hub restarts. When
it was last seen is kept over restarts, to the last transition.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from edge_agent.hub.forms import LampRow
from edge_agent.hub.journal import Journal
from edge_agent.hub.store import Store, StoreBroken, StoreFull
from edge_agent.hub.twins import Lives
from edge_agent.model.ports import Clock
from edge_agent.wire import headers

SCHEMA = """
CREATE TABLE IF NOT EXISTS presence_seen (device TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
"""

State = Literal["online", "stale", "offline"]

ONLINE_MS = 90_000
STALE_MS = 300_000
_TWIN_MS = 600_000
_LOOK_MS = 3_000


@dataclass(slots=True)
class _Sign:
    """What is known of one device: `heard` in the hub's axis ms, `seen` in Unix ms; None before the first sign."""

    heard: int | None = None
    seen: int | None = None
    streams: int = 0
    told: tuple[State, bool] = ("offline", False)
    lamps: Sequence[LampRow] = ()
    boots: Lives = field(default_factory=Lives)
    processes: Lives = field(default_factory=Lives)
    looked: int | None = None
    twin_until: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """One device as it is now; `last_seen` in Unix ms."""

    state: State
    last_seen: int | None
    stream: bool
    twin: bool
    lamps: Sequence[LampRow]


class Presence:
    """Hears signs of life and tells transitions."""

    def __init__(self, store: Store, clock: Clock, journal: Journal) -> None:
        self._store, self._clock, self._journal = store, clock, journal
        self._signs: dict[str, _Sign] = {}
        self._woken = asyncio.Event()

    async def open(self) -> None:
        """Read when each device was last seen."""
        rows = await self._store.read(lambda connection: connection.execute("SELECT * FROM presence_seen").fetchall())
        self._signs = {device: _Sign(seen=at) for device, at in rows}

    async def run(self) -> NoReturn:
        """Tell at once when a device comes, or shows itself as two; `tell` is called by a pulse for those that go."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self.tell()

    def heard(self, device: str) -> None:
        """A sign of life."""
        sign = self._signs.setdefault(device, _Sign())
        sign.heard, sign.seen = self._clock.now(), self._clock.wall()
        if sign.told[0] != "online":
            self._woken.set()

    @contextmanager
    def connected(self, device: str) -> Iterator[None]:
        """A stream stands while the block is open."""
        sign = self._signs.setdefault(device, _Sign())
        sign.streams += 1
        self.heard(device)
        try:
            yield
        finally:
            sign.streams -= 1

    def described(self, device: str, axis: str, at: int, lamps: Sequence[LampRow]) -> None:
        """What a device said of itself: the axis it lives on, its time there, and its lamps."""
        sign = self._signs.setdefault(device, _Sign())
        sign.lamps = tuple(lamps)
        self._doubt(sign, twin=sign.boots.speaks(axis, at, self._clock.now()))

    def pushed(self, device: str, given: Mapping[str, str]) -> None:
        """What the headers of a push say: a process has an axis, and a telemetry epoch that none had before.

        Looked at every few seconds only: who pushes a backlog says it over and over. Malformed when they say nonsense.
        """
        sign, now = self._signs.setdefault(device, _Sign()), self._clock.now()
        if sign.looked is not None and now - sign.looked < _LOOK_MS:
            return
        sign.looked = now
        inventory = headers.parse_inventory(given.get(headers.SPOOL, ""))
        own = next((one.epoch for one in reversed(inventory) if one.lane == "telemetry"), None)
        for axis, at in headers.parse_clocks(given.get(headers.CLOCK, "")).items() if own is not None else ():
            self._doubt(sign, twin=sign.processes.speaks(f"{axis}/{own}", at, now))

    def _doubt(self, sign: _Sign, *, twin: bool) -> None:
        if twin:
            sign.twin_until = self._clock.now() + _TWIN_MS
            if not sign.told[1]:
                self._woken.set()

    def view(self, device: str) -> View:
        """One device as it is now."""
        sign = self._signs.get(device, _Sign())
        twin = sign.twin_until > self._clock.now()
        return View(self._state(sign), sign.seen, sign.streams > 0, twin, sign.lamps)

    def states(self) -> Mapping[State, int]:
        """How many devices are in each state."""
        counts: dict[State, int] = {"online": 0, "stale": 0, "offline": 0}
        for sign in self._signs.values():
            counts[self._state(sign)] += 1
        return counts

    async def tell(self) -> None:
        """Put every transition since the last time into the log of events, and publish.

        While the store is full or broken they are told later.
        """
        turned: list[tuple[str, int, dict[str, object]]] = []
        before: dict[str, tuple[State, bool]] = {}
        now, axis_now = self._clock.wall(), self._clock.now()
        for device, sign in self._signs.items():
            state, twin = self._state(sign), sign.twin_until > axis_now
            if (state, twin) != sign.told and sign.seen is not None:
                told: dict[str, object] = {
                    "state": state,
                    "was": sign.told[0],
                    "twin": twin,
                    "last_seen": sign.seen,
                    "at": now,
                }
                turned.append((device, sign.seen, told))
                before[device], sign.told = sign.told, (state, twin)
        if not turned:
            return

        def kept(connection: sqlite3.Connection) -> None:
            for device, seen, told in turned:
                connection.execute("INSERT OR REPLACE INTO presence_seen VALUES (?, ?)", (device, seen))
                self._journal.tell(connection, device, "agent.status", told)

        try:
            await self._store.write(kept)
        except (StoreFull, StoreBroken):
            for device, state_before in before.items():
                if device in self._signs:
                    self._signs[device].told = state_before
            return
        await self._journal.pump()

    def _state(self, sign: _Sign) -> State:
        if sign.heard is None:
            return "offline"
        silent = self._clock.now() - sign.heard
        if silent <= ONLINE_MS:
            return "online"
        return "stale" if sign.streams or silent <= STALE_MS else "offline"
