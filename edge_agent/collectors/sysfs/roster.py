"""The members of a folder of sysfs (chips, zones, cells), by names that hold over boots.

The numbers in `hwmon3` or `thermal_zone7` follow the order in which drivers came up, so a member is known by what
`identify` says of it. Two that say the same are told apart by a number, in the order of the folder at the first look,
kept while this process runs. Such a member is read where its link leads, in the folder of the device itself, and only
while that is the same folder: a number that became another's gives a look, and no reading.

The folder is listed at the first beat and every 30th, and once between when a file that was there is missing. In the
29 beats between, each member's parts are looked for again, a few members a beat. So what appears, a member or a file of
one, is found within a minute and without a restart, and a beat mostly reads known files. A member that is gone is
absent with the reason `gone` until it is back or its place is needed. What a member has no longer stays absent
(`member`): no series ever falls silent. There are at most `most`, the first by rank and name, so the same at each boot;
further ones are not read, and no reading says so.
"""

import re
from collections.abc import Sequence

from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.member import Member
from edge_agent.collectors.sysfs.names import Names
from edge_agent.collectors.sysfs.parts import absent, names_in
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_EVERY = 30
"""Beats between two looks at the folder, and at each member."""
_VANISHED = ("missing", "unreadable: ENODEV", "unreadable: ENXIO")
_DIGITS = re.compile(r"(\d+)")


class Roster:
    """Reads all members of one kind."""

    def __init__(self, host: Host, kind: Kind) -> None:
        self._host, self._kind = host, kind
        self._pattern = re.compile(kind.pattern)
        self._members: dict[str, Member] = {}
        self._names = Names(host, kind)
        self._beyond: set[str] = set()
        """Entries for which there was no room; they are looked at again when there is."""
        self._due: list[str] = []
        self._age = _EVERY
        self._doubted = self._checked = False

    def collect(self) -> list[Reading]:
        """Read every member once."""
        others = self._others()
        if self._age >= _EVERY:
            self._age, self._checked = 0, False
            self._look()
            self._due = list(self._members)
        else:
            if others or (self._doubted and not self._checked):
                self._checked = True  # what stays missing is no reason to list the folder at each beat
                self._look()
            self._review(self._due[self._age - 1 :: _EVERY - 1])
        for member in others:  # and the folder could not be listed
            member.is_here = member.is_here and not self._is_other(member)
        self._age += 1
        readings: list[Reading] = []
        for key, member in self._members.items():
            why = self._kind.rests(key, member.path) if member.is_here else "gone"
            if why is not None:
                readings.extend(absent(member.parts, why))
                continue
            for part in member.parts:
                readings.extend(part.read())
        self._doubted = any(reading.reason in _VANISHED for reading in readings)
        return readings

    def _others(self) -> list[Member]:
        """Members in whose place there is something else now."""
        if not self._kind.numbered:
            return []
        return [member for member in self._members.values() if member.is_here and self._is_other(member)]

    def _is_other(self, member: Member) -> bool:
        """Where there is nothing, or it cannot be known, its files tell why."""
        node = self._names.node(member.path)
        return node is not None and node != member.node

    def _look(self) -> None:
        try:
            present = names_in(self._host, self._kind.folder)
        except OSError:
            return  # they may all be there: each file tells for itself
        self._kind.before()
        entries = sorted(filter(self._pattern.fullmatch, present), key=_order)
        named = self._names.named(entry for entry in entries if entry not in self._beyond)
        if self._beyond and not self._members.keys() <= named.keys():
            self._beyond.clear()
            named = self._names.named(entries)
        here = {key: member for key, member in self._members.items() if member.is_here}
        lost = [key for key in self._members if key not in named]
        for member in self._members.values():
            member.is_here = False
        for key in sorted(named, key=lambda key: (self._kind.rank(key), _order(key))):
            place, known = named[key], here.get(key)
            if known is not None and (known.path, known.node) == (place.path, place.node):
                known.is_here = True
            elif key in self._members or self._has_room(lost):
                self._take(key, place.path, place.node)
            else:
                self._beyond.add(place.entry)

    def _review(self, keys: Sequence[str]) -> None:
        for key in keys:
            member = self._members.get(key)
            if member is not None and member.is_here and self._kind.rests(key, member.path) is None:
                self._take(key, member.path, member.node)

    def _take(self, key: str, path: str, node: int | None) -> None:
        member = self._members.get(key)
        try:
            found = self._kind.parts(key, path)
        except OSError:
            if member is not None and member.path == path:
                member.node, member.is_here = node, True
            return  # it is looked at again
        if member is None:
            self._members[key] = Member(path, found, node)
        else:
            member.renew(path, found)
            member.node = node

    def _has_room(self, lost: list[str]) -> bool:
        if len(self._members) < self._kind.most:
            return True
        if lost:
            del self._members[lost.pop(0)]
            return True
        return False


def _order(name: str) -> list[tuple[int, str]]:
    """`hwmon10` after `hwmon9`."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(name)]
