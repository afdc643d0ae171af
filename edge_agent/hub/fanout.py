"""Fan-out: what is published reaches every subscriber of its topic, each through its own bounded queue.

One rule: a subscriber whose queue is full is cut, so that it neither blocks others nor misses an event unknowingly: it
reads what it has, then its last word, and comes back for a replay. Publishing never waits. Lives in memory, in one
event loop; topics are forgotten with their last subscriber.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Subscription(Generic[T]):
    """One reader: iterate to get what comes; the iteration ends after the last word."""

    def __init__(self, room: int, too_slow: T) -> None:
        self._queue: deque[T] = deque()
        self._room, self._too_slow = room, too_slow
        self._ready = asyncio.Event()
        self.over = False

    def offer(self, item: T) -> None:
        """Queue an item; the subscriber is cut when there is no room."""
        if self.over:
            return
        if len(self._queue) >= self._room:
            self.finish(self._too_slow)
            return
        self._queue.append(item)
        self._ready.set()

    def finish(self, last: T) -> None:
        """End it: what is queued is still read, then this last word."""
        if not self.over:
            self.over = True
            self._queue.append(last)
            self._ready.set()

    def __aiter__(self) -> "Subscription[T]":
        return self

    async def __anext__(self) -> T:
        while not self._queue:
            if self.over:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._queue.popleft()


class Fanout(Generic[T]):
    """Subscribers by topic."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._topics: dict[str, dict[Subscription[T], None]] = {}

    @contextmanager
    def subscribed(self, topic: str, too_slow: T) -> Iterator[Subscription[T]]:
        """A subscription while the block is open; `too_slow` is its last word when it is cut."""
        subscription = Subscription(self._room, too_slow)
        self._topics.setdefault(topic, {})[subscription] = None
        try:
            yield subscription
        finally:
            subscribers = self._topics[topic]
            del subscribers[subscription]
            if not subscribers:
                del self._topics[topic]

    def publish(self, topic: str, item: T) -> None:
        """Offer an item to every subscriber of the topic."""
        for subscription in self._topics.get(topic, ()):
            subscription.offer(item)

    def readers(self, topic: str) -> tuple[Subscription[T], ...]:
        """The subscribers of a topic, oldest first."""
        return tuple(self._topics.get(topic, ()))

    def topics(self) -> tuple[str, ...]:
        """Every topic that somebody reads."""
        return tuple(self._topics)
