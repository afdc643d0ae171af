"""The board of lamps: each part lights its own, and whoever reports reads them all.

A lamp changes when its state does; the note may follow the facts without being a change. Notes hold words from outside
(what answered, what a collector raised), and go on to terminals, logs and JSON: they are cleaned and cut here, where
they come in. All on one loop, no lock.
"""

from collections.abc import Callable

from edge_agent.model.lamp import Lamp, LampState
from edge_agent.model.ports import Clock

MOST_NOTE = 500
"""Characters of a note."""


def printable(text: str, most: int) -> str:
    """Text from outside as one line that people, terminals and JSON can take, cut to so many characters."""
    # What cannot be printed are controls, and the halves of characters that stand for bytes that are no UTF-8.
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:most]


class LampBoard:
    """`model.lamp.Lamps`. `changed` hears of a lamp that has another state, and of a new one that is not ok."""

    def __init__(self, clock: Clock, changed: Callable[[Lamp], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._lamps: dict[str, Lamp] = {}

    def light(self, part: str, state: LampState, note: str = "") -> None:
        """Set a part's lamp; the note is cut to `MOST_NOTE` characters, and what cannot be printed is left out."""
        before = self._lamps.get(part)
        same = before is not None and before.state == state
        lamp = Lamp(
            part, state, before.since if before is not None and same else self._clock.now(), printable(note, MOST_NOTE)
        )
        self._lamps[part] = lamp
        if not same and (before is not None or state != "ok"):
            self._changed(lamp)

    def remove(self, part: str) -> None:
        """Take a part's lamp away."""
        self._lamps.pop(part, None)

    def all(self) -> tuple[Lamp, ...]:
        """Every lamp, sorted by part."""
        return tuple(lamp for _part, lamp in sorted(self._lamps.items()))
