"""The stream down to a device: what the hub says to it, over one long answer of server-sent events.

At connect: `retry`, `hello`, then what was missed since Last-Event-ID (`reset` when that cannot be told), then what the
journal brings. What was sent and not answered is sent again at each connect, without id when it is older than the
device's last id, so that ids on one stream only grow. `keepalive` comes at least every 15 s, and says `twin` while two
machines speak under one id. The newest stream of a device stands: an older one gets `bye` with `twin`, and stays away
long. Whoever reads that is another machine, since a device follows one stream: after a mere reconnect nobody reads it.
A stream whose key has ended gets `bye` with `key`. One that does not drain is cut with `bye` and comes back. Nothing
here waits for a device.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from typing import Any, NamedTuple

import orjson

from edge_agent.hub.accounts import hashed
from edge_agent.hub.exchange import Ask, Reply
from edge_agent.hub.fanout import Fanout, Subscription
from edge_agent.hub.instructions import Instructions
from edge_agent.hub.journal import Entry, Journal, device_stream
from edge_agent.hub.keys import Keyring
from edge_agent.hub.presence import Presence
from edge_agent.model.ports import Clock
from edge_agent.wire.sse import encode

EVENT_STREAM = "text/event-stream"
KEEPALIVE_SECONDS = 15.0
WATCH_SECONDS = 60
_RETRY_MS = 2000
_TWIN_AFTER = 600
_PREFIX = "device:"


class _Due(NamedTuple):
    """An entry to be replayed, and whether the device has not seen its id yet."""

    entry: Entry
    new: bool


def unlogged(event: str, said: dict[str, Any]) -> Entry:
    """An event that is not in the journal."""
    return Entry(0, "", event, orjson.dumps(said))


def written(entry: Entry, identity: str | None) -> bytes:
    """An entry as bytes of the stream."""
    return encode(entry.event, entry.data.decode(), identity)


TOO_SLOW = unlogged("bye", {"after": 1, "why": "slow"})


class DeviceStreams:
    """Opens streams, and speaks to those that stand. `watched` tells whether somebody looks at a device."""

    def __init__(
        self,
        clock: Clock,
        keyring: Keyring,
        journal: Journal,
        fanout: Fanout[Entry],
        instructions: Instructions,
        presence: Presence,
        watched: Callable[[str], bool],
    ) -> None:
        self._clock, self._keyring, self._journal, self._fanout = clock, keyring, journal, fanout
        self._instructions, self._presence, self._watched = instructions, presence, watched
        self._keys: dict[Subscription[Entry], bytes] = {}

    async def stream(self, ask: Ask) -> Reply:
        """GET: the device's stream."""
        headers = ask.request.headers
        key = hashed(headers.get("x-api-key", ""))
        events = self._events(ask.caller.name, key, headers.get("last-event-id", ""))
        return Reply(200, content_type=EVENT_STREAM, headers={"cache-control": "no-store"}, events=events)

    def standing(self) -> Sequence[str]:
        """The devices whose stream stands, sorted."""
        return sorted(topic[len(_PREFIX) :] for topic in self._fanout.topics() if topic.startswith(_PREFIX))

    def watch(self, device: str) -> None:
        """Ask a device for live ticks, for the length of a lease."""
        self._fanout.publish(device_stream(device), unlogged("watch", {"seconds": WATCH_SECONDS}))

    def keep_alive(self) -> None:
        """Give every stream a sign of life."""
        said = {"hub_time": self._clock.wall()}
        sign, doubtful = unlogged("keepalive", said), unlogged("keepalive", {**said, "twin": True})
        for device in self.standing():
            self._fanout.publish(device_stream(device), doubtful if self._presence.view(device).twin else sign)

    def check_keys(self, standing: AbstractSet[bytes]) -> None:
        """End every stream that was opened with a key that stands no more."""
        for subscription, key in self._keys.items():
            if key not in standing:
                subscription.finish(unlogged("bye", {"after": 0, "why": "key"}))

    def part(self, after: float, why: str) -> None:
        """End every stream."""
        for device in self.standing():
            self._part(device, after, why)

    def _part(self, device: str, after: float, why: str) -> None:
        for subscription in self._fanout.readers(device_stream(device)):
            subscription.finish(unlogged("bye", {"after": after, "why": why}))

    async def _events(self, device: str, key: bytes, last_id: str) -> AsyncGenerator[bytes, None]:
        self._part(device, _TWIN_AFTER, "twin")
        topic = device_stream(device)
        with ExitStack() as stack:
            subscription = stack.enter_context(self._fanout.subscribed(topic, TOO_SLOW))
            stack.enter_context(self._presence.connected(device))
            self._keys[subscription] = key
            stack.callback(self._keys.pop, subscription)
            hello = {"hub_epoch": self._keyring.epoch, "hub_time": self._clock.wall(), "device": device}
            yield encode("hello", orjson.dumps(hello).decode(), None, _RETRY_MS)
            if self._watched(device):
                yield written(unlogged("watch", {"seconds": WATCH_SECONDS}), None)
            missed = await self._journal.replay(topic, last_id) if last_id else ()
            if missed is None:
                yield written(unlogged("reset", {}), None)
            told: set[int] = set()
            newest = 0
            for due in await self._due(device, last_id, missed):
                newest = due.entry.n
                told.add(newest)
                yield written(due.entry, self._journal.id_of(newest) if due.new else None)
                if due.entry.event == "instruction":
                    await self._instructions.mark_sent(device, newest)
            async for entry in subscription:
                if entry.n in told:
                    continue
                # What came while the due was read may be older than the newest due.
                identity = self._journal.id_of(entry.n) if entry.n > newest else None
                if entry.event != "instruction":
                    yield written(entry, identity)
                elif await self._instructions.is_pending(device, entry.n):
                    yield written(entry, identity)
                    await self._instructions.mark_sent(device, entry.n)

    async def _due(self, device: str, last_id: str, missed: Sequence[Entry] | None) -> Sequence[_Due]:
        """What is told at connect, in the journal's order: open instructions, and the newest of the missed configs."""
        seen = int(last_id.rpartition("-")[2]) if last_id and missed is not None else 0
        due = [
            _Due(Entry(one.n, device, "instruction", one.envelope), one.n > seen)
            for one in await self._instructions.pending(device)
        ]
        due += [_Due(entry, new=True) for entry in (missed or ()) if entry.event == "config"][-1:]
        return sorted(due)
