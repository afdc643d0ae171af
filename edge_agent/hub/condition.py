"""The condition of the store: ok, full or broken, since when and why; for `/readyz`, `/metrics`, the page and the log.

Beside it, what is known of the clock: how far off it may be, or that it is not synchronised.

`full`: there is no room but for small writes, or the last write found none. `broken`: the last write or the file
failed otherwise. Either ends by itself: room is measured again every few seconds, and while the last write failed a
small one is tried. A change is logged once; what each refused request met is not.
"""

import sqlite3
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from edge_agent.hub.store import Store, StoreBroken, StoreFull
from edge_agent.hub.store.failure import no_room
from edge_agent.hub.wall import Wall

SCHEMA = "CREATE TABLE IF NOT EXISTS probe (one INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;"

State = Literal["ok", "full", "broken"]
STATES: tuple[State, ...] = ("ok", "full", "broken")
UNSYNCHRONISED = "the kernel calls it not synchronised: run a time daemon, or state clock_error"


@dataclass(frozen=True, slots=True)
class Report:
    """How the store is; `since` in Unix ms, `note` says why and what to do, "" while it is ok.

    `clock_error` is how far off the clock may be in ms; None when it is not synchronised.
    """

    state: State
    since: int
    note: str
    clock_error: int | None


class Condition:
    """Watches one store, and the clock."""

    def __init__(self, store: Store, wall: Wall) -> None:
        self._store, self._wall = store, wall
        self._report = Report("ok", wall.now(), "", None)
        self._synchronised = True
        self._log = structlog.get_logger("edge_agent.hub")

    def look(self) -> Report:
        """How the store is now."""
        state, note = self._found()
        if state != self._report.state:
            self._report = replace(self._report, state=state, since=self._wall.now(), note=note)
            if state == "ok":
                self._log.info("store", state=state)
            else:
                self._log.warning("store", state=state, note=note)
        self._look_at_clock()
        return self._report

    async def check(self) -> None:
        """Measure, and try a small write while the last one failed; StoreFull and StoreBroken when that fails again."""
        try:
            await self._store.tend()
            if self._store.trouble is not None:
                now = self._wall.now()
                await self._store.write(lambda connection: _probe(connection, now))
        finally:
            self.look()

    def _look_at_clock(self) -> None:
        error = self._wall.error
        self._report = replace(self._report, clock_error=error)
        if self._synchronised and error is None:
            self._log.warning("clock", synchronised=False, note=UNSYNCHRONISED)
        elif not self._synchronised and error is not None:
            self._log.info("clock", synchronised=True, error_ms=error)
        self._synchronised = error is not None

    def _found(self) -> tuple[State, str]:
        trouble = self._store.trouble
        if isinstance(trouble, StoreBroken):
            return "broken", _told(trouble)
        if trouble is not None or self._store.is_full:
            return "full", _told(trouble or no_room(self._store.where))
        return "ok", ""


def _probe(connection: sqlite3.Connection, now: int) -> None:
    connection.execute("INSERT OR REPLACE INTO probe VALUES (1, ?)", (now,))


def _told(error: StoreFull | StoreBroken) -> str:
    return f"{error} ({error.hint})"
