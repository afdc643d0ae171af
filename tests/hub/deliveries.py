"""What devices send, made by hand: batches, records, frames, requests; and a hub's intake in memory to send them to."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from edge_agent.hub.audit import Auditor
from edge_agent.hub.exchange import Ask, Caller, Handler, Reply
from edge_agent.hub.intake import SCHEMA, Intake, Options
from edge_agent.hub.parcels import Parcel
from edge_agent.hub.query import History
from edge_agent.hub.query import Options as Work
from edge_agent.hub.series import Catalogue
from edge_agent.hub.store import Store
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Frame, FrameKind, Identity
from edge_agent.model.http import Request
from edge_agent.model.reading import Reading, Tick
from edge_agent.wire import record
from edge_agent.wire.batch import BatchBuilder
from edge_agent.wire.frame import encode
from edge_agent.wire.problem import Problem
from tests.sim.offload import InlineOffload

HUB_NOW = 1_800_000_000_000
OFFSET = HUB_NOW - 10_000_000
"""True time less axis time, where a test says nothing else: the device booted ten thousand seconds ago."""
AXIS = "boot-1"
RESOURCE = {"device.id": "car-3"}
FRAMES = {"content-type": "application/vnd.edge.frames"}
JSON = {"content-type": "application/json"}


def ticks(first: int, count: int, *, kind: str = "gauge", step: int = 1000, start: float = 0.0) -> list[Tick]:
    """Ticks of one collector, whose two series rise by one a tick; the second has no value at the first tick."""
    made = []
    for index in range(count):
        value = start + index
        readings = (
            Reading("gpu.power", value, "W", {"gpu": "0"}, kind, 1),  # type: ignore[arg-type]
            Reading("gpu.power", value * 2 if index else None, "W", {"gpu": "1"}, kind, 1, reason="absent"),  # type: ignore[arg-type]
        )
        made.append(Tick("gpu", first + index * step, readings))
    return made


def batch(
    made: Sequence[Tick], *, axis: str = AXIS, anchor: Anchor | None = None, resource: Mapping[str, str] = RESOURCE
) -> bytes:
    """A payload of ticks."""
    builder = BatchBuilder(axis, resource)
    for tick in made:
        builder.add(tick)
    return builder.pack(anchor, {})


def frame(epoch: int, seq: int, payload: bytes, kind: int = FrameKind.TELEMETRY, sealed_at: int = 0) -> bytes:
    """A frame as it travels."""
    return encode(Frame(kind, Identity(epoch, seq), sealed_at, payload))


def report(epoch: int, seq: int, records: Sequence[Mapping[str, Any]], kind: int = FrameKind.REPORTS) -> bytes:
    """A frame of records, each at axis time 1000."""
    payload = record.pack(AXIS, None, RESOURCE, [{"at": 1000, **one} for one in records])
    return frame(epoch, seq, payload, kind)


def asked(query: Mapping[str, str]) -> Ask:
    """A viewer's question."""
    return Ask(Request("GET", "/"), Caller("viewer", "ada"), {}, query, HUB_NOW)


class Hub:
    """An intake and what answers about it, over one store; what the callbacks were told is kept."""

    def __init__(self, store: Store, options: Options, work: Work) -> None:
        offload = InlineOffload()
        self.store = store
        self.now = HUB_NOW
        self.era = 0
        """Which guess `now` is of, 0 while it is known."""
        self.pace = 0
        """How many ms pass each time that somebody looks at the clock."""
        self.reports: list[tuple[str, Mapping[str, Any]]] = []
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.stored = list[Parcel]()
        self.broken = False
        """Whether taking a report raises, as a bug would."""
        self.intake = Intake(
            store,
            self._look,
            options,
            offload.worker("intake"),
            era=lambda: self.era,
            apply_report=self._report,
            apply_event=lambda _, device, said: self.events.append((device, said)),
            stored=lambda _, parcel: self.stored.append(parcel),
        )
        self.auditor = Auditor(store)
        self.catalogue = Catalogue(store)
        self.history = History(store, self._look, work, offload.worker("query"))

    def _look(self) -> int:
        self.now += self.pace
        return self.now

    def _report(self, _: sqlite3.Connection, device: str, said: Mapping[str, Any]) -> None:
        if self.broken:
            raise KeyError("a bug")
        self.reports.append((device, said))

    async def send(
        self, body: bytes, headers: Mapping[str, str] = FRAMES, *, device: str = "car-3", extra: Mapping[str, str] = {}
    ) -> Reply | Problem:
        """Post a body; `extra` are further headers."""
        request = Request("POST", "/api/v1/telemetry", {**headers, **extra}, body)
        return await self.intake.telemetry(Ask(request, Caller("device", device), {}, {}, self.now))

    async def results(self, *frames: bytes, extra: Mapping[str, str] = {}, device: str = "car-3") -> list[Any]:
        """Post frames; how each was settled, as status or as (status, code)."""
        reply = await self.send(b"".join(frames), extra=extra, device=device)
        assert isinstance(reply, Reply), reply
        found = orjson.loads(reply.body)["results"]
        return [(one["status"], one["code"]) if "code" in one else one["status"] for one in found]

    async def audit(self, epoch: int) -> dict[str, Any]:
        """The audit of one epoch; the sum is checked here, whatever the test looks at."""
        found = await answer(self.auditor.audit, device="car-3")
        rows = {int(row["epoch"], 16): row for row in found["epochs"]}
        for name in ("readings", "thinned_readings"):
            assert found[name] == sum(row[name] for row in rows.values())
        for row in (*rows.values(), *found["sums"].values()):
            parts = row["stored"] + row["thinned"] + sum(row["lost"].values()) + row["held"] + row["missing"]
            assert row["next"] == parts, row
        return dict(rows[epoch])

    async def rows(self, table: str) -> int:
        """How many rows a table has."""
        return int(await self.store.read(lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))


async def answer(handler: Handler, **query: str) -> dict[str, Any]:
    """What a handler answers to a viewer; `start` and `stop` stand for `from` and `to`."""
    names = {"start": "from", "stop": "to", "gpu": "attr.gpu"}
    reply = await handler(asked({names.get(name, name): value for name, value in query.items()}))
    assert isinstance(reply, Reply), reply
    return dict(orjson.loads(reply.body))


@asynccontextmanager
async def hub(
    path: Path | None = None, options: Options | None = None, work: Work | None = None, most_bytes: int | None = None
) -> AsyncIterator[Hub]:
    """A hub in memory, or on a file."""
    store = Store(path, [SCHEMA], InlineOffload(), most_bytes=most_bytes)
    await store.open()
    try:
        yield Hub(store, options or Options(), work or Work())
    finally:
        await store.close()


def explain(connection: sqlite3.Connection, statement: str, values: Sequence[Any]) -> str:
    """How SQLite would run a statement."""
    return " ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values))
