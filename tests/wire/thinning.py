"""Batches by hand, what they are thinned to, and what of a stand-in a test looks at."""

from collections.abc import Iterable, Sequence
from typing import Any

from edge_agent.model.anchor import Anchor
from edge_agent.model.reading import Kind, Reading, Series, Tick
from edge_agent.wire.batch import Batch, BatchBuilder, parse, survey, unzip
from edge_agent.wire.coarse import Coarsener, StandIn
from edge_agent.wire.survey import Surveyor

EPOCH = 0x77
MOST = 2**26
RESOURCE = {"device.id": "car-3"}
TEN, SIXTY = 10_000, 60_000

Named = tuple[str, Series]


def body(ticks: Iterable[Tick], *, axis: str = "boot-1", anchor: Anchor | None = None, **stat: Any) -> bytes:
    """A batch, unpacked."""
    builder = BatchBuilder(axis, RESOURCE)
    for tick in ticks:
        builder.add(tick)
    return unzip(builder.pack(anchor, stat), MOST)


def thinned(bodies: Sequence[bytes], window: int = TEN) -> list[StandIn]:
    """The stand-ins of full batches, numbered from 0."""
    coarsener = Coarsener(EPOCH, window)
    for seq, one in enumerate(bodies):
        coarsener.add([(seq, seq + 1)], one)
    return coarsener.pack()


def coarser(stand_ins: Sequence[StandIn], window: int = SIXTY) -> list[StandIn]:
    """The stand-ins of stand-ins."""
    coarsener = Coarsener(EPOCH, window)
    for one in stand_ins:
        coarsener.add(one.ranges, unzip(one.payload, MOST))
    return coarsener.pack()


def opened(stand_in: StandIn) -> Batch:
    """What a stand-in says, as both readers have it."""
    unpacked = unzip(stand_in.payload, MOST)
    assert Surveyor().survey(unpacked) == survey(unpacked)
    batch = parse(unpacked)
    assert batch.thins is not None
    assert batch.thins.ranges == stand_in.ranges
    return batch


def only(stand_ins: Sequence[StandIn]) -> Batch:
    """What the one stand-in says."""
    (one,) = stand_ins
    return opened(one)


def gauge(value: float | None, name: str = "heat", digits: int | None = 1, reason: str | None = None) -> Reading:
    return Reading(name, value, "Cel", digits=digits, reason=reason)


def counter(value: float | None, name: str = "bytes", reason: str | None = None) -> Reading:
    return Reading(name, value, "By", kind="counter", reason=reason)


def readings(batches: Iterable[Batch], kind: Kind) -> dict[Named, list[tuple[int, float]]]:
    """All readings of full batches, or of counters, in the order in which they came."""
    found: dict[Named, list[tuple[int, float]]] = {}
    for batch in batches:
        for track in batch.tracks:
            for series, column in zip(track.series, track.columns, strict=True):
                if series.kind == kind:
                    own = found.setdefault((track.collector, series), [])
                    own += [(at, value) for at, value in zip(track.instants, column, strict=True) if value is not None]
    return {named: own for named, own in found.items() if own}


Windows = dict[tuple[Named, int], tuple[float, float, float, int]]


def windows(batch: Batch) -> Windows:
    """Mean, least, greatest and count of every window that has a value."""
    found: Windows = {}
    for track in batch.tracks:
        if track.counts is None:
            continue
        assert track.least is not None
        assert track.greatest is not None
        for number, series in enumerate(track.series):
            columns = (track.columns, track.least, track.greatest, track.counts)
            for start, *cells in zip(track.instants, *(column[number] for column in columns), strict=True):
                if cells[3] is None:
                    assert cells == [None] * 4
                    continue
                key = ((track.collector, series), start)
                assert key not in found
                mean, least, greatest, count = cells
                found[key] = (mean, least, greatest, count)
    return found


def gaps(batch: Batch, kind: Kind) -> dict[tuple[Named, int], str]:
    """The reasons, by series and instant."""
    return {
        ((track.collector, track.series[gap.series]), track.instants[place]): gap.reason
        for track in batch.tracks
        for gap in track.gaps
        for place in range(gap.start, gap.stop)
        if track.series[gap.series].kind == kind
    }
