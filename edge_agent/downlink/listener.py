"""The listener: follows the hub's stream of words, one connection at a time, and never gives up.

Three waits have limits of their own: for the answer's head, from the head to the first byte of the body, and
between any two bytes after that. Any byte is a sign of life, a comment too; a limit of 0 is none.

    what happened                                  what follows
    200 and text/event-stream, then an end         again after a backoff with full jitter, `retry:` as lower bound
    unreachable, silent, 408, 425, 429, 5xx        the same, with `Retry-After` as lower bound
    `bye`                                          the same, with its `after` as lower bound
    204                                            asked to stop: again in an hour
    401, 403                                       a slow probe, or at once when the key changes
    anything else (redirects, pages, other 4xx)    a wrong door: a slow probe

The backoff starts over only after a connection stood for a minute, so that a hub that accepts and drops is not
hammered. A `bye` and a `keepalive` that say `twin` are told by the lamp. Words are handed on one at a time; while one
is handled nothing is read and no limit runs. The id of an event counts as heard once its word was handled: what a crash
cuts off is replayed. A hub that answers 400 or 431 to a request with an id may choke on it: the next request goes
without.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal, NoReturn

import anyio

from edge_agent.downlink.bookmark import MOST_ID_BYTES, Bookmark
from edge_agent.kit.backoff import Backoff
from edge_agent.model.failure import Malformed
from edge_agent.model.http import Answer, Unreachable
from edge_agent.model.lamp import Lamps
from edge_agent.model.offers import Dialect
from edge_agent.model.ports import Chance, Clock, Disk, Link, Offload, Stream
from edge_agent.model.quantity import Interval
from edge_agent.model.word import Bye, Keepalive, Reset, Word
from edge_agent.wire.headers import passes, retry_after
from edge_agent.wire.sse import Decoder, Event

LAMP = "stream"

_STANDING_MS = 60_000
_STOPPED = 3600.0
_LEAST_RETRY, _MOST_RETRY = 1.0, 60.0
_LAST_WRITE = 2.0
_OK, _NO_CONTENT = 200, 204
_UNAUTHORIZED = frozenset({401, 403})
_CHOKED = frozenset({400, 431})
_TWIN = "twin: another machine speaks under this device's id"


@dataclass(frozen=True, slots=True)
class Options:
    """How long to wait: for the answer's head, its first byte, the next byte; and between probes of a wrong door."""

    connect: Interval = 20.0
    first_byte: Interval = 30.0
    idle: Interval = 45.0
    probe: Interval = 300.0


@dataclass(frozen=True, slots=True)
class _End:
    """Why a connection is over, and how the next one is waited for; `after` is a lower bound in seconds."""

    why: str
    wait: Literal["backoff", "probe", "key", "stop"] = "backoff"
    after: float = 0.0


class Listener:
    """Hands every word of the stream to `hear`, one at a time; part `stream` on the board of lamps."""

    def __init__(
        self,
        options: Options,
        dialect: Dialect,
        link: Link,
        clock: Clock,
        chance: Chance,
        lamps: Lamps,
        disk: Disk,
        offload: Offload,
        path: Path,
        hear: Callable[[Word], Awaitable[None]],
    ) -> None:
        self._options = options
        self._dialect = dialect
        self._link = link
        self._clock = clock
        self._chance = chance
        self._lamps = lamps
        self._hear = hear
        self._bookmark = Bookmark(path, disk, offload, clock)
        self._backoff = Backoff(chance)
        self._last_id = ""
        self._retry = _LEAST_RETRY
        self._key = anyio.Event()

    def key_changed(self) -> None:
        """Try at once if the hub turned the old key away."""
        self._key.set()

    async def run(self) -> NoReturn:
        """Follow the stream until cancelled."""
        try:
            self._last_id = await self._bookmark.read()
            while True:
                self._key = anyio.Event()
                end = await self._follow()
                self._lamps.light(LAMP, "warn" if end.wait == "backoff" else "fail", end.why)
                await self._bookmark.keep(self._last_id)
                await self._wait(end)
        finally:
            with anyio.move_on_after(_LAST_WRITE, shield=True):
                await self._bookmark.keep(self._last_id, at_once=True)

    async def _wait(self, end: _End) -> None:
        if end.wait == "backoff":
            await self._clock.sleep(self._backoff.next(after=max(self._retry, end.after)))
        elif end.wait == "stop":
            await self._clock.sleep(_STOPPED)
        else:
            # A fleet that was turned away together must not come back together.
            pause = self._options.probe * (0.75 + 0.5 * self._chance.random())
            if end.wait == "probe":
                await self._clock.sleep(pause)
            else:
                with anyio.move_on_after(pause):
                    await self._key.wait()

    async def _follow(self) -> _End:
        """One connection, from the request to its end."""
        phase = "no answer came"
        with anyio.CancelScope(deadline=_from_now(self._options.connect)) as patience:
            async with self._link.stream(self._dialect.stream(self._last_id)) as stream:
                if isinstance(stream, Unreachable):
                    return _End(stream.reason)
                end = self._turned_away(stream.answer)
                if end is not None:
                    return end
                phase = "the stream went silent"
                self._lamps.light(LAMP, "ok")
                opened = self._clock.now()
                try:
                    return await self._listen(stream, patience)
                finally:
                    if self._clock.now() - opened >= _STANDING_MS:
                        self._backoff.reset()
        return _End(phase)

    def _turned_away(self, answer: Answer) -> _End | None:
        """Why this answer is not a stream; None when it is one."""
        status = answer.status
        if status == _OK:
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            return None if kind == "text/event-stream" else _End(f"what answered is {kind or 'untyped'}", "probe")
        if status == _NO_CONTENT:
            return _End("the hub asked to stop (204); again in an hour", "stop")
        if status in _UNAUTHORIZED:
            return _End(f"the hub refuses the key ({status})", "key")
        if passes(status):
            return _End(f"the hub answered {status}", after=retry_after(answer.headers) or 0.0)
        if status in _CHOKED:
            self._last_id = ""
        return _End(f"a wrong door answered {status}", "probe")

    async def _listen(self, stream: Stream, patience: anyio.CancelScope) -> _End:
        asked = self._last_id
        decoder = Decoder(last_event_id=asked)
        void: str | None = None
        twin = False
        limit = self._options.first_byte
        while True:
            patience.deadline = _from_now(limit)
            chunk = await stream.read()
            if not chunk or patience.cancel_called:
                return _End("the stream ended" if not chunk else "the stream went silent")
            patience.deadline = inf
            limit = self._options.idle
            try:
                for event in decoder.feed(chunk):
                    word = self._word(event)
                    if word is not None:
                        await self._hear(word)
                    if isinstance(word, Reset):
                        # The hub does not know this id any more: it must not be asked for it again and again.
                        void = asked
                    self._remember(event.id, void)
                    if isinstance(word, Bye):
                        why = _TWIN if word.why == "twin" else f"the hub said goodbye: {word.why}"
                        return _End(why, after=word.after)
                    if isinstance(word, Keepalive) and word.twin != twin:
                        twin = word.twin
                        self._lamps.light(LAMP, "warn" if twin else "ok", _TWIN if twin else "")
            except Malformed as wrong:
                return _End(f"the stream is malformed: {wrong}")
            self._remember(decoder.last_event_id, void)
            if decoder.retry is not None:
                self._retry = min(max(decoder.retry / 1000, _LEAST_RETRY), _MOST_RETRY)
            await self._bookmark.keep(self._last_id)

    def _word(self, event: Event) -> Word | None:
        """What an event says; one that says nothing sensible is passed over, or it would come again for ever."""
        try:
            return self._dialect.word(event.event, event.data)
        except Malformed:
            return None

    def _remember(self, event_id: str, void: str | None) -> None:
        if event_id == void:
            self._last_id = ""
        elif len(event_id.encode()) <= MOST_ID_BYTES:
            self._last_id = event_id


def _from_now(seconds: float) -> float:
    return anyio.current_time() + seconds if seconds else inf
