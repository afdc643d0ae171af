"""Twins: two machines that speak under one device id (a cloned card, one key given to two), told by their lives.

A life is one boot, or one process, of a device: it has a name and a clock that only goes forward. One machine lives one
life after another. So two are at work when a life was still speaking after a later one had begun, and the later one
had spoken in between; it does not matter how seldom they take turns. What counts is when something was said, by the
life's own clock, not when it came: a request that was under way while its machine began anew is no second machine.
Nothing is remembered over a restart of the hub, and of one device the newest eight lives only.
"""

from dataclasses import dataclass

_MOST_LIVES = 8
_SLACK_MS = 10_000
"""What is said of one life's clock by what arrived may be off by as much as its quickest way to the hub took."""


@dataclass(slots=True)
class _Life:
    """When it began and was heard last, on the hub's axis; `ceiling` is the least of arrivals less its own clock."""

    born: int
    heard: int
    ceiling: int


class Lives:
    """The lives of one device."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}

    def speaks(self, name: str, at: int, now: int) -> bool:
        """A life said something at `at` by its own clock, which came at `now` by the hub's: whether it has a twin."""
        life = self._lives.get(name)
        if life is None:
            if len(self._lives) >= _MOST_LIVES:
                del self._lives[next(iter(self._lives))]
            self._lives[name] = _Life(now, now, now - at)
            return False
        life.ceiling = min(life.ceiling, now - at)
        said, before, life.heard = at + life.ceiling, life.heard, now
        return any(
            other.born > life.born and other.heard > before and said > other.born + _SLACK_MS
            for other in self._lives.values()
        )
