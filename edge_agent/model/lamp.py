"""Lamps: the health of a part, as one light with a note.

`/status`, `edge-agent status` and the heartbeat read the same lamps; a log line is written when one changes.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

LampState = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Lamp:
    """The light of one part: `since` is axis ms of its last change of state, `note` says why in people's words."""

    part: str
    state: LampState
    since: int
    note: str = ""


class Lamps(Protocol):
    """The board of lamps. A part lights its own lamp; whoever reports reads them all."""

    def light(self, part: str, state: LampState, note: str = "") -> None:
        """Set a part's lamp; `since` moves only when the state changes."""

    def remove(self, part: str) -> None:
        """Take a part's lamp away, when the part is gone by the operator's will."""

    def all(self) -> tuple[Lamp, ...]:
        """Every lamp, sorted by part."""
