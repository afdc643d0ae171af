"""A collector for the proofs: counts its beats in a file that outlives the process, and yields each number once.

So every number that was ever given is known, whoever was killed and when: what the hub holds is compared with that
count, without a clock. The count is one aligned word of a mapped file: a single store that no kill can tear, and no
system call that a fault could hit or a counter of calls would see.

    [collectors."tests.proofs.beats"]
    file = "/a/folder/beats"
    interval = 0.1
"""

import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

NAME = __name__
"""What a config calls it."""

_WORD = 8


@dataclass(frozen=True, slots=True)
class Options:
    """Where the count is kept."""

    file: str = ""


class Beats:
    """Yields 0, 1, 2, ... over all lives."""

    def __init__(self, options: Options, host: Host) -> None:  # noqa: ARG002 - every collector is built so
        self._file = Path(options.file)
        self._count: memoryview | None = None

    def collect(self) -> Iterable[Reading]:
        """The next number; its being given is noted first."""
        if self._count is None:
            with self._file.open("r+b") as file:
                self._count = memoryview(mmap.mmap(file.fileno(), _WORD)).cast("Q")
        number = self._count[0]
        self._count[0] = number + 1
        yield Reading(NAME, float(number), "1", kind="counter", digits=0)


OFFER = CollectorOffer(Options, Beats)


def new_count(file: Path) -> None:
    """Make the file: no beat yet."""
    file.write_bytes(bytes(_WORD))


def count(file: Path) -> int:
    """How many numbers were given so far."""
    return int.from_bytes(file.read_bytes(), "little")
