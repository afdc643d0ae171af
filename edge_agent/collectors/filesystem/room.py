"""How much room a mounted file system has: statvfs, asked so that a mount which never answers holds nobody up.

What this machine holds itself answers from memory and is asked each time. Behind the rest is a server or another
program that may be gone, and then the call may never end: it is made in a thread of its own, all at the same time, and
once in `every` times. What did not come back within `patience` seconds is `hung` until its thread returned; the late
answer is then told at the next time. There is one thread a place at most, and from `_MOST` hung ones on no more are
started. None holds the end of the process.

Not handled: a device whose driver hangs in statvfs (the collector's own time limit is for that).
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from edge_agent.kit.hostfile import absence

_MOST = 16
"""Hung threads from which on no further one is started."""


class Room(NamedTuple):
    """Bytes and inodes of a file system."""

    limit: int
    free: int
    """What any user may still write."""
    reserved: int
    """What root alone may still write; below 0 where the file system contradicts itself."""
    inodes: int
    """0 where it does not count them."""
    free_inodes: int


Ask = Callable[[bytes], os.statvfs_result]


class Surveyor:
    """Asks for the room at places; keeps the questions that were not answered."""

    def __init__(self, ask: Ask, patience: float, every: int) -> None:
        self._ask, self._patience, self._every = ask, patience, every
        self._out: dict[bytes, _Question] = {}
        self._rest: dict[bytes, int] = {}
        """How often each place that answered is passed over yet."""

    def survey(self, places: Iterable[tuple[bytes, bool]]) -> Mapping[bytes, Room | str]:
        """The room at each place, or why it is unknown; those whose turn it is not are left out.

        With each place goes whether this machine holds it itself.
        """
        found: dict[bytes, Room | str] = {}
        late = {place: question.room for place, question in self._out.items() if not question.is_alive()}
        self._out = {place: question for place, question in self._out.items() if place not in late}
        rest, self._rest = self._rest, {}
        asked: list[_Question] = []
        for place, is_local in places:
            if is_local:
                found[place] = _room(self._ask, place)
            elif place in self._out:
                found[place] = "hung"
            elif place in late:
                found[place], self._rest[place] = late[place], self._every - 1
            elif rest.get(place, 0) > 0:
                self._rest[place] = rest[place] - 1
            else:
                question = self._asked(place)
                if isinstance(question, str):
                    found[place] = question
                else:
                    asked.append(question)
        patience = self._patience
        for question in asked:
            question.join(patience)
            if question.is_alive():
                found[question.place], self._out[question.place] = "hung", question
                patience = 0.0  # the others had as long
            else:
                found[question.place], self._rest[question.place] = question.room, self._every - 1
        return found

    def _asked(self, place: bytes) -> "_Question | str":
        if len(self._out) >= _MOST:
            return "too many are hung"
        question = _Question(self._ask, place)
        try:
            question.start()
        except RuntimeError:
            return "no thread"
        return question


class _Question(threading.Thread):
    """One call, made in its thread."""

    def __init__(self, ask: Ask, place: bytes) -> None:
        super().__init__(name="collector.filesystem.ask", daemon=True)
        self.place = place
        self.room: Room | str = "hung"
        self._ask = ask

    def run(self) -> None:
        """Ask."""
        self.room = _room(self._ask, self.place)


def _room(ask: Ask, place: bytes) -> Room | str:
    try:
        told = ask(place)
    except OSError as error:
        return absence(error)
    size, free = told.f_frsize, told.f_bavail
    return Room(told.f_blocks * size, free * size, (told.f_bfree - free) * size, told.f_files, told.f_ffree)
