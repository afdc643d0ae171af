"""The time that a push states, as the hub believes it.

At first the device's own knowledge; once the hub refused that, the time that the refusal named; once it refused that
too, or named none that could be stated, none. So a device that is wrong pays one request, and one that meets a hub
whose clock is broken pays two and goes on without a stated time. Both hold for an hour, then the device's own knowledge
is tried again. All times in ms.
"""

from edge_agent.model.ports import TrueTime

_MEMORY = 3_600_000
_LATEST = 2**53
"""No time beyond that can be stated."""


class Stamp:
    """Knows what to state, and learns from refusals."""

    def __init__(self, time: TrueTime) -> None:
        self._time = time
        self._refused = False
        self._until = 0
        self._offset: int | None = None

    def at(self, now: int) -> int | None:
        """True time in Unix ms at this axis time, or None to state none."""
        if now >= self._until:
            self._refused = False
        learnt = None if self._offset is None else now + self._offset
        stated = learnt if self._refused else self._time.now()
        return stated if stated is not None and abs(stated) < _LATEST else None

    def refused(self, received_at: int, hub_time: int | None) -> bool:
        """The hub refused what was stated, and said its time; whether another try makes sense."""
        again = not self._refused or self._offset is not None
        if self._refused or hub_time is None or not 0 <= hub_time < _LATEST:
            self._offset = None
        else:
            self._offset = hub_time - received_at
        self._refused = True
        self._until = received_at + _MEMORY
        return again
