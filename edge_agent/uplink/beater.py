"""Heartbeats, and the live view: shows the hub the lamps, and the latest ticks while somebody looks.

A heartbeat, without ticks, goes when nothing has gone for `every`. While watched, a live view goes once a second, a
quarter of a second after the sampler's beats, with the ticks that are new since the last one; it is a heartbeat, too.
`watch` is a lease of at most 60 s that the hub renews.

All of it is lossy: one request is in flight, none is repeated, ticks that could not be shown are not kept, and live
views pause when they would pass `budget` bytes a minute; heartbeats go on meanwhile. A failure touches the lamp `live`
and nothing else; what must arrive goes through the buffer. A backend that has no such request (`Dialect.live` says
None) is sent nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn

import anyio

from edge_agent.model.http import Answer, Unreachable
from edge_agent.model.lamp import Lamps
from edge_agent.model.offers import Dialect, LiveView
from edge_agent.model.ports import Clock, Link, TrueTime
from edge_agent.model.quantity import Bytes, Interval
from edge_agent.model.reading import Tick

_SECOND, _MINUTE = 1000, 60_000
_AFTER_BEAT = 250
_LONGEST_LEASE = 60.0


@dataclass(frozen=True, slots=True)
class Options:
    """`[live]`: how often a sign of life goes, what live views may cost a minute, and how long one may take."""

    every: Interval = 60.0
    budget: Bytes = 2 * 1024 * 1024
    timeout: Interval = 10.0


class Beater:
    """The living part; `latest` gives the last tick of each collector."""

    def __init__(
        self,
        options: Options,
        dialect: Dialect,
        link: Link,
        clock: Clock,
        time: TrueTime,
        lamps: Lamps,
        latest: Callable[[], Sequence[Tick]],
    ) -> None:
        self._options = options
        self._dialect = dialect
        self._link = link
        self._clock = clock
        self._time = time
        self._lamps = lamps
        self._latest = latest
        self._watched_until: int | None = None
        self._wake = asyncio.Event()
        self._shown: dict[str, int] = {}
        self._left = float(options.budget)
        self._counted_at: int | None = None
        self._over_budget = False

    def watch(self, seconds: float) -> None:
        """Somebody looks: show ticks for so long, at most 60 s."""
        self._watched_until = self._clock.now() + round(min(seconds, _LONGEST_LEASE) * 1000)
        self._wake.set()

    async def run(self) -> NoReturn:
        """Beat until cancelled, the first time at once."""
        beat = self._clock.now()
        every = max(_SECOND, round(self._options.every * 1000))
        while True:
            self._wake.clear()
            ticks: Sequence[Tick] = ()
            if self._is_watched():
                ticks = self._new()
            else:
                self._over_budget = False
            now = self._clock.now()
            sent = bool(ticks) and await self._show(ticks)
            if not sent and now >= beat:
                sent = await self._show(())
            if sent:
                beat = now + every
            now = self._clock.now()
            until = min(beat, now - (now - _AFTER_BEAT) % _SECOND + _SECOND) if self._is_watched() else beat
            with anyio.move_on_after(max(0, until - now) / 1000):
                await self._wake.wait()

    def _is_watched(self) -> bool:
        return self._watched_until is not None and self._clock.now() < self._watched_until

    def _new(self) -> Sequence[Tick]:
        """The ticks that were not shown yet; they count as shown from here on."""
        ticks = [tick for tick in self._latest() if tick.at != self._shown.get(tick.collector)]
        self._shown.update((tick.collector, tick.at) for tick in ticks)
        return ticks

    async def _show(self, ticks: Sequence[Tick]) -> bool:
        """Send one request, whatever comes of it; False when it would go over the budget. No ticks never do."""
        clock = self._clock
        view = LiveView(ticks, self._lamps.all(), clock.axis, clock.now(), self._time.anchor())
        request = self._dialect.live(view)
        if request is None:
            return True
        affordable = self._affords(len(request.body))
        if ticks:
            self._over_budget = not affordable
        if self._over_budget:
            self._lamps.light("live", "warn", f"live views pause: over {self._options.budget} bytes a minute")
            if ticks:
                return False
        answer: Answer | Unreachable = Unreachable(f"no answer within {self._options.timeout:g} s")
        with anyio.move_on_after(self._options.timeout):
            answer = await self._link.exchange(request)
        match answer:
            case Unreachable(reason=reason):
                self._lamps.light("live", "warn", reason)
            case Answer(status=status) if status // 100 == HTTPStatus.OK // 100:
                if not self._over_budget:
                    self._lamps.light("live", "ok")
            case Answer(status=status):
                self._lamps.light("live", "warn", f"the hub answered {status}")
        return True

    def _affords(self, size: int) -> bool:
        """Take a request from what may be sent, which fills up over a minute; False when there is not that much."""
        now, budget = self._clock.now(), self._options.budget
        gone = 0 if self._counted_at is None else now - self._counted_at
        self._counted_at = now
        self._left = min(budget, self._left + gone * budget / _MINUTE)
        if size > self._left:
            return False
        self._left -= size
        return True
