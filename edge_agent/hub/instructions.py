"""Instructions: signed by the hub, sent over the device's stream, followed until the device tells how they ended.

States go forward only: `queued`, `sent` (written to a stream), then what the device reports: `received`, `running`, and
one end of `done failed refused expired unknown`. Reports may come late and in any order: an earlier state never
replaces a later one, and the first end that the device told stands. The hub itself ends what is not answered:
`expired` once the time to run is over by five minutes, `unknown` a day after when it had begun, `cancelled` by people;
an end that the device tells later replaces these, since the device knows. What has not begun is sent again at each
connection, though it was received: only the device's memory has it by then. The device runs an id once. Each change is
an `instruction.lifecycle` event.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import orjson

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import InstructionForm, InstructionList, InstructionRow, read_body, reply
from edge_agent.hub.journal import Journal, device_stream
from edge_agent.hub.keys import Keyring
from edge_agent.hub.router import problem
from edge_agent.hub.store import Store, StoreBroken, StoreFull
from edge_agent.model.failure import Malformed
from edge_agent.model.ports import Chance, Clock
from edge_agent.wire.problem import Problem

SCHEMA = """
CREATE TABLE IF NOT EXISTS instruction (
    id TEXT PRIMARY KEY, device TEXT NOT NULL, n INTEGER NOT NULL, type TEXT NOT NULL, args BLOB NOT NULL,
    envelope BLOB NOT NULL, issued_by TEXT NOT NULL, issued_at INTEGER NOT NULL, not_before INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'queued', told INTEGER NOT NULL DEFAULT 0,
    code TEXT, detail TEXT, result BLOB, updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS instruction_of ON instruction (device, n);
CREATE INDEX IF NOT EXISTS instruction_open ON instruction (expires_at)
    WHERE state IN ('queued', 'sent', 'received', 'running');
"""

_RANK = {"queued": 0, "sent": 1, "received": 2, "running": 3}
_ENDS = frozenset({"done", "failed", "refused", "expired", "unknown"})
_END = 4
_LONGEST_MS = 30 * 86_400_000
_GRACE_MS = 300_000
_UNKNOWN_MS = 86_400_000
_MOST_LISTED = 200
_MOST_OPEN = 100
_MOST_DETAIL = 2000
_MOST_RESULT = 64 * 1024


class Pending(NamedTuple):
    """An instruction that no device has answered: its number in the journal and its envelope."""

    n: int
    envelope: bytes


class Instructions:
    """Issues instructions and follows them."""

    def __init__(self, store: Store, clock: Clock, chance: Chance, keyring: Keyring, journal: Journal) -> None:
        self._store, self._clock, self._chance = store, clock, chance
        self._keyring, self._journal = keyring, journal

    async def issue(self, ask: Ask) -> Reply | Problem:
        """POST: sign an instruction and send it."""
        form, device, now = read_body(InstructionForm, ask.request), ask.params["id"], ask.received_at
        begin = max(now, form.not_before or now)
        identity, end = self._chance.randbytes(16).hex(), begin + round(form.expires_in * 1000)
        if end - now > _LONGEST_MS:
            raise Malformed("bad_field", "an instruction ends within 30 days", field="not_before")
        body = {
            "id": identity,
            "device": device,
            "key_id": self._keyring.key_id,
            "issued_at": now,
            "not_before": begin,
            "expires_at": end,
            "type": form.type,
            "args": form.args,
        }
        envelope = self._keyring.sign("instruction", orjson.dumps(body, option=orjson.OPT_SORT_KEYS))

        def queued(connection: sqlite3.Connection) -> Problem | InstructionRow:
            if not connection.execute("SELECT 1 FROM account_device WHERE id = ?", (device,)).fetchone():
                return problem(404, "not_found", "There is no such device.")
            if len(_pending(connection, device, now)) >= _MOST_OPEN:
                return problem(409, "unavailable", "Too many instructions wait for this device.")
            number = self._journal.append(connection, device_stream(device), device, "instruction", envelope)
            connection.execute(
                "INSERT INTO instruction (id, device, n, type, args, envelope, issued_by, issued_at, not_before,"
                " expires_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    identity, device, number, form.type, orjson.dumps(form.args), envelope, ask.caller.name, now,
                    begin, end, now,
                ),
            )  # fmt: skip
            self._tell(connection, device, identity, form.type, "queued")
            return _row(connection, identity)

        row = await self._store.write(queued)
        if isinstance(row, Problem):
            return row
        await self._journal.pump()
        return reply(row, 201)

    async def listed(self, ask: Ask) -> Reply:
        """GET: the newest instructions of a device."""
        device = ask.params["id"]

        def found(connection: sqlite3.Connection) -> list[InstructionRow]:
            rows = connection.execute(
                f"{_SELECT} WHERE device = ? ORDER BY n DESC LIMIT ?",
                (device, _MOST_LISTED),
            )
            return [_read(row) for row in rows]

        return reply(InstructionList(instructions=await self._store.read(found)))

    async def cancel(self, ask: Ask) -> Reply | Problem:
        """DELETE: end an instruction that the device has not taken yet."""
        device, identity = ask.params["id"], ask.params["instruction"]

        def cancelled(connection: sqlite3.Connection) -> Problem | InstructionRow:
            row = connection.execute(
                "SELECT type, state FROM instruction WHERE id = ? AND device = ?", (identity, device)
            ).fetchone()
            if row is None:
                return problem(404, "not_found", "There is no such instruction.")
            if row[1] not in {"queued", "sent"}:
                return problem(409, "unavailable", f"It is {row[1]} already.")
            self._turn(connection, device, identity, row[0], "cancelled", ask.received_at)
            return _row(connection, identity)

        row = await self._store.write(cancelled)
        if isinstance(row, Problem):
            return row
        await self._journal.pump()
        return reply(row)

    async def pending(self, device: str) -> Sequence[Pending]:
        """What the device has not begun and may still run, oldest first."""
        now = self._clock.wall()
        return await self._store.read(lambda connection: _pending(connection, device, now))

    async def is_pending(self, device: str, n: int) -> bool:
        """Whether the instruction with this number in the journal has not begun."""
        return any(one.n == n for one in await self.pending(device))

    async def mark_sent(self, device: str, n: int) -> None:
        """It was written to the device's stream. A store that cannot take that leaves it `queued`: it is sent again."""
        now = self._clock.wall()

        def marked(connection: sqlite3.Connection) -> bool:
            row = connection.execute(
                "SELECT id, type FROM instruction WHERE device = ? AND n = ? AND state = 'queued'", (device, n)
            ).fetchone()
            if row is None:
                return False
            self._turn(connection, device, row[0], row[1], "sent", now)
            return True

        with suppress(StoreFull, StoreBroken):
            if await self._store.write(marked):
                await self._journal.pump()

    def apply_outcome(self, connection: sqlite3.Connection, device: str, record: Mapping[str, Any]) -> None:
        """Take a device's report (`model.word.Outcome`) within the caller's transaction; `journal.pump` after it.

        A report of an instruction that this hub did not issue is ignored: others may sign too.
        """
        identity, state = record.get("instruction"), record.get("state")
        if not isinstance(identity, str) or not isinstance(state, str):
            return
        row = connection.execute(
            "SELECT type, state, told FROM instruction WHERE id = ? AND device = ?", (identity, device)
        ).fetchone()
        rank = _END if state in _ENDS else _RANK.get(state)
        if row is None or rank is None or rank <= _RANK["sent"]:
            return
        kind, standing, told = row
        if rank <= _RANK.get(standing, _END) and not (rank == _END and not told):
            return
        code, detail, result = (record.get(name) for name in ("code", "detail", "result"))
        written = orjson.dumps(result) if isinstance(result, dict) else None
        connection.execute(
            "UPDATE instruction SET told = ?, code = ?, detail = ?, result = ? WHERE id = ?",
            (
                rank == _END,
                code[:_MOST_DETAIL] if isinstance(code, str) else None,
                detail[:_MOST_DETAIL] if isinstance(detail, str) else None,
                written if written is None or len(written) <= _MOST_RESULT else None,
                identity,
            ),
        )
        self._turn(connection, device, identity, kind, state, self._clock.wall())

    async def expire(self, issued_since: int = 0) -> None:
        """End what is not answered in time; what was issued before this (the hub's Unix ms) is left to a later look.

        A hub that does not know the time can tell only by the guess by which an instruction was issued how old it is.
        """
        now = self._clock.wall()

        def ended(connection: sqlite3.Connection) -> bool:
            rows = connection.execute(
                "SELECT id, device, type, state FROM instruction WHERE expires_at < ?"
                " AND state IN ('queued', 'sent', 'received', 'running')"
                " AND (state IN ('queued', 'sent') OR expires_at < ?) AND issued_at >= ?",
                (now - _GRACE_MS, now - _UNKNOWN_MS, issued_since),
            ).fetchall()
            for identity, device, kind, state in rows:
                end = "expired" if state in {"queued", "sent"} else "unknown"
                self._turn(connection, device, identity, kind, end, now)
            return bool(rows)

        if await self._store.write(ended):
            await self._journal.pump()

    def _turn(
        self, connection: sqlite3.Connection, device: str, identity: str, kind: str, state: str, now: int
    ) -> None:
        connection.execute("UPDATE instruction SET state = ?, updated_at = ? WHERE id = ?", (state, now, identity))
        self._tell(connection, device, identity, kind, state)

    def _tell(self, connection: sqlite3.Connection, device: str, identity: str, kind: str, state: str) -> None:
        told = {"instruction": identity, "type": kind, "state": state, "at": self._clock.wall()}
        self._journal.tell(connection, device, "instruction.lifecycle", told)


_SELECT = (
    "SELECT id, device, type, args, state, code, detail, result, issued_by, issued_at, not_before, expires_at,"
    " updated_at FROM instruction"
)


def _row(connection: sqlite3.Connection, identity: str) -> InstructionRow:
    return _read(connection.execute(f"{_SELECT} WHERE id = ?", (identity,)).fetchone())


def _read(row: Sequence[Any]) -> InstructionRow:
    named = dict(zip(InstructionRow.model_fields, row, strict=True))
    named["args"] = orjson.loads(named["args"])
    named["result"] = orjson.loads(named["result"]) if named["result"] is not None else None
    return InstructionRow(**named)


def _pending(connection: sqlite3.Connection, device: str, now: int) -> list[Pending]:
    rows = connection.execute(
        "SELECT n, envelope FROM instruction"
        " WHERE device = ? AND state IN ('queued', 'sent', 'received') AND expires_at > ? ORDER BY n",
        (device, now),
    )
    return [Pending(*row) for row in rows]
