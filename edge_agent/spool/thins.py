"""What the frames of thinned segments stand for, as their payloads say (`wire.thins`)."""

from collections.abc import Mapping

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Frame, FrameKind
from edge_agent.model.ranges import Ranges, difference, union
from edge_agent.spool.scan import Scan
from edge_agent.spool.segment import Name
from edge_agent.wire.batch import read_document, unzip
from edge_agent.wire.coarse import stand_in_epoch
from edge_agent.wire.frame import decode
from edge_agent.wire.thins import Thins, read_thins

MOST_BODY = 16 * 2**20
"""What a batch may unpack to, in bytes, to be read here."""


def thins_of(frame: Frame) -> Thins | None:
    """What a thinned frame stands for; None when it is none, or does not say it under the identity that follows."""
    if frame.kind != FrameKind.THINNED:
        return None
    try:
        said = read_thins(read_document(unzip(frame.payload, MOST_BODY)).get("thins"))
    except Malformed:
        return None
    if said is None or said.window % 1000:
        return None
    return said if frame.identity == (stand_in_epoch(said.epoch, said.window), said.ranges[0][0]) else None


def stood_for(name: Name, data: bytes, found: Scan) -> tuple[Mapping[int, Ranges], Ranges]:
    """By the number of each frame of a thinned segment the numbers it stands for; and what bad bytes may have taken.

    Where bytes are bad, that is all that the name tells of and no frame stands for. A frame that does not say what it
    stands for, as those of a later version may not, has all up to the next one: it is sent, and the hub judges it.
    """
    known: dict[int, Ranges] = {}
    for index, place in enumerate(found.places):
        said = thins_of(decode(data, place.offset)[0])
        until = found.places[index + 1].seq if index + 1 < len(found.places) else max(name.after, place.seq + 1)
        known[place.seq] = ((place.seq, until),) if said is None else said.ranges
    whole: Ranges = ((name.first, name.after),) if found.bad else ()
    return known, difference(whole, union(*known.values()))
