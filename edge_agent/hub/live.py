"""Live: what devices show of themselves now, and who looks.

A device's POST is its heartbeat: lamps, and its axis. While somebody looks it also carries ticks, which go to viewers
and are not stored. Looking is a lease of 60 s that the hub renews every 30 s while a viewer's stream is open. A
viewer who names no device looks at no more than 32: ten thousand devices sending each second is not a view.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.fanout import Fanout
from edge_agent.hub.forms import LampRow, LiveForm, read_body
from edge_agent.hub.journal import Entry
from edge_agent.hub.parcels import MOST_UNPACKED, Parcel
from edge_agent.hub.presence import Presence
from edge_agent.hub.timeline import Flag, Stamp
from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import FrameKind
from edge_agent.model.ports import Clock
from edge_agent.wire.batch import parse, unzip

TELEMETRY = "telemetry"
RENEW_SECONDS = 30.0
_MOST_WATCHED_UNNAMED = 32
_FRESH_MS = 120_000
_MOST_SHOWN = 20_000
"""Readings of one stored batch that are worth showing: a minute of 300 series at 1 Hz."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A tick on its way to viewers; `readings` are `[name, {attributes}, unit, value|null, reason|null]`.

    `at` is ms on the axis, `ts` Unix ms within `ts_err`. While nothing is known of true time `ts` is when it came less
    its age, `ts_err` None and `flag` approximate.
    """

    device: str
    collector: str
    axis: str
    at: int
    ts: int
    ts_err: int | None
    flag: Flag
    readings: Sequence[Sequence[Any]]

    def told(self) -> Mapping[str, Any]:
        """The data of the viewers' event."""
        return {name: getattr(self, name) for name in self.__slots__}


def placed(at: int, anchor: Anchor | None, offset: int) -> Stamp:
    """True time at an axis time; without an anchor by an offset, with an error that nobody knows."""
    if anchor is None:
        return Stamp(at + offset, None, "approximate")
    wide = anchor.widened(at)
    return Stamp(at + wide.offset, wide.error, "anchored")


class Watchers:
    """The viewers who look, by the devices they named; none named is any."""

    def __init__(self) -> None:
        self._looks: dict[object, frozenset[str]] = {}

    @contextmanager
    def looking(self, devices: frozenset[str]) -> Iterator[None]:
        """Somebody looks while the block is open."""
        look = object()
        self._looks[look] = devices
        try:
            yield
        finally:
            del self._looks[look]

    def watched(self, standing: Sequence[str]) -> frozenset[str]:
        """Which of these devices somebody looks at."""
        named = frozenset[str]().union(*self._looks.values())
        unnamed = standing[:_MOST_WATCHED_UNNAMED] if frozenset() in self._looks.values() else ()
        return named.intersection(standing).union(unnamed)


class Live:
    """Takes what devices show."""

    def __init__(self, clock: Clock, presence: Presence, samples: Fanout[Sample | Entry]) -> None:
        self._clock, self._presence, self._samples = clock, presence, samples

    async def show(self, ask: Ask) -> Reply:
        """POST: a heartbeat, with ticks while somebody looks."""
        form, device = read_body(LiveForm, ask.request), ask.caller.name
        lamps = [LampRow(part=part, state=state, since=since, note=note) for part, state, since, note in form.lamps]
        self._presence.described(device, form.axis, form.now, lamps)
        anchor = Anchor(*form.anchor) if form.anchor else None
        for collector, at, readings in form.ticks:
            stamp = placed(at, anchor, ask.received_at - form.now)
            self._samples.publish(TELEMETRY, Sample(device, collector, form.axis, at, *stamp, readings))
        return Reply(204)

    def show_stored(self, device: str, parcel: Parcel) -> None:
        """Show the ticks of a batch that was just stored, when it is fresh and somebody looks."""
        content = parcel.content
        if parcel.readings > _MOST_SHOWN:
            return  # it would hold the loop; viewers have the history for that
        if parcel.frame.kind != FrameKind.TELEMETRY or content is None or not self._samples.readers(TELEMETRY):
            return
        if content.anchor is None or self._age(parcel.span[1], content.anchor) > _FRESH_MS:
            return
        batch = parse(parcel.body or unzip(parcel.frame.payload, MOST_UNPACKED))
        for track in batch.tracks:
            for row, at in enumerate(track.instants):
                stamp = placed(at, content.anchor, 0)
                readings = [
                    [series.name, dict(series.attributes), series.unit, column[row], None]
                    for series, column in zip(track.series, track.columns, strict=True)
                    if column[row] is not None
                ]
                self._samples.publish(TELEMETRY, Sample(device, track.collector, batch.axis, at, *stamp, readings))

    def _age(self, at: int, anchor: Anchor) -> int:
        """How far an axis time is from now, in ms."""
        return abs(self._clock.wall() - placed(at, anchor, 0).ts)
