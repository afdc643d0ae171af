"""Whether a batch brings anything that a stored one of the same number has not.

A number that comes again with other bytes is a conflict (a restored snapshot, a cloned card), and the device seals it
under another. But where the open batch lies on a disk, a power cut may bring its file back torn, long after the batch
was delivered: what is sealed of it then has the same ticks, or fewer. Stored under a second number they would be
doubled, so a batch whose every tick and value stands in the stored one is its duplicate.
"""

from edge_agent.model.failure import Malformed
from edge_agent.model.reading import Series
from edge_agent.wire.batch import parse, unzip

Cell = tuple[str, int, Series]


def is_part_of(part: bytes, whole: bytes, most: int) -> bool:
    """Whether all values of one payload stand in another, at the same instants of one axis; each at most so large."""
    try:
        less, more = parse(unzip(part, most)), parse(unzip(whole, most))
    except Malformed:
        return False
    if less.axis != more.axis or less.thins is not None or more.thins is not None:
        return False
    stored: dict[Cell, float | None] = {}
    instants: set[tuple[str, int]] = set()
    for track in more.tracks:
        instants.update((track.collector, at) for at in track.instants)
        for series, column in zip(track.series, track.columns, strict=True):
            stored.update(
                ((track.collector, at, series), value) for at, value in zip(track.instants, column, strict=True)
            )
    return all(
        all((track.collector, at) in instants for at in track.instants)
        and all(
            value is None or stored.get((track.collector, at, series)) == value
            for series, column in zip(track.series, track.columns, strict=True)
            for at, value in zip(track.instants, column, strict=True)
        )
        for track in less.tracks
    )
