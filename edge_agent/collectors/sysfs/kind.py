"""What a roster looks for: which entries of a folder, how each is known, and what is read of it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from edge_agent.collectors.sysfs.parts import Part

Say = Callable[[str], str | None]


def _nothing() -> None:
    """What most kinds need before a look."""


def _nobody(_path: str) -> None:
    """What most kinds say of a member that says nothing of itself."""


def never(_key: str, _path: str) -> None:
    """When most kinds leave a member in peace."""


def _alike(_key: str) -> int:
    """How most kinds prefer one member to another."""
    return 0


class Kind(NamedTuple):
    """What is looked for: entries of `folder` whose whole name matches.

    `identify` says what the member at a path below the root is, None where it is not for this collector, OSError where
    it cannot be known: it stays then what it was, or is what `otherwise` says of it. `parts` gives its parts from the
    name that it got and its path, as they are now; OSError where they cannot be known: it keeps those that it has.

    All of them but `rank` may be called in other threads than the collector's, and for two members at once; for one
    member (and for one path) only by one at a time.
    """

    folder: str
    pattern: str
    identify: Say
    parts: Callable[[str, str], Sequence[Part]]
    most: int
    numbered: bool = False
    """The entries have numbers that boots change: the path is where the entry leads, not the entry."""
    is_at_hand: bool = False
    """What is read is in the processor or in memory, behind no bus: the collector reads it itself."""
    before: Callable[[], None] = _nothing
    """Called before each look, for what `identify` must know of the whole."""
    otherwise: Say = _nobody
    rests: Callable[[str, str], str | None] = never
    """Why a member, by name and path, must not be touched now."""
    rank: Callable[[str], int] = _alike
    """What comes first, by name, where there are more than `most`."""
