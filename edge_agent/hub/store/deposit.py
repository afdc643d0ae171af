"""A deposit: everything that one request brings, stored in one transaction.

Frames, their marks, what their records say, the inventory and what was learnt of time stand or fall together. A
number that is stored already is a duplicate when the bytes are the same, and an identity conflict when they are not:
what was stored first stays. `Known` remembers what a device's last deposits taught, so that a batch like the one
before writes its frame and its mark, and nothing else. It only saves work: what is not in it is looked up.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edge_agent.hub import timeline
from edge_agent.hub.parcels import MOST_UNPACKED, Parcel
from edge_agent.hub.store import frames
from edge_agent.hub.store.dedupe import Epochs
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import FrameKind, Holding, LaneName
from edge_agent.model.verdict import Settlement
from edge_agent.wire.batch import Survey, unzip
from edge_agent.wire.record import Records

Apply = Callable[[sqlite3.Connection, str, Mapping[str, Any]], None]
"""Takes the connection, the device and one record, within the transaction. It raises for no content."""

_LANE_OF_KIND: Mapping[int, LaneName] = {
    FrameKind.TELEMETRY: "telemetry",
    FrameKind.EVENTS: "events",
    FrameKind.LOGS: "logs",
    FrameKind.REPORTS: "reports",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a sender's row is written, in ms, and how many series the catalogue keeps of one."""

    touch_every: int
    most_series: int


@dataclass(frozen=True, slots=True)
class Deposit:
    """What one request brings: `clocks` are axis ms at its sending, `received_at` the hub's Unix ms."""

    device: str
    parcels: Sequence[Parcel]
    inventory: Sequence[Holding]
    clocks: Mapping[str, int]
    received_at: int


@dataclass(frozen=True, slots=True)
class KnownAxis:
    """The row of an axis, its longest frame, its ceiling, and the anchor that came last."""

    row: int
    longest: int
    ceiling: int
    anchor: Anchor | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a device without looking: copied when it changes, so that a failed write teaches nothing."""

    sender: int | None = None
    touched_at: int = 0
    resource: Mapping[str, str] | None = None
    told_at: int = 0
    axes: Mapping[str, KnownAxis] = field(default_factory=dict)
    series: Mapping[str, int] = field(default_factory=dict)
    holdings: Mapping[int, Holding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """How each parcel was settled, in order; `fresh` are those that were not stored before."""

    settled: Sequence[Settlement]
    fresh: Sequence[Parcel]
    known: Known


def store(
    connection: sqlite3.Connection,
    deposit: Deposit,
    known: Known,
    limits: Limits,
    apply_report: Apply,
    apply_event: Apply,
) -> Receipt:
    """Store a deposit; run within a transaction."""
    sender = known.sender
    if sender is None:
        sender = frames.sender_of(connection, deposit.device, deposit.received_at)
    epochs = Epochs(connection, sender)
    settled, fresh = _settle(connection, sender, deposit.parcels, epochs)
    for parcel in fresh:
        for loss in parcel.losses:
            epochs.at(loss.epoch, loss.lane).lose(loss.ranges, loss.reason)
    told = {holding.epoch: holding for holding in deposit.inventory}
    for epoch, holding in told.items():
        if known.holdings.get(epoch) != holding:
            epochs.at(epoch, holding.lane).hold(holding)
    epochs.save()
    axes = _learn(connection, sender, deposit, fresh, known.axes)
    rows = [_row(sender, parcel, axes, deposit.received_at) for parcel in fresh]
    frames.insert(connection, rows, [parcel.frame.payload for parcel in fresh])
    series = _catalogue(connection, sender, fresh, known.series, deposit.received_at, limits.most_series)
    known = _touch(connection, sender, deposit, fresh, known, axes, limits.touch_every)
    for parcel in fresh:
        if isinstance(parcel.content, Records):
            _apply(connection, deposit.device, parcel.frame.kind, parcel.content, apply_report, apply_event)
    return Receipt(settled, fresh, replace(known, sender=sender, axes=axes, series=series, holdings=told))


def _settle(
    connection: sqlite3.Connection, sender: int, parcels: Sequence[Parcel], epochs: Epochs
) -> tuple[list[Settlement], list[Parcel]]:
    settled: list[Settlement] = []
    fresh: dict[tuple[int, int], Parcel] = {}
    for parcel in parcels:
        identity = parcel.frame.identity
        if parcel.fault is not None:
            settled.append(Settlement("rejected", parcel.fault.code))
            continue
        epoch = epochs.at(identity.epoch, _LANE_OF_KIND[parcel.frame.kind])
        if epoch.has(identity.seq):
            twin = fresh.get(identity)
            earlier = frames.Kept(twin.frame.payload, None) if twin else frames.kept(connection, sender, *identity)
            same = earlier is None or _same(earlier, parcel)
            settled.append(Settlement("duplicate") if same else Settlement("rejected", "identity_conflict"))
            continue
        epoch.store(identity.seq, parcel.readings)
        fresh[identity] = parcel
        settled.append(Settlement("stored"))
    return settled, list(fresh.values())


def _same(earlier: frames.Kept, parcel: Parcel) -> bool:
    if earlier.is_of(parcel.frame.payload):
        return True
    if parcel.body is None or earlier.payload is None:
        return False
    # What was packed here may have been packed by another version's zlib: then what is inside decides.
    return unzip(earlier.payload, MOST_UNPACKED) == parcel.body


def _learn(
    connection: sqlite3.Connection,
    sender: int,
    deposit: Deposit,
    fresh: Sequence[Parcel],
    known: Mapping[str, KnownAxis],
) -> dict[str, KnownAxis]:
    """The axes that this deposit speaks of, with what it teaches about their time."""
    axes = dict(known)
    ceilings = {axis: deposit.received_at - now for axis, now in deposit.clocks.items()}
    longest: dict[str, int] = {}
    anchors: dict[str, set[Anchor]] = {}
    for parcel in fresh:
        assert parcel.content is not None
        axis, (first, last) = parcel.content.axis, parcel.span
        ceiling = deposit.received_at - last
        ceilings[axis] = min(ceilings.get(axis, ceiling), ceiling)
        longest[axis] = max(longest.get(axis, 0), last - first)
        if parcel.content.anchor is not None:
            anchors.setdefault(axis, set()).add(parcel.content.anchor)
    for axis, ceiling in ceilings.items():
        if axis not in longest and axis not in axes:
            continue  # a clock of an axis that no frame speaks of
        if axis not in axes:
            row = frames.axis_of(connection, sender, axis, ceiling)
            axes[axis] = KnownAxis(row, -1, ceiling + 1)
        before = axes[axis]
        after = KnownAxis(
            before.row, max(before.longest, longest.get(axis, 0)), min(before.ceiling, ceiling), before.anchor
        )
        if after != before:
            frames.widen(connection, after.row, after.longest, after.ceiling)
        new = sorted(anchors.get(axis, set()) - {before.anchor}, key=lambda anchor: anchor.at)
        timeline.learn(connection, after.row, new)
        axes[axis] = replace(after, anchor=new[-1]) if new else after
    return axes


def _row(sender: int, parcel: Parcel, axes: Mapping[str, KnownAxis], received_at: int) -> frames.FrameRow:
    assert parcel.content is not None
    frame = parcel.frame
    return frames.FrameRow(
        sender,
        *frame.identity,
        frame.kind,
        axes[parcel.content.axis].row,
        *parcel.span,
        parcel.readings,
        received_at,
    )


def _catalogue(
    connection: sqlite3.Connection,
    sender: int,
    fresh: Sequence[Parcel],
    known: Mapping[str, int],
    now: int,
    most: int,
) -> dict[str, int]:
    """Enter new series. A collector's list is known by its hash, which no two lists share by chance."""
    lists = dict(known)
    for parcel in fresh:
        for track in parcel.content.tracks if isinstance(parcel.content, Survey) else ():
            fingerprint = hash(track.series)
            if lists.get(track.collector) != fingerprint:
                frames.catalogue(connection, sender, track.collector, track.series, now, most)
                lists[track.collector] = fingerprint
    return lists


def _touch(
    connection: sqlite3.Connection,
    sender: int,
    deposit: Deposit,
    fresh: Sequence[Parcel],
    known: Known,
    axes: Mapping[str, KnownAxis],
    touch_every: int,
) -> Known:
    """Note that the sender was seen, and the resource of its newest frame: backfill does not bring old labels back."""
    resource, told_at = known.resource, known.told_at
    for parcel in fresh:
        assert parcel.content is not None
        axis = axes[parcel.content.axis]
        offset = axis.ceiling if axis.anchor is None else axis.anchor.offset
        if parcel.span[1] + offset >= told_at:
            resource, told_at = parcel.content.resource, parcel.span[1] + offset
    changed = resource is not None and resource != known.resource
    if changed or abs(deposit.received_at - known.touched_at) >= touch_every:
        frames.touch(connection, sender, deposit.received_at, resource if changed else None)
        return replace(known, touched_at=deposit.received_at, resource=resource, told_at=told_at)
    return replace(known, told_at=told_at)


def _apply(
    connection: sqlite3.Connection,
    device: str,
    kind: int,
    records: Records,
    apply_report: Apply,
    apply_event: Apply,
) -> None:
    for record in records.records:
        if kind == FrameKind.REPORTS and record["type"] != "loss":
            apply_report(connection, device, record)
        elif kind == FrameKind.EVENTS:
            apply_event(connection, device, record)
