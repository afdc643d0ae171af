"""Intake: `POST /api/v1/telemetry`, from headers and bytes to what is stored and what is answered.

The frames are opened and checked (`parcels`), then stored with all that came with them in one transaction, which they
share with whatever else waits then (`store.deposit`). The answer comes after COMMIT and names each frame that is
settled:

    {"results": [{"epoch": "<16 hex>", "seq": n, "status": "stored|duplicate|rejected", "code"?}], "hub_time": ms}

A thinned frame is named by its own identity, and is `stored` or `duplicate` as the others are; the audit speaks of the
numbers that it stands for.

A device whose `Edge-Sent-At` is off by more than the tolerance is told so (400 `clock_skew`) before anything is opened.
It learns the hub's time from that, or comes without the header. A hub that does not know the time blames nobody. The
age of a sample is never a reason. A request of one frame whose number holds other bytes is answered 409. Malformed,
StoreFull and StoreBroken are the router's to answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from edge_agent.hub import timeline
from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.parcels import Opener, Parcel
from edge_agent.hub.store import Store, dedupe, deposit, frames
from edge_agent.model.frame import Identity
from edge_agent.model.ports import Worker
from edge_agent.model.quantity import Seconds
from edge_agent.model.verdict import Settlement
from edge_agent.wire import headers
from edge_agent.wire.problem import Problem

SCHEMA = frames.SCHEMA + dedupe.SCHEMA + timeline.SCHEMA


@dataclass(frozen=True, slots=True)
class Options:
    """`touch_every` is how often at most a device's last sight is written; `most_series` what is listed of a device."""

    skew_tolerance: Seconds = 300.0
    touch_every: Seconds = 10.0
    most_series: int = 10_000


class Intake:
    """Takes what devices send.

    `now` is the hub's Unix ms, `era` which guess it is of (`wall`); what is heavy is opened on `opener`, a worker whose
    life is the wiring's. `apply_report` and `apply_event` take each new record of their lanes (losses are kept here)
    within the transaction; `stored` is told each new parcel after COMMIT, in order, and must return at once.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], int],
        options: Options,
        opener: Worker,
        *,
        era: Callable[[], int],
        apply_report: deposit.Apply,
        apply_event: deposit.Apply,
        stored: Callable[[str, Parcel], None],
    ) -> None:
        self._store, self._now, self._opener, self._stored = store, now, Opener(opener), stored
        self._era = era
        self._tolerance = round(options.skew_tolerance * 1000)
        limits = deposit.Limits(round(options.touch_every * 1000), options.most_series)
        self._depositor = deposit.Depositor(limits, apply_report, apply_event)

    async def telemetry(self, ask: Ask) -> Reply | Problem:
        """Store what a device sends; Malformed when the request cannot be read, StoreFull when there is no room."""
        device, given, era = ask.caller.name, ask.request.headers, self._era()
        skewed = None if era else self._skew(ask)
        if skewed is not None:
            return skewed
        clocks = headers.parse_clocks(given.get(headers.CLOCK, ""))
        held = given.get(headers.SPOOL, "")
        inventory, whole = headers.parse_inventory(held), headers.names_all(held)
        parcels = await self._opener.open(ask.request)
        brought = deposit.Deposit(device, parcels, inventory, whole, clocks, ask.received_at, era)
        receipt = await self._store.enter(self._depositor, brought)
        for parcel in receipt.fresh:
            self._stored(device, parcel)
        if len(parcels) == 1 and receipt.settled[0].code == "identity_conflict":
            return _conflict(parcels[0].frame.identity)
        results = [
            _result(parcel.frame.identity, settlement)
            for parcel, settlement in zip(parcels, receipt.settled, strict=True)
        ]
        return Reply(body=orjson.dumps({"results": results, "hub_time": self._now()}))

    def _skew(self, ask: Ask) -> Problem | None:
        written = ask.request.headers.get(headers.SENT_AT)
        if written is None:
            return None
        skew = headers.parse_sent_at(written) - ask.received_at
        if abs(skew) <= self._tolerance:
            return None
        return Problem(
            status=400,
            code="clock_skew",
            title="The device's time is not the hub's",
            detail=f"{headers.SENT_AT} is {skew} ms off. Learn hub_time and send the same again, or leave it out.",
            field=headers.SENT_AT,
            extra={"hub_time": self._now(), "skew_ms": skew, "tolerance_ms": self._tolerance},
        )


def _result(identity: Identity, settlement: Settlement) -> dict[str, Any]:
    result = {"epoch": f"{identity.epoch:016x}", "seq": identity.seq, "status": settlement.status}
    return result if settlement.code is None else {**result, "code": settlement.code}


def _conflict(identity: Identity) -> Problem:
    return Problem(
        status=409,
        code="identity_conflict",
        title="The request contradicts what is stored",
        detail=f"Frame {identity} is stored with other bytes (a restored snapshot, a cloned card). Renumber it.",
        extra={"epoch": f"{identity.epoch:016x}", "seq": identity.seq},
    )
