"""The audit: where every number of every epoch of a device is, as the hub settles it.

    {"device", "readings", "epochs": [{"epoch": "<16 hex>", "lane", "next", "stored", "thinned", "lost": {reason: n},
      "held", "missing", "missing_ranges": [[a, b], ...], "readings"}, ...]}

`next = stored + thinned + lost + held + missing` in every row, whatever was claimed: stored beats thinned beats lost
beats held (still buffered on the device, by its last inventory), and what is nowhere is missing. A number whose
batch is open, or whose frame is on its way, is missing until it is sealed or stored. At most 100 missing ranges are
listed of an epoch. Does not handle: turning what stays missing into a loss.
"""

import sqlite3
from functools import partial
from typing import Any

import orjson

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import read_query
from edge_agent.hub.series import OfDevice
from edge_agent.hub.store import Store
from edge_agent.hub.store.dedupe import Epoch, every_epoch
from edge_agent.hub.store.frames import find_sender
from edge_agent.model.ranges import total
from edge_agent.wire.problem import Problem

_MOST_RANGES = 100


def audit(connection: sqlite3.Connection, device: str) -> dict[str, Any]:
    """The audit of a device as a JSON object; without epochs when it never sent anything."""
    sender = find_sender(connection, device)
    rows = {} if sender is None else every_epoch(connection, sender)
    epochs = [_audited(epoch, row) for epoch, row in rows.items()]
    return {"device": device, "readings": sum(row.readings for row in rows.values()), "epochs": epochs}


def _audited(number: int, epoch: Epoch) -> dict[str, Any]:
    found = epoch.sum()
    return {
        "epoch": f"{number:016x}",
        "lane": epoch.lane,
        "next": found.next,
        "stored": found.stored,
        "thinned": found.thinned,
        "lost": found.lost,
        "held": found.held,
        "missing": total(found.missing),
        "missing_ranges": found.missing[:_MOST_RANGES],
        "readings": found.readings,
    }


class Auditor:
    """Answers `GET /api/v1/audit?device=`: to people for every device, to a device for itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def audit(self, ask: Ask) -> Reply | Problem:
        """The audit of one device; Malformed `bad_query`."""
        device = read_query(OfDevice, ask).device
        if ask.caller.role == "device" and ask.caller.name != device:
            return Problem(403, "forbidden", "Not allowed", "A device asks for its own audit only.", "device")
        found = await self._store.read(partial(audit, device=device))
        return Reply(body=orjson.dumps(found))
