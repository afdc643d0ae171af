"""Headers and statuses, as text and as values: those of the native API, and what HTTP says of time and of waiting.

    Edge-Sent-At: <unix ms>
    Edge-Clock: <axis>=<axis ms>, ...                                 at most 8 axes
    Edge-Spool: <lane>:<epoch, 16 hex>:<next>:<a-b.c-d>, ...          at most 4096 bytes
    Edge-Hub-Time: <unix ms>;err=<ms>    or    <unix ms>;unsync
    Date, Retry-After                                                 as HTTP has them (RFC 9110)

Ranges in `Edge-Spool` are half open and rise without overlap; `-` stands for none. An epoch that is not in it is held
no more, unless a last part `*` says that some did not fit. Epochs and numbers are below 2**63, times lie within 2**53
ms of their zero. The names below are lower case, as everywhere in `model.http`. What does not hold in a header of the
native API raises `Malformed("bad_header")`, whose field is the header's name. `Date` and `Retry-After` are written by
whoever stands in the way: what is wrong with them is None.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NoReturn

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import LANES, Holding, LaneName, Range

SENT_AT = "edge-sent-at"
CLOCK = "edge-clock"
SPOOL = "edge-spool"
HUB_TIME = "edge-hub-time"

MOST_WAIT = 3600.0
"""Seconds: no `Retry-After` is honoured for longer."""

MOST_CLOCKS = 8
MOST_SPOOL_BYTES = 4096
_MORE = "*"

_MOST_CLOCK_BYTES = 2048
_AXIS = re.compile(r"[!-+\--~]{1,128}")  # printable ASCII without space and comma
_TIME = re.compile(r"-?[0-9]{1,16}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_HUB_TIME = re.compile(r"([0-9]{1,16});(?:err=([0-9]{1,16})|unsync)")
_HOLDING = re.compile(
    r"([a-z]+):([0-9a-f]{16}):([0-9]{1,19}):(-|[0-9]{1,19}-[0-9]{1,19}(?:\.[0-9]{1,19}-[0-9]{1,19})*)"
)
_LANES: Mapping[str, LaneName] = {lane: lane for lane in LANES}
_PASSING = frozenset({408, 425, 429})
_SERVER_FAULTS = 500
_TIMES = 2**53
_NUMBERS = 2**63


@dataclass(frozen=True, slots=True)
class HubTime:
    """A hub's stamp in Unix ms, and how far off it may be in ms; None when the hub does not know."""

    stamp: int
    error: int | None


def format_sent_at(sent_at: int) -> str:
    """`Edge-Sent-At` from Unix ms."""
    return str(sent_at)


def parse_sent_at(text: str) -> int:
    """Unix ms from `Edge-Sent-At`."""
    return _time(SENT_AT, text.strip())


def format_clocks(clocks: Mapping[str, int]) -> str:
    """`Edge-Clock` from axis names to axis ms; the first 8 are sent."""
    return ", ".join(f"{axis}={now}" for axis, now in list(clocks.items())[:MOST_CLOCKS])


def parse_clocks(text: str) -> dict[str, int]:
    """Axis names to axis ms from `Edge-Clock`."""
    if len(text) > _MOST_CLOCK_BYTES:
        _refuse(CLOCK, "is too long")
    clocks: dict[str, int] = {}
    for part in _parts(text):
        axis, _, now = part.rpartition("=")
        if _AXIS.fullmatch(axis) is None or axis in clocks:
            _refuse(CLOCK, "names each axis once, in up to 128 characters")
        clocks[axis] = _time(CLOCK, now)
    if len(clocks) > MOST_CLOCKS:
        _refuse(CLOCK, f"holds at most {MOST_CLOCKS} axes")
    return clocks


def format_inventory(holdings: Sequence[Holding]) -> str:
    """`Edge-Spool` from an inventory whose epochs stand oldest first within each lane.

    What would pass 4096 bytes is left out, whole epochs, from the oldest of each lane on: the newest epoch of every
    lane is the last to go. A last part `*` says that some are left out; without it, an epoch that is not named here is
    held no more, whatever an earlier inventory said.
    """
    ages: dict[LaneName, int] = {}
    aged: list[tuple[int, int]] = []
    for index in range(len(holdings) - 1, -1, -1):
        age = ages[holdings[index].lane] = ages.get(holdings[index].lane, -1) + 1
        aged.append((age, index))
    kept: dict[int, str] = {}
    room = MOST_SPOOL_BYTES - 1  # the last part has no comma after it, and there is room for the mark
    for _, index in sorted(aged):
        written = _written(holdings[index])
        if len(written) < room:
            room -= len(written) + 1
            kept[index] = written
    parts = [kept[index] for index in sorted(kept)]
    return ",".join(parts if len(parts) == len(holdings) else [*parts, _MORE])


def parse_inventory(text: str) -> tuple[Holding, ...]:
    """The inventory from `Edge-Spool`, each epoch of a lane once; `names_all` tells whether it is the whole of it."""
    if len(text) > MOST_SPOOL_BYTES:
        _refuse(SPOOL, f"is longer than {MOST_SPOOL_BYTES} bytes")
    parts = list(_parts(text))
    if parts and parts[-1] == _MORE:
        parts = parts[:-1]
    holdings = tuple(map(_holding, parts))
    if len({(holding.lane, holding.epoch) for holding in holdings}) < len(holdings):
        _refuse(SPOOL, "names an epoch twice")
    return holdings


def names_all(text: str) -> bool:
    """Whether an `Edge-Spool` names every epoch that the device holds something of. None at all says nothing."""
    return bool(text.strip()) and not text.rstrip().endswith(_MORE)


def format_hub_time(time: HubTime) -> str:
    """`Edge-Hub-Time` from a stamp."""
    return f"{time.stamp};unsync" if time.error is None else f"{time.stamp};err={time.error}"


def parse_hub_time(text: str) -> HubTime:
    """The hub's stamp from `Edge-Hub-Time`."""
    found = _HUB_TIME.fullmatch(text.strip())
    if found is None:
        _refuse(HUB_TIME, "is <ms>;err=<ms> or <ms>;unsync")
    return HubTime(_time(HUB_TIME, found[1]), None if found[2] is None else _time(HUB_TIME, found[2]))


def http_date(text: str) -> datetime | None:
    """An instant from `Date` and its like, in UTC or as its zone says; None when it is none or names no zone."""
    try:
        date = parsedate_to_datetime(text)
        date.timestamp()  # one that lies beside the calendar once its zone is taken off is none
    except (ValueError, TypeError, OverflowError):
        return None
    return None if date.tzinfo is None else date


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, from 0 to an hour; a date is read against the same answer's own `Date`."""
    written = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(written):
        return min(float(written), MOST_WAIT)
    until, stamped = http_date(written), http_date(headers.get("date", ""))
    if until is None or stamped is None:
        return None
    return min(max((until - stamped).total_seconds(), 0.0), MOST_WAIT)


def passes(status: int) -> bool:
    """Whether an answer of this status says only that it does not work now: the same request may work later."""
    return status in _PASSING or status >= _SERVER_FAULTS


def _parts(text: str) -> Iterable[str]:
    return (part.strip() for part in text.split(",")) if text.strip() else ()


def _time(header: str, text: str) -> int:
    if _TIME.fullmatch(text) is None or abs(int(text)) > _TIMES:
        _refuse(header, "holds a time that is not whole milliseconds")
    return int(text)


def _written(holding: Holding) -> str:
    ranges = ".".join(f"{first}-{after}" for first, after in holding.held)
    return f"{holding.lane}:{holding.epoch:016x}:{holding.next}:{ranges or '-'}"


def _holding(text: str) -> Holding:
    found = _HOLDING.fullmatch(text)
    lane = None if found is None else _LANES.get(found[1])
    if found is None or lane is None:
        _refuse(SPOOL, "is <lane>:<epoch>:<next>:<a-b.c-d>")
    epoch, following = int(found[2], 16), int(found[3])
    held: list[Range] = []
    reached = 0
    for pair in found[4].split(".") if found[4] != "-" else ():
        first, after = map(int, pair.split("-"))
        if not reached <= first < after:
            _refuse(SPOOL, "holds ranges that do not rise")
        held.append((first, after))
        reached = after
    if epoch >= _NUMBERS or following >= _NUMBERS or reached > following:
        _refuse(SPOOL, "holds numbers that cannot be")
    return Holding(lane, epoch, following, tuple(held))


def _refuse(header: str, what: str) -> NoReturn:
    raise Malformed("bad_header", f"{header} {what}", field=header)
