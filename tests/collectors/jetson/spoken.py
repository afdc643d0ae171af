"""Commands that say what a test has them say."""

import errno
import os
from collections.abc import Sequence

from edge_agent.model.ports import Said


class Spoken:
    """`model.ports.Commands`: `says` by name; what is not in it has not spoken yet, None is not there."""

    def __init__(self) -> None:
        self.says: dict[str, bytes | None] = {}
        self.fresh = True
        self.offers: dict[str, tuple[tuple[str, ...], float]] = {}
        self.asked: list[str] = []

    def offer(self, name: str, argv: Sequence[str], every: float) -> None:
        self.offers[name] = (tuple(argv), every)

    def last(self, name: str) -> Said:
        self.asked.append(name)
        line = self.says.get(name, b"")
        if not line:
            number = errno.ENOENT if line is None else errno.EAGAIN
            raise OSError(number, os.strerror(number))
        return Said(line, self.fresh)

    def end(self) -> None:
        self.fresh = False
