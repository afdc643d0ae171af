"""True time on the device's axis, learnt from the stamps of every answer and from the kernel.

`model.anchor` has the arithmetic, and says how an axis may part from true time. There are three kinds of claims, the
highest rank first, and a guess below them:

    hub      `Edge-Hub-Time: <ms>;err=<ms>`: the hub's clock within its own stated error
    kernel   the wall clock within what the kernel says of it, while it says that it is synchronised; asked when an
             anchor is asked for, at most every 10 s. It is as old as the last poll of the daemon that keeps the clock
    date     `Date` where there is no hub time: within 1 s, and 1 s stale on top
    guess    `Edge-Hub-Time: <ms>;unsync`, taken as within 1 s. It serves `now` until the first claim comes, and never
             becomes an anchor: nobody vouches for it

An answer with `Age` came out of a cache and says nothing. Nor does the `Date` of a redirect or of a page of HTML: that
is how the portal of a network answers in a hub's place, and such a box may be years off. Bounds beyond all calendars
say nothing either, since no batch can carry them. Rules for what is held:

- A claim that agrees narrows it, whatever the claim's rank.
- One of a lower rank that contradicts is ignored, and counted as a dispute. So a hub that lost its own source of time
  does not move a device that knew better. Only where the rank that is held has said nothing for ten minutes, and more
  true time went by than it knows of, two that agree are taken: the axis stood still while the hub was away, or the
  daemon. What the kernel was told before that is not heard any more.
- One of a higher rank that contradicts takes over at once.
- One of the same rank that contradicts is held back once; when the next of its rank agrees with the newcomer, and is
  not the same stamp again, the two of them are taken. One broken answer moves nothing; a hub whose clock was set right,
  and true time after the axis stood still, are followed from the second answer on. For a minute after one was held back
  no lower rank is listened to: the kernel may not have noticed what the hub saw.

Whenever a contradiction takes over a step is counted, and what was known before is forgotten.

Two things come of what is held. They differ, since the axis may have stood still between two exchanges:

- `now`, the estimate: the likeliest time (`link.likely`) inside what all claims since the last step say together. It
  takes for granted that the axis went on, and is the more accurate for that.
- `anchor`, a claim of one instant, true whatever the axis did between exchanges. The upper bound of an exchange is true
  when its request leaves, and the lower ones of exchanges that were over by then are true there as well, less the
  drift: so the anchor stands at that instant. An exchange that none went before gives no anchor, since there is no
  instant of which both its bounds are sure (a pause may have fallen on the way back), but lends its lower bound to the
  next; so does one that was held back. The kernel's word is an exchange like any other, that began with the poll: when
  the machine was paused since, the wall clock is behind and the kernel does not know, so its upper bound is sure of
  that instant only. Of the anchors of the last minute the narrowest is given, and one of the highest rank before all
  others, for the same reason as above.

`turn` says when to ask a hub of `Date` alone (`link.turns`).

The error that `known` tells is the greatest distance of the estimate from that anchor's bounds now, or from its own
while there is no anchor.

Not handled: a hub that goes on lying in one way; one that was paused itself, and whose kernel does not know.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edge_agent.link.likely import likely
from edge_agent.link.turns import turn
from edge_agent.model.anchor import Anchor, bounded
from edge_agent.model.failure import Malformed
from edge_agent.model.http import Answer
from edge_agent.model.ports import Clock
from edge_agent.wire.headers import HUB_TIME, http_date, parse_hub_time

Source = Literal["hub", "kernel", "date", "guess"]

_RANKS: tuple[Source, ...] = ("guess", "date", "kernel", "hub")
_GUESS, _DATE, _KERNEL, _HUB = range(len(_RANKS))

_GUESSED_ERROR = 1000
_DATE_ERROR = _DATE_STALENESS = 1000
_REDIRECTS = range(300, 400)
_ASK_EVERY_MS = 10_000
_LATELY_MS = 60_000
_SILENT_MS = 600_000
"""How long the rank that is held must say nothing until a lower one is believed that time went on."""
_MOST_FLOORS, _MOST_CHOICES, _MOST_RECENT = 8, 16, 32
_BEYOND = 2**52
"""Ms by which no offset differs from 0. Batches carry twice that, so drift that is taken off stays within."""


@dataclass(frozen=True, slots=True)
class Options:
    """Where true time may come from."""

    kernel: bool = True
    """Ask the kernel too, while it says that something keeps its clock synchronised."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about true time just now. Times in ms, `at` on the axis."""

    offset: int
    """True time less axis time, as it is estimated."""
    error: int | None
    """How far off the estimate may be; None while it is a guess."""
    source: Source
    """The highest rank among what is held."""
    at: int
    """When the last claim was taken, or the last guess."""
    steps: int
    disputes: int


class _Claim(NamedTuple):
    """What one answer says, or the kernel, and what it was made of."""

    bounds: Anchor
    sent_at: int
    """When the request left, or at the latest the daemon's last poll: where the upper bound is sure."""
    rank: int
    stamp: int


class Timekeeper:
    """What is known about true time. Implements the port `TrueTime`."""

    def __init__(self, clock: Clock, ask_kernel: bool = True) -> None:  # noqa: FBT001, FBT002 - the one choice there is
        self._clock = clock
        self._ask_kernel = ask_kernel
        self._asked_at: int | None = None
        self._rank = _GUESS
        self._taken_at = 0
        self._heard_at = 0
        self._outdated_at: int | None = None
        self._rival: _Claim | None = None
        # What was learnt is kept as it was told, since drift that is added up again and again is rounded up each time.
        self._floors: deque[Anchor] = deque(maxlen=_MOST_FLOORS)
        self._roof: Anchor | None = None
        self._recent: deque[Anchor] = deque(maxlen=_MOST_RECENT)  # of the rank that is held
        self._choices: deque[tuple[int, int, Anchor]] = deque()
        self._steps = self._disputes = 0

    @property
    def steps(self) -> int:
        """How often what was held was given up: the hub's clock was set, the axis stood still, or it was wrong here."""
        return self._steps

    def observe(self, answer: Answer) -> None:
        """Learn from one answer; one without a usable stamp is passed over."""
        claim = _claim(answer)
        if claim is not None and -_BEYOND <= claim.bounds.lo <= claim.bounds.hi <= _BEYOND:
            self._weigh(claim)

    def anchor(self) -> Anchor | None:
        """A claim to ride in a batch, at its own instant; None before the first one."""
        self._ask()
        self._expire(self._clock.now())
        return self._choices[0][2] if self._choices else None

    def now(self) -> int | None:
        """True time in Unix ms as it is estimated; None before the first answer."""
        now = self._clock.now()
        estimate = self._estimate(now)
        return None if estimate is None else now + likely(self._recent, estimate)

    def turn(self) -> int:
        """Axis ms until which a request is better put off, less than a second; now where any moment is as good."""
        now = self._clock.now()
        return turn(self._recent, _DATE_ERROR, now) if self._rank == _DATE else now

    def known(self) -> Known | None:
        """What is known just now; None before the first answer. The kernel is not asked for it."""
        now = self._clock.now()
        estimate = self._estimate(now)
        if estimate is None:
            return None
        offset, error = likely(self._recent, estimate), None
        if self._rank > _GUESS:
            given = self._choices[0][2] if self._choices else estimate
            error = max(0, offset - given.floor(now), given.roof(now) - offset)
        return Known(offset, error, _RANKS[self._rank], self._taken_at, self._steps, self._disputes)

    def _estimate(self, at: int) -> Anchor | None:
        """What all claims since the last step say together at this axis time, if the axis went on."""
        if self._roof is None:
            return None
        return Anchor(self._floors[-1].floor(at), self._roof.roof(at), at)

    def _ask(self) -> None:
        """Have the kernel's word, unless it was asked lately."""
        before = self._clock.now()
        if not self._ask_kernel or (self._asked_at is not None and before - self._asked_at < _ASK_EVERY_MS):
            return
        self._asked_at = before
        wall = self._clock.wall()
        after = self._clock.now()
        error = self._clock.wall_error()  # last: once the clock was set by hand the kernel takes its word back
        if error is None or (self._outdated_at is not None and error.told_at <= self._outdated_at):
            return
        bounds, polled_at = bounded(wall, error.most, 0, before, after), min(before, error.told_at)
        self._weigh(_Claim(bounds._replace(hi=bounds.roof(polled_at)), polled_at, _KERNEL, wall))

    def _weigh(self, claim: _Claim) -> None:
        """Take a claim, hold it back, or ignore it: the rules of the module."""
        held = self._estimate(claim.bounds.at)
        if held is None:
            self._begin(claim)
            return
        if claim.rank == _GUESS and self._rank > _GUESS:
            return
        agrees = held.narrowed(claim.bounds) is not None
        silent = claim.bounds.at - self._heard_at > _SILENT_MS
        if claim.rank >= self._rank:
            self._heard_at = max(self._heard_at, claim.sent_at)
        if claim.rank > self._rank and (self._rank == _GUESS or not agrees):
            self._steps += not agrees
            self._begin(claim)
        elif claim.rank < self._rank and self._doubted(claim.bounds.at):
            self._disputes += not agrees
        elif agrees:
            self._take(claim)
        elif claim.rank < self._rank and not (silent and claim.bounds.lo > held.hi):
            self._disputes += 1
        else:
            self._hold_back(claim)

    def _doubted(self, at: int) -> bool:
        """The rank that is held contradicted itself lately."""
        rival = self._rival
        return rival is not None and rival.rank >= self._rank and at - rival.bounds.at <= _LATELY_MS

    def _hold_back(self, claim: _Claim) -> None:
        """A contradiction from the rank that is held, or in its silence: take it if it confirms the one before."""
        rival, self._rival = self._rival, claim
        if rival is None or rival.stamp == claim.stamp or rival.bounds.narrowed(claim.bounds) is None:
            return
        self._steps += 1
        if claim.rank < self._rank == _KERNEL:
            self._outdated_at = rival.bounds.at
        self._clear()
        self._learn(rival)
        self._take(claim)

    def _begin(self, claim: _Claim) -> None:
        """Hold this alone."""
        self._clear()
        self._heard_at = claim.sent_at
        self._take(claim)

    def _clear(self) -> None:
        self._rank = _GUESS
        self._rival = None
        self._floors.clear()
        self._roof = None
        self._recent.clear()
        self._choices.clear()

    def _take(self, claim: _Claim) -> None:
        """Hold what was held and this claim together."""
        self._learn(claim)
        if claim.rank > _GUESS:
            self._offer(claim)

    def _learn(self, claim: _Claim) -> None:
        """Bound the estimate with this claim."""
        bounds = claim.bounds
        if self._rival is not None and claim.sent_at >= self._rival.sent_at:
            self._rival = None  # what is older than a contradiction does not speak against it
        if claim.rank > self._rank:
            self._recent.clear()
        self._rank, self._taken_at = max(self._rank, claim.rank), bounds.at
        if claim.rank == self._rank:
            self._recent.append(bounds)
        if not self._floors or self._floors[-1].floor(bounds.at) < bounds.lo:
            self._floors.append(bounds)
        if self._roof is None or bounds.hi < self._roof.roof(bounds.at):
            self._roof = bounds

    def _offer(self, claim: _Claim) -> None:
        """Keep its anchor if it may yet become the best of the last minute: each is worse than the one before it."""
        rank, bounds, at = claim.rank, claim.bounds, claim.sent_at
        self._expire(bounds.at)
        floors = [floor.floor(at) for floor in self._floors if floor.at <= at]
        if not floors or max(floors) > bounds.hi:
            return
        anchor = Anchor(max(floors), bounds.hi, at)
        width = anchor.hi - anchor.lo
        while self._choices and (-self._choices[-1][0], self._choices[-1][1]) >= (-rank, width):
            self._choices.pop()
        if len(self._choices) == _MOST_CHOICES:
            self._choices.pop()
        self._choices.append((rank, width, anchor))

    def _expire(self, now: int) -> None:
        """Let go of what is older than a minute, where there is something newer."""
        while len(self._choices) > 1 and now - self._choices[0][2].at > _LATELY_MS:
            self._choices.popleft()


def _claim(answer: Answer) -> _Claim | None:
    """What an answer says; None when it says nothing."""
    if "age" in answer.headers:
        return None
    sent_at, received_at = answer.sent_at, answer.received_at
    written = answer.headers.get(HUB_TIME)
    if written is not None:
        try:
            hub = parse_hub_time(written)
        except Malformed:
            return None
        rank, error = (_GUESS, _GUESSED_ERROR) if hub.error is None else (_HUB, hub.error)
        return _Claim(bounded(hub.stamp, error, 0, sent_at, received_at), sent_at, rank, hub.stamp)
    date = http_date(answer.headers.get("date", ""))
    if date is None or answer.status in _REDIRECTS or "html" in answer.headers.get("content-type", "").lower():
        return None
    stamp = int(date.timestamp()) * 1000
    bounds = bounded(stamp, _DATE_ERROR, _DATE_STALENESS, sent_at, received_at)
    return _Claim(bounds, sent_at, _DATE, stamp)
