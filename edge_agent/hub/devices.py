"""Devices as people see them: who is there, in what state, with which lamps; and what a device says in events.

An event of a program on a device keeps its type, unless that would speak for the hub: then it is `device.<type>`.
"""

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from edge_agent.hub.accounts import Accounts
from edge_agent.hub.condition import Condition
from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import DeviceForm, DeviceKey, DeviceList, DeviceRow, KeyForm, StoreRow, read_body, reply
from edge_agent.hub.journal import Journal
from edge_agent.hub.presence import Presence
from edge_agent.hub.router import problem
from edge_agent.hub.store import Store
from edge_agent.model.failure import Malformed
from edge_agent.wire.problem import Problem

_OWN_TYPES = ("agent.", "instruction.", "config.")
_OWN_NAMES = frozenset({"hello", "reset", "bye", "heartbeat", "keepalive", "message"})
_MOST_EVENT = 4 * 1024
_UNNAMEABLE = re.compile(r"[\r\n\0]")
"""What no event of a stream may carry in its name; taken out before the name is judged, not after."""

_SELECT = """
SELECT account_device.id, account_device.added_at, sender.resource, sender.last_seen
FROM account_device LEFT JOIN sender ON sender.device = account_device.id
"""


class Devices:
    """Lists devices and adds them. `is_watched` tells whether somebody looks at one."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        presence: Presence,
        condition: Condition,
        is_watched: Callable[[str], bool],
    ) -> None:
        self._store, self._accounts, self._presence = store, accounts, presence
        self._condition, self._is_watched = condition, is_watched

    async def listed(self, ask: Ask) -> Reply:
        """GET: every device."""
        rows = await self._store.read(lambda connection: connection.execute(f"{_SELECT} ORDER BY 1").fetchall())
        found = self._condition.look()
        store = StoreRow(state=found.state, since=found.since, note=found.note)
        listed = [self._row(row) for row in rows]
        return reply(DeviceList(devices=listed, store=store, hub_time=ask.received_at, clock_error=found.clock_error))

    async def shown(self, ask: Ask) -> Reply | Problem:
        """GET: one device."""
        device = ask.params["id"]
        row = await self._store.read(
            lambda connection: connection.execute(f"{_SELECT} WHERE account_device.id = ?", (device,)).fetchone()
        )
        return problem(404, "not_found", "There is no such device.") if row is None else reply(self._row(row))

    async def add(self, ask: Ask) -> Reply:
        """POST: add a device, or give a known one its next key."""
        form = read_body(DeviceForm, ask.request)
        return reply(DeviceKey(id=form.id, key=await self._accounts.add_device(form.id)), 201)

    async def change_key(self, ask: Ask) -> Reply:
        """POST: the device made itself a new key; the old one holds until the new one is used."""
        form = read_body(KeyForm, ask.request)
        if not await self._accounts.change_key(ask.caller.name, form.key):
            raise Malformed("bad_field", "a key is edge_ and 43 URL-safe letters of base64", field="key")
        return Reply(204)

    def _row(self, row: Sequence[Any]) -> DeviceRow:
        device, added, resource, stored = row
        view = self._presence.view(device)
        seen = max((at for at in (view.last_seen, stored) if at is not None), default=None)
        return DeviceRow(
            id=device,
            state=view.state,
            last_seen=seen,
            added_at=added,
            stream=view.stream,
            watched=self._is_watched(device),
            twin=view.twin,
            resource=orjson.loads(resource) if resource else {},
            lamps=list(view.lamps),
        )


def apply_event(journal: Journal, connection: sqlite3.Connection, device: str, record: Mapping[str, Any]) -> None:
    """Put a device's event into the log of events, within the caller's transaction; `journal.pump` after it."""
    kind = _UNNAMEABLE.sub("", str(record["type"])) or "device"
    if kind.startswith(_OWN_TYPES) or kind in _OWN_NAMES:
        kind = f"device.{kind}"
    if len(orjson.dumps(record)) > _MOST_EVENT:
        record = {"at": record["at"], "type": kind, "too_large": True}
    journal.tell(connection, device, kind, record)
