"""A deposit: everything that one request brings; and the depositor, who enters all deposits of a group at once.

Frames, their marks, what their records say, the inventory and what was learnt of time stand or fall together. A
number that is stored already is a duplicate when the bytes are the same, and an identity conflict when they are not:
what was stored first stays. A thinned frame is stored when it brings a number that is neither stored nor thinned yet,
and a duplicate when it brings none, whatever its bytes; a full frame is stored though its number was thinned. Rows are
collected over all deposits of a group and written in one statement a table.

What the tables say of a sender is remembered, so that a batch like the one before is looked up nowhere: it writes its
frame, its mark and its anchor, and nothing else. The memory is the writer's alone, only saves work, and is dropped when
anything is undone. Should it ever be wrong, the tables' own uniqueness still keeps a number from being stored twice.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_agent.hub import timeline
from edge_agent.hub.parcels import MOST_UNPACKED, Parcel
from edge_agent.hub.store import dedupe, frames
from edge_agent.hub.store.dedupe import Epochs
from edge_agent.hub.store.frames import AxisRow
from edge_agent.hub.store.likeness import is_part_of
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import FrameKind, Holding, Identity, LaneName, Range
from edge_agent.model.verdict import Settlement
from edge_agent.wire.batch import MOST_TRACKS, Survey, unzip
from edge_agent.wire.record import Records

Apply = Callable[[sqlite3.Connection, str, Mapping[str, Any]], None]
"""Takes the connection, the device and one record, within the transaction. It raises for no content."""

Place = tuple[int, int]
"""The epoch and the number under which a frame has its row."""

_LANE_OF_KIND: Mapping[int, LaneName] = {
    FrameKind.TELEMETRY: "telemetry",
    FrameKind.EVENTS: "events",
    FrameKind.LOGS: "logs",
    FrameKind.REPORTS: "reports",
}
"""The lane of each kind that is numbered in an epoch of its own; thinned frames are not."""

_TELEMETRY = (FrameKind.TELEMETRY, FrameKind.THINNED)
_STORED, _DUPLICATE = Settlement("stored"), Settlement("duplicate")
_CONFLICT = Settlement("rejected", "identity_conflict")
_MOST_SENDERS = 20_000
_MOST_AXES = 64
_MOST_LISTS = 3 * MOST_TRACKS
"""Lists of series that are remembered of a device: each collector's own, and its windows and counters once thinned."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a sender's row is written, in ms, and how many series the catalogue keeps of one."""

    touch_every: int
    most_series: int


@dataclass(frozen=True, slots=True)
class Deposit:
    """What one request brings: `clocks` are axis ms at its sending, `received_at` the hub's Unix ms.

    A `whole` inventory names every epoch that the device holds something of. `era` is 0 while the hub knows the time,
    else it names the guess that `received_at` is of (`frames`).
    """

    device: str
    parcels: Sequence[Parcel]
    inventory: Sequence[Holding]
    whole: bool
    clocks: Mapping[str, int]
    received_at: int
    era: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """How each parcel was settled, in order; `fresh` are those that were not stored before."""

    settled: Sequence[Settlement]
    fresh: Sequence[Parcel]


@dataclass(slots=True)
class _Axis:
    """The row of an axis, and the anchor that came last."""

    row: AxisRow
    anchor: Anchor | None = None


@dataclass(slots=True)
class _Sender:
    """What is remembered of a device: `series` has the fingerprints of each collector's lists.

    `touched_at` is when its row was last written, `resource` what was written there, and `told_at` of when that is, in
    Unix ms, by the guess `told_era` (0: by none).
    """

    row: int
    epochs: Epochs
    axes: dict[str, _Axis] = field(default_factory=dict)
    series: set[tuple[str, int]] = field(default_factory=set)
    touched_at: int = 0
    resource: Mapping[str, str] | None = None
    told_at: int = 0
    told_era: int = 0


@dataclass(slots=True)
class _Sheet:
    """What a group writes, and who is in it."""

    rows: list[frames.FrameRow] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    fresh: dict[tuple[int, int, int], Parcel] = field(default_factory=dict)
    anchors: dict[int, set[Anchor]] = field(default_factory=dict)
    widened: dict[int, _Axis] = field(default_factory=dict)
    senders: dict[int, _Sender] = field(default_factory=dict)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write all of it, one statement a table."""
        dedupe.save(connection, [row for sender in self.senders.values() for row in sender.epochs.changed()])
        frames.insert(connection, self.rows, self.payloads)
        frames.widen(connection, [axis.row for axis in self.widened.values()])
        for axis, anchors in self.anchors.items():
            timeline.learn(connection, axis, sorted(anchors, key=lambda anchor: anchor.at))


class Depositor:
    """Enters deposits. `apply_report` and `apply_event` take each new record of their lanes; losses are kept here."""

    def __init__(self, limits: Limits, apply_report: Apply, apply_event: Apply) -> None:
        self._limits, self._apply_report, self._apply_event = limits, apply_report, apply_event
        self._senders: dict[str, _Sender] = {}

    def enter(self, connection: sqlite3.Connection, deposits: Sequence[Deposit], /) -> list[Receipt]:
        """Enter deposits in order, within a transaction."""
        if len(self._senders) > _MOST_SENDERS:
            self._senders.clear()
        for device in {deposit.device for deposit in deposits} & self._senders.keys():
            # Never between two deposits of a group: what the first learnt of an axis is not written yet.
            if len(self._senders[device].axes) > _MOST_AXES:
                self._senders[device].axes.clear()
        sheet = _Sheet()
        receipts = [self._take(connection, deposit, sheet) for deposit in deposits]
        sheet.write(connection)
        for deposit, receipt in zip(deposits, receipts, strict=True):
            for parcel in receipt.fresh:
                if isinstance(parcel.content, Records):
                    self._apply(connection, deposit.device, parcel.frame.kind, parcel.content)
        return receipts

    def forget(self) -> None:
        """Drop what is remembered: some of it may have been undone."""
        self._senders.clear()

    def _take(self, connection: sqlite3.Connection, deposit: Deposit, sheet: _Sheet) -> Receipt:
        sender = self._sender(connection, deposit)
        sheet.senders[sender.row] = sender
        settled, fresh, places = _settle(connection, sender, deposit.parcels, sheet)
        lost: dict[tuple[int, LaneName, str], list[Range]] = {}
        for loss in (loss for parcel in fresh for loss in parcel.losses):
            lost.setdefault((loss.epoch, loss.lane, loss.reason), []).extend(loss.ranges)
        for (epoch, lane, reason), ranges in lost.items():
            sender.epochs.at(connection, epoch, lane).lose(ranges, reason)
        sender.epochs.hold(connection, deposit.inventory, whole=deposit.whole)
        _learn(connection, sender, deposit, fresh, sheet)
        for parcel, place in zip(fresh, places, strict=True):
            sheet.rows.append(
                _row(sender, parcel, place, -max(1, deposit.received_at) if deposit.era else deposit.received_at)
            )
            _lie(connection, sender, parcel, place)
            sheet.payloads.append(parcel.frame.payload)
            if isinstance(parcel.content, Survey):
                self._catalogue(connection, sender, parcel.content, deposit.received_at)
        self._touch(connection, sender, deposit, fresh)
        return Receipt(settled, fresh)

    def _sender(self, connection: sqlite3.Connection, deposit: Deposit) -> _Sender:
        sender = self._senders.get(deposit.device)
        if sender is None:
            row = frames.sender_of(connection, deposit.device, deposit.received_at)
            sender = self._senders[deposit.device] = _Sender(row, Epochs(row))
        return sender

    def _catalogue(self, connection: sqlite3.Connection, sender: _Sender, content: Survey, now: int) -> None:
        """Enter new series. A collector's list is known by its fingerprint, which no two lists share by chance."""
        for track in content.tracks:
            if (track.collector, track.fingerprint) not in sender.series:
                frames.catalogue(connection, sender.row, track.collector, track.series, now, self._limits.most_series)
                if len(sender.series) >= _MOST_LISTS:
                    sender.series.clear()
                sender.series.add((track.collector, track.fingerprint))

    def _touch(
        self, connection: sqlite3.Connection, sender: _Sender, deposit: Deposit, fresh: Sequence[Parcel]
    ) -> None:
        """Note that it was seen, and the resource of its newest frame: backfill does not bring old labels back."""
        resource = sender.resource
        for parcel in fresh:
            assert parcel.content is not None
            axis = sender.axes[parcel.content.axis]
            era, offset = (axis.row.era, axis.row.ceiling) if axis.anchor is None else (0, axis.anchor.offset)
            at = parcel.span[1] + offset
            if at >= sender.told_at or sender.told_era not in {0, era}:  # what another guess said binds nobody
                resource, sender.told_at, sender.told_era = parcel.content.resource, at, era
        changed = resource is not None and resource != sender.resource
        if changed or abs(deposit.received_at - sender.touched_at) >= self._limits.touch_every:
            frames.touch(connection, sender.row, deposit.received_at, resource if changed else None)
            sender.touched_at, sender.resource = deposit.received_at, resource

    def _apply(self, connection: sqlite3.Connection, device: str, kind: int, records: Records) -> None:
        for record in records.records:
            if kind == FrameKind.REPORTS and record["type"] != "loss":
                self._apply_report(connection, device, record)
            elif kind == FrameKind.EVENTS:
                self._apply_event(connection, device, record)


def _settle(
    connection: sqlite3.Connection, sender: _Sender, parcels: Sequence[Parcel], sheet: _Sheet
) -> tuple[list[Settlement], list[Parcel], list[Place]]:
    """How each parcel is settled; those that are stored, and where."""
    settled: list[Settlement] = []
    fresh: list[Parcel] = []
    places: list[Place] = []
    for parcel in parcels:
        identity = parcel.frame.identity
        if parcel.fault is not None:
            settled.append(Settlement("rejected", parcel.fault.code))
            continue
        thins = parcel.thins
        if thins is not None:
            new = sender.epochs.at(connection, thins.epoch, "telemetry").thin(thins.ranges, parcel.readings)
            if new:
                fresh.append(parcel)
                places.append((~thins.epoch, new[0][0]))
            settled.append(_STORED if new else _DUPLICATE)
            continue
        epoch = sender.epochs.at(connection, identity.epoch, _LANE_OF_KIND[parcel.frame.kind])
        if epoch.has(identity.seq):
            earlier = _earlier(connection, sender.row, identity, sheet)
            if earlier is not None or not epoch.closed:
                settled.append(_DUPLICATE if earlier is None or _is_twin(earlier, parcel) else _CONFLICT)
                continue
            epoch.store_in_hole(parcel.readings)
        else:
            epoch.store(identity.seq, parcel.readings)
        sheet.fresh[sender.row, identity.epoch, identity.seq] = parcel
        fresh.append(parcel)
        places.append(identity)
        settled.append(_STORED)
    return settled, fresh, places


def _earlier(connection: sqlite3.Connection, sender: int, identity: Identity, sheet: _Sheet) -> frames.Kept | None:
    """What a number was stored with, before or earlier in this group."""
    twin = sheet.fresh.get((sender, *identity))
    return frames.Kept(twin.frame.payload, None) if twin else frames.kept(connection, sender, *identity)


def _is_twin(earlier: frames.Kept, parcel: Parcel) -> bool:
    """Whether a parcel has the bytes that its number was stored with, or nothing that those have not."""
    if earlier.is_of(parcel.frame.payload):
        return True
    if earlier.payload is None or not isinstance(parcel.content, Survey):
        return False
    # What was packed here may have been packed by another version's zlib: then what is inside decides.
    if parcel.body is not None:
        return unzip(earlier.payload, MOST_UNPACKED) == parcel.body
    return is_part_of(parcel.frame.payload, earlier.payload, MOST_UNPACKED)


def _learn(
    connection: sqlite3.Connection, sender: _Sender, deposit: Deposit, fresh: Sequence[Parcel], sheet: _Sheet
) -> None:
    """Take what a deposit teaches about the time of the axes that its frames speak of."""
    ceilings = {axis: deposit.received_at - now for axis, now in deposit.clocks.items()}
    longest: dict[str, int] = {}
    anchors: dict[str, list[Anchor]] = {}
    for parcel in fresh:
        assert parcel.content is not None
        name, (first, last) = parcel.content.axis, parcel.span
        ceiling = deposit.received_at - last
        ceilings[name] = min(ceilings.get(name, ceiling), ceiling)
        longest[name] = max(longest.get(name, 0), last - first)
        if parcel.content.anchor is not None:
            anchors.setdefault(name, []).append(parcel.content.anchor)
    for name, ceiling in ceilings.items():
        axis = sender.axes.get(name)
        if axis is None:
            if name not in longest:
                continue  # a clock of an axis that no frame speaks of
            axis = sender.axes[name] = _Axis(frames.axis_of(connection, sender.row, name, ceiling, deposit.era))
        row = _ceiled(axis.row._replace(longest=max(axis.row.longest, longest.get(name, 0))), ceiling, deposit.era)
        if row != axis.row:
            axis.row = row
            sheet.widened[row.id] = axis
        new = [anchor for anchor in anchors.get(name, ()) if anchor != axis.anchor]
        if new:
            sheet.anchors.setdefault(axis.row.id, set()).update(new)
            axis.anchor = max(new, key=lambda anchor: anchor.at)


def _ceiled(row: AxisRow, ceiling: int, era: int) -> AxisRow:
    """An axis under what an arrival says of its ceiling, by a clock or by a guess."""
    if era == row.era:
        return row._replace(ceiling=min(row.ceiling, ceiling))
    return row._replace(ceiling=ceiling, era=era) if row.era else row


def _lie(connection: sqlite3.Connection, sender: _Sender, parcel: Parcel, place: Place) -> None:
    """Note on which axis the epoch of a parcel of telemetry is; one that thinning moved is known by its own."""
    assert parcel.content is not None
    if parcel.frame.kind in _TELEMETRY:
        epoch = place[0] if place[0] >= 0 else ~place[0]
        sender.epochs.at(connection, epoch, "telemetry").lie(sender.axes[parcel.content.axis].row.id)


def _row(sender: _Sender, parcel: Parcel, place: Place, arrived: int) -> frames.FrameRow:
    assert parcel.content is not None
    return frames.FrameRow(
        sender.row,
        *place,
        parcel.frame.kind,
        sender.axes[parcel.content.axis].row.id,
        *parcel.span,
        parcel.readings,
        arrived,
    )
