"""Names of the members of a folder: what each says that it is, and a number where several say the same.

What has a name keeps it as long as it says the same, whoever else came or went. What cannot say now what it is, stays
what it was, as long as its path leads to the same folder: a number may be another chip's by now.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.kit.hostfile import resolved
from edge_agent.model.ports import Host


class Place(NamedTuple):
    """An entry of the folder, the path at which its member is read, where that leads, and which folder is there."""

    entry: str
    path: str
    real: str
    node: int | None


class _Said(NamedTuple):
    """What a member said that it is, the name that it got, and where it was."""

    what: str
    name: str
    place: Place


class Names:
    """Names members by `identify`, and by `otherwise` where that fails with OSError and nothing is known."""

    def __init__(self, host: Host, kind: Kind) -> None:
        self._host, self._kind = host, kind
        self._root = os.fspath(host.root)
        self._said: dict[str, _Said] = {}

    def named(self, entries: Iterable[str]) -> dict[str, Place]:
        """The members among these entries of the folder, by name; those that are none are left out."""
        places = {place.path: place for place in map(self._place, entries)}
        whats = {path: what for path, place in places.items() if (what := self._what(place)) is not None}
        names = {
            path: before.name
            for path, what in whats.items()
            if (before := self._said.get(path)) and before.what == what
        }
        taken = set(names.values())
        for path, what in whats.items():
            if path not in names:
                name, count = what, 1
                while name in taken:
                    count += 1
                    name = f"{what}#{count}"
                names[path] = name
                taken.add(name)
        self._said = {path: _Said(what, names[path], places[path]) for path, what in whats.items()}
        return {names[path]: places[path] for path in whats}

    def node(self, path: str) -> int | None:
        """Which folder is at a path below the root: one made anew there is another. None where there is none."""
        try:
            return os.lstat(f"{self._root}/{path}").st_ino
        except OSError:
            return None

    def _place(self, name: str) -> Place:
        entry = f"{self._kind.folder}/{name}"
        try:
            real = resolved(self._host, entry)
        except OSError:  # links in circles
            real = entry
        return Place(name, real if self._kind.numbered else entry, real, self.node(real))

    def _what(self, place: Place) -> str | None:
        before = self._said.get(place.path)
        try:
            return self._kind.identify(place.path)
        except OSError:
            if before is not None and before.place[1:] == place[1:]:
                return before.what
        try:
            return self._kind.otherwise(place.path)
        except OSError:
            return None
