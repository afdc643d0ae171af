"""Config documents: what the hub wants a device to run, signed and versioned, values only.

Each PUT is a new version; the device is told by a `config` event and fetches the newest document. The device has the
last word: it refuses what its local bounds forbid. How far it came (`offered`, `fetched`, then what it reports:
`applied refused`, and of an agent on probation `trying confirmed failed unconfirmed`) is a `config.state` event. Old
versions are kept, ten a device.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

import orjson

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import ConfigForm, ConfigRow, read_body, reply
from edge_agent.hub.journal import Journal, device_stream
from edge_agent.hub.keys import Keyring
from edge_agent.hub.router import problem
from edge_agent.hub.store import Store
from edge_agent.model.ports import Clock
from edge_agent.wire.problem import Problem

SCHEMA = """
CREATE TABLE IF NOT EXISTS config_document (
    device TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL, envelope BLOB NOT NULL,
    issued_by TEXT NOT NULL, issued_at INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'offered', detail TEXT,
    PRIMARY KEY (device, version)
) WITHOUT ROWID;
"""

_REPORTED = frozenset({"applied", "trying", "confirmed", "failed", "unconfirmed", "refused"})
_KEPT = 10
_MOST_DETAIL = 2000


class Configs:
    """Signs config documents and follows them."""

    def __init__(self, store: Store, clock: Clock, keyring: Keyring, journal: Journal) -> None:
        self._store, self._clock, self._keyring, self._journal = store, clock, keyring, journal

    async def put(self, ask: Ask) -> Reply | Problem:
        """PUT: the next version of a device's config."""
        form, device, now = read_body(ConfigForm, ask.request), ask.params["id"], ask.received_at

        def offered(connection: sqlite3.Connection) -> ConfigRow | Problem:
            if not connection.execute("SELECT 1 FROM account_device WHERE id = ?", (device,)).fetchone():
                return problem(404, "not_found", "There is no such device.")
            newest = connection.execute(
                "SELECT coalesce(max(version), 0) FROM config_document WHERE device = ?", (device,)
            ).fetchone()[0]
            document = {"device": device, "version": newest + 1, "issued_at": now, "values": form.values}
            body = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
            connection.execute(
                "INSERT INTO config_document (device, version, body, envelope, issued_by, issued_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (device, newest + 1, body, self._keyring.sign("config", body), ask.caller.name, now),
            )
            connection.execute(
                "DELETE FROM config_document WHERE device = ? AND version <= ?", (device, newest + 1 - _KEPT)
            )
            self._journal.append(connection, device_stream(device), device, "config", {"version": newest + 1})
            self._journal.tell(
                connection,
                device,
                "config.state",
                {"version": newest + 1, "state": "offered", "detail": None, "at": now},
            )
            return ConfigRow(
                device=device, version=newest + 1, values=form.values, issued_by=ask.caller.name, issued_at=now,
                state="offered", detail=None,
            )  # fmt: skip

        row = await self._store.write(offered)
        if isinstance(row, Problem):
            return row
        await self._journal.pump()
        return reply(row)

    async def get(self, ask: Ask) -> Reply:
        """GET: the newest document's envelope for the device, its row for people; 204 when there is none."""
        device = ask.params["id"]
        found = await self._store.read(
            lambda connection: connection.execute(
                "SELECT version, body, envelope, issued_by, issued_at, state, detail FROM config_document"
                " WHERE device = ? ORDER BY version DESC LIMIT 1",
                (device,),
            ).fetchone()
        )
        if found is None:
            return Reply(204)
        version, body, envelope, issued_by, issued_at, state, detail = found
        if ask.caller.role == "device":
            if state == "offered":
                await self._store.write(lambda connection: self._turn(connection, device, version, "fetched", None))
                await self._journal.pump()
            return Reply(200, envelope, headers={"cache-control": "no-store"})
        values = orjson.loads(body)["values"]
        return reply(
            ConfigRow(
                device=device,
                version=version,
                values=values,
                issued_by=issued_by,
                issued_at=issued_at,
                state=state,
                detail=detail,
            )
        )

    def apply_state(self, connection: sqlite3.Connection, device: str, record: Mapping[str, Any]) -> None:
        """Take a report `{"type": "config", "version", "state", "detail"?}` within the caller's transaction."""
        version, state, detail = record.get("version"), record.get("state"), record.get("detail")
        if type(version) is not int or abs(version) >= 2**53 or not isinstance(state, str) or state not in _REPORTED:
            return
        self._turn(connection, device, version, str(state), detail if isinstance(detail, str) else None)

    def _turn(self, connection: sqlite3.Connection, device: str, version: int, state: str, detail: str | None) -> None:
        told = detail[:_MOST_DETAIL] if detail is not None else None
        changed = connection.execute(
            "UPDATE config_document SET state = ?, detail = ? WHERE device = ? AND version = ? AND state <> ?"
            # Never backwards: a fetch may end after the report of what came of it, and reports overtake each other.
            " AND (? <> 'fetched' OR state = 'offered')"
            " AND (? <> 'trying' OR state IN ('offered', 'fetched', 'applied'))",
            (state, told, device, version, state, state, state),
        ).rowcount
        if changed:
            self._journal.tell(
                connection,
                device,
                "config.state",
                {"version": version, "state": state, "detail": told, "at": self._clock.wall()},
            )
