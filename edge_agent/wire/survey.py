"""Surveys at the hub's pace: what `wire.batch.survey` says of a body, at a tenth of its cost.

Of a batch the hub needs its outline, not its values, and a device sends the same long list of series with each one. So
the document is read by msgspec, whose `Raw` leaves a member as the text that it is after checking that it is JSON:

- A list of series is checked once and then known by its text, for every device that sends the same one. What is known
  is bounded by the size of the texts; what was not asked for longest goes first.
- Cells are checked as text. Without the characters of numbers and nulls all that may be left of them are the commas of
  so many cells, and since they are JSON, each cell then is a number or null. Integers are told from floats by their
  letters, and runs of digits too short to add up to 2**63 need no adding.

Invariant: what is taken here `wire.batch.survey` takes too, with the same result. Whatever is unusual (another version,
members that are not known, spaces, a number of very many digits, and every fault) is left to that slower reader, which
takes it or names what is wrong; so are thinned batches, which are few. msgspec comes with the hub's extra; the agent
never imports this module.

A surveyor is for one thread.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from edge_agent.model.failure import Malformed
from edge_agent.model.reading import Series
from edge_agent.wire.batch import MOST_TRACKS, VERSION, Survey, read_head, read_stat, summed, survey
from edge_agent.wire.track import MOST_CELLS, Outline, check_families, check_gaps, check_instants, refuse

_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_SIGNS = b"+-"
_CELLS = b"0.elnu"
"""The characters of numbers and of null, once digits look alike and signs are gone."""
_MOST_DIGITS = 18
"""So many digits, less those of the number of instants, cannot add up to 2**63."""
_LONG_POWER = b"e000"


class Surveyor:
    """Surveys batches. `most_text` bounds, in bytes, the lists of series that are remembered."""

    def __init__(self, most_text: int = 8 * 2**20) -> None:
        self._most_text = most_text
        self._text = 0
        self._lists: dict[bytes, _List] = {}
        self._decoder = msgspec.json.Decoder(_Document)

    def survey(self, body: bytes) -> Survey:
        """What a body holds, checked to its last cell; Malformed as `wire.batch.survey` says it."""
        try:
            return self._surveyed(body)
        except (msgspec.MsgspecError, Malformed, ValueError, RecursionError):
            return survey(body)

    def _surveyed(self, body: bytes) -> Survey:
        if not body.isascii():
            body.decode()  # msgspec leaves the text of what it passes over unchecked
        document = self._decoder.decode(body)
        if type(document.v) is not int or document.v != VERSION or len(document.tracks) > MOST_TRACKS:
            refuse("body", "must be looked at member by member")
        head = read_head({"axis": document.axis, "anchor": document.anchor, "resource": document.resource})
        return summed(head, map(self._outline, document.tracks), read_stat(orjson.loads(bytes(document.stat))))

    def _outline(self, track: "_Track") -> Outline:
        last, ticks = check_instants(track.collector, track.t0, track.dt, "track"), len(track.dt)
        known = self._known(bytes(track.families))
        readings = _filled(bytes(track.cells), known.digits, ticks)
        if track.gaps != []:
            check_gaps(track.gaps, len(known.series), ticks, "track.gaps")
        return Outline(track.collector, track.t0, last, ticks, readings, known.series, known.fingerprint)

    def _known(self, text: bytes) -> "_List":
        known = self._lists.pop(text, None)
        if known is None:
            series = check_families(orjson.loads(text), "track.families")
            known = _List(series, tuple(one.digits for one in series), hash(series))
            self._text += len(text)
        self._lists[text] = known
        while self._text > self._most_text:
            oldest = next(iter(self._lists))
            del self._lists[oldest]
            self._text -= len(oldest)
        return known


class _List(NamedTuple):
    series: tuple[Series, ...]
    digits: tuple[int | None, ...]
    fingerprint: int


class _Track(msgspec.Struct, forbid_unknown_fields=True):
    collector: Any
    t0: Any
    dt: Any
    families: msgspec.Raw
    cells: msgspec.Raw
    gaps: Any = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    v: Any
    axis: Any
    tracks: list[_Track]
    anchor: Any = None
    resource: Any = None
    stat: msgspec.Raw = msgspec.Raw(b"null")
    epoch: Any = None
    seq: Any = None


def _filled(cells: bytes, digits: Sequence[int | None], ticks: int) -> int:
    """Check cells, which are a list of JSON, without reading them; how many of them have a value."""
    count = len(digits) * ticks
    figures = cells.translate(_DIGITS, _SIGNS)
    if not 0 < count <= MOST_CELLS or figures.translate(None, _CELLS) != b"[" + b"," * (count - 1) + b"]":
        refuse("track.cells", "must be looked at one by one")
    if b"0" * (_MOST_DIGITS - len(str(ticks))) in figures or _LONG_POWER in figures:
        refuse("track.cells", "must be added up")
    if b"." in figures or b"e" in figures:
        each = figures[1:-1].split(b",")
        for number, own in enumerate(digits):
            text = b"" if own is None else b",".join(each[number * ticks : (number + 1) * ticks])
            if b"." in text or b"e" in text:
                refuse("track.cells", "must hold integers where digits is not null")
    return count - figures.count(b"n") if b"n" in figures else count
