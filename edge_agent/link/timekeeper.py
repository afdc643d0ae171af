"""True time on the device's axis, learnt from the stamps of every answer (`model.anchor` has the arithmetic).

Two strengths of evidence:

    stated   `Edge-Hub-Time: <ms>;err=<ms>`: the hub's clock within its own stated error
    guessed  `Edge-Hub-Time: <ms>;unsync`, or `Date` where there is no hub time: taken as within 1 s, `Date` as 1 s
             stale on top

Rules: an answer with `Age` came out of a cache and says nothing. Stated evidence takes the place of guessed
evidence at once, and guessed evidence is not listened to while stated evidence is held: a hub that lost its own
source of time must not move a device that knew better. Evidence of one strength that agrees with what is held narrows
it. Evidence that contradicts it is held back once; when the next answer of that strength agrees with the newcomer,
the two of them are taken and a step is counted: one broken answer moves nothing, a hub whose clock was set right is
followed from its second answer on. `held` never widens with time here: an anchor carries its own instant, and
whoever uses it widens it to theirs.

Not handled: the kernel's own knowledge of true time, and gaps of the axis between two anchors.
"""

from edge_agent.model.anchor import Anchor, bounded
from edge_agent.model.failure import Malformed
from edge_agent.model.http import Answer
from edge_agent.model.ports import Clock
from edge_agent.wire.headers import HUB_TIME, http_date, parse_hub_time

_GUESSED_ERROR = 1000
_DATE_STALENESS = 1000


class Timekeeper:
    """What is known about true time. Implements the port `TrueTime`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: Anchor | None = None
        self._stated = False
        self._rival: Anchor | None = None
        self._steps = 0

    @property
    def steps(self) -> int:
        """How often what was held was given up for a contradicting source: steps of the hub's clock, or our faults."""
        return self._steps

    def observe(self, answer: Answer) -> None:
        """Learn from one answer; one without a usable stamp is passed over."""
        found = _evidence(answer)
        if found is None:
            return
        new, stated = found
        if self._held is None or (stated and not self._stated):
            self._held, self._stated, self._rival = new, stated, None
        elif stated == self._stated:
            self._weigh(self._held, new)

    def anchor(self) -> Anchor | None:
        """The best bounds known now, at the instant at which they were last narrowed; None before the first."""
        return self._held

    def now(self) -> int | None:
        """True time in Unix ms, the middle of the bounds; None before the first anchor."""
        return None if self._held is None else self._clock.now() + self._held.offset

    def _weigh(self, held: Anchor, new: Anchor) -> None:
        agreed = held.narrowed(new)
        if agreed is not None:
            self._held, self._rival = agreed, None
            return
        repeated = None if self._rival is None else self._rival.narrowed(new)
        if repeated is None:
            self._rival = new
        else:
            self._held, self._rival = repeated, None
            self._steps += 1


def _evidence(answer: Answer) -> tuple[Anchor, bool] | None:
    """The anchor that an answer gives, and whether the hub stated its error."""
    if "age" in answer.headers:
        return None
    sent_at, received_at = answer.sent_at, answer.received_at
    written = answer.headers.get(HUB_TIME)
    if written is not None:
        try:
            hub = parse_hub_time(written)
        except Malformed:
            return None
        error = _GUESSED_ERROR if hub.error is None else hub.error
        return bounded(hub.stamp, error, 0, sent_at, received_at), hub.error is not None
    date = http_date(answer.headers.get("date", ""))
    if date is None:
        return None
    stamp = int(date.timestamp()) * 1000
    return bounded(stamp, _GUESSED_ERROR, _DATE_STALENESS, sent_at, received_at), False
