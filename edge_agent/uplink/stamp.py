"""The time that a push states, as the hub believes it.

At first the device's own knowledge; once the hub refused that, what the hub said its time is; once it refused that
too, none. Both hold for an hour, then the device's own knowledge is tried again. All times in ms.
"""

from edge_agent.model.ports import TrueTime

_MEMORY = 3_600_000
_OWN, _LEARNT = 0, 1
"""Refusals after which the own time is stated, and the hub's; none after more."""


class Stamp:
    """Knows what to state, and learns from refusals."""

    def __init__(self, time: TrueTime) -> None:
        self._time = time
        self._refusals = 0
        self._until = 0
        self._offset: int | None = None

    def at(self, now: int) -> int | None:
        """True time in Unix ms at this axis time, or None to state none."""
        if now >= self._until:
            self._refusals = _OWN
        if self._refusals == _OWN:
            return self._time.now()
        if self._refusals == _LEARNT:
            return self._time.now() if self._offset is None else now + self._offset
        return None

    def refused(self, received_at: int, hub_time: int | None) -> bool:
        """The hub refused what was stated, and said its time; whether another try makes sense."""
        self._refusals += 1
        self._until = received_at + _MEMORY
        self._offset = None if hub_time is None else hub_time - received_at
        return self._refusals <= _LEARNT + 1
