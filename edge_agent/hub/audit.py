"""The audit: where every number of every epoch of a device is, as the hub settles it.

    {"device", "readings", "thinned_readings",
     "sums": {lane: {"epochs", "next", "stored", "thinned", "lost": {reason: n}, "held", "missing", "readings",
       "thinned_readings"}},
     "epochs": [{"epoch": "<16 hex>", "lane", "next", "told", "stored", "thinned", "lost": {reason: n}, "held",
       "missing", "missing_ranges": [[a, b], ...], "readings", "thinned_readings"}, ...]}

`next = stored + thinned + lost + held + missing` in every row and in every sum, whatever was claimed: stored beats
thinned beats lost beats held (still buffered on the device, by its last inventory). What is nowhere, though an
inventory spoke of it (`told`), is lost `unaccounted`: destroyed without a trace on the device, or stored by a hub that
was since restored from a backup. Only what no inventory spoke of yet is missing: its frame came without one. At most
100 missing ranges are listed of an epoch.

`readings` are the values of full frames that are stored. `thinned_readings` are those that thinned frames tell of: what
their windows were made of, and what was kept of counters. Where a number was first thinned and then stored after all, a
reading is in both. Stand-ins' own numbers are nowhere here: all is said in numbers of the epochs that they stand for.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from functools import partial

from pydantic import BaseModel, ConfigDict

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import read_query, reply
from edge_agent.hub.series import OfDevice
from edge_agent.hub.store import Store
from edge_agent.hub.store.dedupe import Epoch, every_epoch
from edge_agent.hub.store.frames import find_sender
from edge_agent.model.frame import LaneName
from edge_agent.model.ranges import total
from edge_agent.wire.problem import Problem

_MOST_RANGES = 100


class Counts(BaseModel):
    """Where numbers are: `next` is the sum of the five that follow, `lost` by reason."""

    model_config = ConfigDict(frozen=True)

    next: int
    stored: int
    thinned: int
    lost: dict[str, int]
    held: int
    missing: int
    readings: int
    thinned_readings: int


class LaneSum(Counts):
    """All epochs of a lane together."""

    epochs: int


class EpochRow(Counts):
    """One epoch: `told` is up to where an inventory spoke of it."""

    epoch: str
    lane: LaneName
    told: int
    missing_ranges: list[tuple[int, int]]


class Audit(BaseModel):
    """The audit of a device."""

    model_config = ConfigDict(frozen=True)

    device: str
    readings: int
    thinned_readings: int
    sums: dict[LaneName, LaneSum]
    epochs: list[EpochRow]


def audit(connection: sqlite3.Connection, device: str) -> Audit:
    """The audit of a device; without epochs when it never sent anything."""
    sender = find_sender(connection, device)
    rows = {} if sender is None else every_epoch(connection, sender)
    epochs = [_audited(epoch, row) for epoch, row in rows.items()]
    lanes = sorted({row.lane for row in epochs})
    return Audit(
        device=device,
        readings=sum(row.readings for row in epochs),
        thinned_readings=sum(row.thinned_readings for row in epochs),
        sums={lane: _summed([row for row in epochs if row.lane == lane]) for lane in lanes},
        epochs=epochs,
    )


def _audited(number: int, epoch: Epoch) -> EpochRow:
    found = epoch.sum()
    return EpochRow(
        epoch=f"{number:016x}",
        lane=epoch.lane,
        next=found.next,
        told=epoch.told,
        stored=found.stored,
        thinned=found.thinned,
        lost=dict(found.lost),
        held=found.held,
        missing=total(found.missing),
        missing_ranges=list(found.missing[:_MOST_RANGES]),
        readings=found.readings,
        thinned_readings=found.thinned_readings,
    )


def _summed(rows: Iterable[EpochRow]) -> LaneSum:
    lost, sums = Counter[str](), Counter[str]()
    for row in rows:
        lost.update(row.lost)
        sums.update({name: getattr(row, name) for name in Counts.model_fields if name != "lost"}, epochs=1)
    return LaneSum(lost=dict(lost), **sums)


class Auditor:
    """Answers `GET /api/v1/audit?device=`: to people for every device, to a device for itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def audit(self, ask: Ask) -> Reply | Problem:
        """The audit of one device; Malformed `bad_query`."""
        device = read_query(OfDevice, ask).device
        if ask.caller.role == "device" and ask.caller.name != device:
            return Problem(403, "forbidden", "Not allowed", "A device asks for its own audit only.", "device")
        return reply(await self._store.read(partial(audit, device=device)))
