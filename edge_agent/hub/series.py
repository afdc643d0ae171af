"""The catalogue: what a device has ever measured, for lists and choosers. `GET /api/v1/series?device=`.

    {"device", "first_seen": ms, "last_seen": ms, "resource": {...}, "beyond": n, "series":
      [{"collector", "name", "attributes": {...}, "unit", "kind", "digits", "source", "first_seen": ms}, ...]}

Sorted by name, attributes and collector. A device keeps so many series here (10,000); `beyond` is the most that one
batch brought more than that: their readings are stored and counted like all others. `last_seen` is written every few
seconds only; presence is told elsewhere. A device that never sent anything is answered 404.
"""

import sqlite3
from functools import partial
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.forms import read_query
from edge_agent.hub.store import Store
from edge_agent.hub.store.frames import find_sender
from edge_agent.wire.problem import Problem


class OfDevice(BaseModel):
    """A question about one device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Annotated[str, Field(min_length=1, max_length=128)]


def catalogue(connection: sqlite3.Connection, device: str) -> dict[str, Any] | None:
    """The catalogue of a device as a JSON object; None when it never sent anything."""
    sender = find_sender(connection, device)
    if sender is None:
        return None
    first_seen, last_seen, resource, beyond = connection.execute(
        "SELECT first_seen, last_seen, resource, beyond FROM sender WHERE id = ?", (sender,)
    ).fetchone()
    rows = connection.execute(
        "SELECT collector, name, attributes, unit, kind, digits, source, first_seen FROM series WHERE sender = ?"
        " ORDER BY name, attributes, collector, unit, kind, digits, source",
        (sender,),
    )
    members = ("collector", "name", "attributes", "unit", "kind", "digits", "source", "first_seen")
    series = [dict(zip(members, row, strict=True)) for row in rows]
    for one in series:
        one["attributes"] = orjson.Fragment(one["attributes"])
    return {
        "device": device,
        "first_seen": first_seen,
        "last_seen": last_seen,
        "resource": orjson.Fragment(resource),
        "beyond": beyond,
        "series": series,
    }


class Catalogue:
    """Answers what there is of a device."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def series(self, ask: Ask) -> Reply | Problem:
        """The catalogue of one device; Malformed `bad_query`."""
        device = read_query(OfDevice, ask).device
        found = await self._store.read(partial(catalogue, device=device))
        if found is None:
            return Problem(
                404, "not_found", "There is no such thing here", "This device never sent anything.", "device"
            )
        return Reply(body=orjson.dumps(found))
