"""Where the members of a folder are: which entry each is now, looked at now and then, and named by what it says.

What is in a place is asked when it is new, and once in 50 beats again: some places each tenth beat, since handing
questions over costs more than each of them, and all at once would make one beat dear. All are asked when the folder
holds others than before.
A look lists the folder; only when something differs, or news was heard of a place, its entries are followed and named.
Everything here but `what` is the asker's: that is called by questions, which may take as long as they will.
"""

import re
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from zlib import crc32

from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.names import Names, Place
from edge_agent.collectors.sysfs.parts import names_in
from edge_agent.model.ports import Host

_EVERY = 50
"""Beats between two looks at the folder, and at each place."""
_BUNCH = 10
"""Beats between two at which some places are looked at."""
_UNHEARD = ""
"""What no place says that it holds."""
_DIGITS = re.compile(r"(\d+)")


class Places:
    """The places of all members of one kind, by name, in `at`."""

    def __init__(self, host: Host, kind: Kind) -> None:
        self._host, self._kind = host, kind
        self._pattern = re.compile(kind.pattern)
        self._names = Names(host, kind)
        self.what = self._names.what
        self.at: dict[str, Place] = {}
        self._entries: list[str] = []
        self._beyond: set[str] = set()
        """Entries for which there was no room; they are looked at again when there is."""
        self._round: Sequence[Place] = ()
        """What is looked at in turn."""
        self._is_renamed = False
        self._seen: Sequence[Place] | None = None
        """What a look saw that is not named yet."""
        self._heard: dict[Place, str | None] = {}
        """What is in places, where that is news."""
        self._is_stale = self.is_checked = self._ever = False
        self._age = crc32(kind.pattern.encode())  # not all kinds look at the same beat
        self.is_due = False
        """Whether this is the beat of a look."""

    def is_quiet(self) -> bool:
        """Whether nothing is looked at at this beat, which is over then, and nothing is another's."""
        age = (self._age + 1) % _EVERY
        if not (age % _BUNCH and self._ever) or self._is_stale or self._heard:
            return False
        if self._kind.numbered and any(map(self._is_other, self.at.values())):
            return False
        self._age, self.is_due = age, False
        return True

    def look(self, doubted: Collection[str]) -> Collection[Place]:
        """Look at the folder if it is time to; in which places it must be asked what is there."""
        self._age = (self._age + 1) % _EVERY
        self.is_due, self._ever = not (self._age and self._ever), True
        others = [key for key, place in self.at.items() if self._kind.numbered and self._is_other(place)]
        is_doubted = bool(doubted) and not self.is_checked
        if not (self.is_due or others or is_doubted or self._is_stale or self._heard):
            return ()
        self.is_checked = not self.is_due and (self.is_checked or is_doubted)  # what stays missing is no reason again
        try:
            present = names_in(self._host, self._kind.folder)
        except OSError:  # they may all be there: each file tells for itself
            for key in others:
                del self.at[key]
            return ()
        entries = sorted(filter(self._pattern.fullmatch, present), key=_order)
        is_news = entries != self._entries or others or self._is_stale or self._heard
        if not is_news and not any(map(self._is_elsewhere, doubted)):
            return ()
        self._entries, self._is_stale = entries, False
        self._seen = [self._names.place(entry) for entry in entries if entry not in self._beyond]
        return [place for place in self._seen if place not in self._heard and place not in self._names.whats]

    def hear(self, place: Place, what: str | None) -> None:
        """Keep what is there, if that is news."""
        if self._names.whats.get(place, _UNHEARD) != what:
            self._heard[place] = what

    def said(self, place: Place) -> str | None:
        """What is there, as it was named."""
        return self._names.whats[place]

    def name(self, known: AbstractSet[str]) -> Collection[str] | None:
        """Name what was seen, if a look saw something; of the `known` names those that made room for others."""
        if self._seen is None:
            return None
        whats = {**self._names.whats, **self._heard}
        named = self._names.named({place: whats[place] for place in self._seen if place in whats})
        if self._beyond and not known <= named.keys():
            self._beyond.clear()
            self._is_stale = True
        lost, left = [key for key in known if key not in named], set[str]()
        self.at = {}
        for key in sorted(named, key=lambda key: (self._kind.rank(key), _order(key))):
            if key not in known and len(known | self.at.keys()) - len(left) >= self._kind.most:
                if not lost:
                    self._beyond.add(named[key].entry)
                    continue
                left.add(lost.pop(0))
            self.at[key] = named[key]
        self._round = [place for place in self._seen if place.entry not in self._beyond]
        self._seen, self._is_renamed = None, True
        self._heard.clear()
        return left

    def due(self) -> set[Place]:
        """What is looked at at this beat."""
        step, rest = divmod(self._age, _BUNCH)
        size, steps = len(self._round), (_EVERY - 1) // _BUNCH
        due = self._round[(step - 1) * size // steps : step * size // steps] if step and not rest else ()
        if self._is_renamed:  # turns are other ones from now on, and nobody's may come much later for that
            due, self._is_renamed = self._round, False
        for place in due:
            self._is_stale = self._is_stale or self._names.place(place.entry) != place
        return set(due)

    def _is_other(self, place: Place) -> bool:
        """Where there is nothing, or it cannot be known, its files tell why."""
        node = self._names.node(place.path)
        return node is not None and node != place.node

    def _is_elsewhere(self, key: str) -> bool:
        place = self.at.get(key)
        return place is None or self._names.place(place.entry) != place


def _order(name: str) -> list[tuple[int, str]]:
    """`hwmon10` after `hwmon9`."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(name)]
