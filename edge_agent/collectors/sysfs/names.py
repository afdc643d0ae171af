"""Names of the members of a folder: what each says that it is, and a number where several say the same.

What has a name keeps it as long as it says the same, whoever else came or went. What cannot say now what it is, stays
what it was, as long as its path leads to the same folder: a number may be another chip's by now.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.kit.hostfile import resolved
from edge_agent.model.ports import Host


class Place(NamedTuple):
    """An entry of the folder, the path at which its member is read, where that leads, and which folder is there.

    `node` is None where there is none, as behind a link that leads to itself.
    """

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
        self.whats: Mapping[Place, str | None] = {}
        """What is in each place, as it was named last; None where it is for somebody else."""

    def named(self, whats: Mapping[Place, str | None]) -> dict[str, Place]:
        """The members in these places of the folder, by name; those that are none are left out."""
        self.whats = whats
        said = {place.path: (what, place) for place, what in whats.items() if what is not None}
        names = {
            path: before.name
            for path, (what, _place) in said.items()
            if (before := self._said.get(path)) and before.what == what
        }
        taken = set(names.values())
        for path, (what, _place) in said.items():
            if path not in names:
                name, count = what, 1
                while name in taken:
                    count += 1
                    name = f"{what}#{count}"
                names[path] = name
                taken.add(name)
        self._said = {path: _Said(what, names[path], place) for path, (what, place) in said.items()}
        return {names[path]: place for path, (_what, place) in said.items()}

    def node(self, path: str) -> int | None:
        """Which folder is at a path below the root: one made anew there is another. None where there is none."""
        try:
            return os.lstat(f"{self._root}/{path}").st_ino
        except OSError:
            return None

    def place(self, name: str) -> Place:
        """Where an entry of the folder leads now."""
        entry = f"{self._kind.folder}/{name}"
        try:
            real = resolved(self._host, entry)
        except OSError:  # links in circles
            return Place(name, entry, entry, None)
        return Place(name, real if self._kind.numbered else entry, real, self.node(real))

    def what(self, place: Place) -> str | None:
        """What is there, by its files; nobody, where there was nothing: what comes is asked for where it is then."""
        before = self._said.get(place.path)
        try:
            return self._kind.identify(place.path) if place.node is not None else None
        except OSError:
            if before is not None and before.place[1:] == place[1:]:
                return before.what
        try:
            return self._kind.otherwise(place.path)
        except OSError:
            return None
