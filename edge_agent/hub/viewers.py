"""The streams up to viewers: live telemetry, and what happens.

`/telemetry/stream` sends ticks as they come, live and from fresh batches; a viewer drops what it has by axis and axis
time. It has no replay: what is past is asked for by `/query`. `/events/stream` is a journal: ids, replay after
Last-Event-ID, `reset` when that cannot be told. Both begin with `hello`, send `heartbeat` every 15 s, and end with
`bye`: `slow` when the viewer does not drain, `renew` after the life of an access token, so that who may no longer
look stops looking.
"""

from collections.abc import AsyncGenerator, Callable

import orjson

from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.fanout import Fanout, Subscription
from edge_agent.hub.forms import EventFilter, TelemetryFilter, read_query
from edge_agent.hub.journal import EVENTS, Entry, Journal
from edge_agent.hub.live import TELEMETRY, Sample, Watchers
from edge_agent.hub.logins import ACCESS_SECONDS
from edge_agent.hub.streams import EVENT_STREAM, TOO_SLOW, unlogged, written
from edge_agent.model.ports import Clock
from edge_agent.wire.sse import encode

_RETRY_MS = 10_000
_MOST_NAMED = 256


class ViewerStreams:
    """Opens streams for viewers. `look` is called when somebody begins to look at devices."""

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        entries: Fanout[Entry],
        samples: Fanout[Sample | Entry],
        watchers: Watchers,
        look: Callable[[], None],
    ) -> None:
        self._clock, self._journal, self._entries, self._samples = clock, journal, entries, samples
        self._watchers, self._look = watchers, look
        self._until: dict[Subscription[Sample | Entry] | Subscription[Entry], int] = {}

    async def telemetry(self, ask: Ask) -> Reply:
        """GET: live telemetry."""
        form = read_query(TelemetryFilter, ask)
        return _stream(self._told_samples(_named(form.device), _named(form.name)))

    async def events(self, ask: Ask) -> Reply:
        """GET: what happens."""
        form = read_query(EventFilter, ask)
        last_id = ask.request.headers.get("last-event-id", "")
        return _stream(self._told_events(_named(form.device), _named(form.type), last_id))

    def keep_alive(self) -> None:
        """Give every stream a sign of life, and end those that are as old as an access token."""
        sign = unlogged("heartbeat", {"hub_time": self._clock.wall()})
        self._entries.publish(EVENTS, sign)
        self._samples.publish(TELEMETRY, sign)
        now = self._clock.now()
        for subscription, until in self._until.items():
            if until <= now:
                subscription.finish(unlogged("bye", {"after": 0, "why": "renew"}))

    def part(self, after: float, why: str) -> None:
        """End every stream."""
        for subscription in self._until:
            subscription.finish(unlogged("bye", {"after": after, "why": why}))

    @property
    def open(self) -> int:
        """How many streams stand."""
        return len(self._until)

    async def _told_samples(self, devices: frozenset[str], names: frozenset[str]) -> AsyncGenerator[bytes, None]:
        with self._samples.subscribed(TELEMETRY, TOO_SLOW) as subscription, self._watchers.looking(devices):
            self._until[subscription] = self._end()
            try:
                self._look()
                yield self._hello(None)
                async for item in subscription:
                    if isinstance(item, Entry):
                        yield written(item, None)
                    elif (not devices or item.device in devices) and (chunk := _picked(item, names)):
                        yield chunk
            finally:
                del self._until[subscription]

    async def _told_events(
        self, devices: frozenset[str], types: frozenset[str], last_id: str
    ) -> AsyncGenerator[bytes, None]:
        with self._entries.subscribed(EVENTS, TOO_SLOW) as subscription:
            self._until[subscription] = self._end()
            try:
                newest = self._journal.newest
                missed = await self._journal.replay(EVENTS, last_id) if last_id else ()
                # The hello's id is where a viewer who came for the first time may come back to.
                yield self._hello(None if missed and last_id else newest)
                if missed is None:
                    yield written(unlogged("reset", {}), None)
                told = 0
                for entry in missed or ():
                    told = entry.n
                    if _is_wanted(entry, devices, types):
                        yield written(entry, self._journal.id_of(entry.n))
                async for entry in subscription:
                    if entry.n == 0:
                        yield written(entry, None)
                    elif entry.n > told and _is_wanted(entry, devices, types):
                        yield written(entry, self._journal.id_of(entry.n))
            finally:
                del self._until[subscription]

    def _hello(self, identity: str | None) -> bytes:
        return encode("hello", orjson.dumps({"hub_time": self._clock.wall()}).decode(), identity, _RETRY_MS)

    def _end(self) -> int:
        return self._clock.now() + ACCESS_SECONDS * 1000


def _stream(events: AsyncGenerator[bytes, None]) -> Reply:
    return Reply(200, content_type=EVENT_STREAM, headers={"cache-control": "no-store"}, events=events)


def _named(text: str) -> frozenset[str]:
    return frozenset(name for name in text.split(",")[:_MOST_NAMED] if name)


def _picked(sample: Sample, names: frozenset[str]) -> bytes | None:
    readings = sample.readings
    if names:
        readings = [reading for reading in readings if _is_below(str(reading[0]), names)]
        if not readings:
            return None
    told = orjson.dumps({**sample.told(), "readings": readings})
    return encode("telemetry", told.decode())


def _is_below(name: str, names: frozenset[str]) -> bool:
    """Whether a name, or one that it is below, is among these."""
    while name:
        if name in names:
            return True
        name = name.rpartition(".")[0]
    return False


def _is_wanted(entry: Entry, devices: frozenset[str], types: frozenset[str]) -> bool:
    return (not devices or entry.device in devices) and (not types or entry.event in types)
