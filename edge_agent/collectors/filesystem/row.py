"""The series of one file system: what its room is, or why that is not known."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge_agent.collectors.filesystem.mounts import Mount
from edge_agent.collectors.filesystem.room import Room
from edge_agent.model.reading import Reading

_Item = tuple[str, str, str, int]
_STATE = "system.filesystem.state"
_SPACE = (
    ("system.filesystem.limit", "By", "", 0),
    ("system.filesystem.usage", "By", "used", 0),
    ("system.filesystem.usage", "By", "free", 0),
    ("system.filesystem.usage", "By", "reserved", 0),
    ("system.filesystem.utilization", "1", "used", 4),
)
_INODES = (
    ("system.filesystem.inodes.limit", "{inode}", "", 0),
    ("system.filesystem.inodes.usage", "{inode}", "used", 0),
    ("system.filesystem.inodes.usage", "{inode}", "free", 0),
)
_SOURCE = "statvfs"


class Row:
    """The series of one mount, and how it is asked for: `path` here, and whether this machine holds it itself."""

    def __init__(self, mount: Mount, root: Path) -> None:
        self.path = os.fsencode(root / os.fsdecode(mount.place.lstrip(b"/")))
        self.is_local = False
        where = {
            "system.device": mount.source,
            "system.filesystem.mountpoint": mount.name,
            "system.filesystem.type": mount.kind,
            "system.filesystem.mode": mount.mode,
        }
        self._attributes = {state: {**where, _STATE: state} for state in ("used", "free", "reserved")}
        self._attributes[""] = where
        self._counts_inodes = False

    def readings(self, room: Room | str) -> Iterator[Reading]:
        """What its room is, or why it is not known; a limit of 0 says that there is no count."""
        if isinstance(room, str):
            space, inodes, reason = None, None, room
        else:
            space, inodes, reason = _space(room), _inodes(room), "not reported"
        self._counts_inodes = self._counts_inodes or inodes is not None
        yield from self._told(_SPACE, space or (None,) * len(_SPACE), reason)
        if self._counts_inodes:
            yield from self._told(_INODES, inodes or (None,) * len(_INODES), reason)

    def _told(self, items: Iterable[_Item], values: Iterable[float | None], reason: str) -> Iterator[Reading]:
        for (name, unit, state, digits), value in zip(items, values, strict=True):
            attributes = self._attributes[state]
            if value is None:
                yield Reading(name, None, unit, attributes, "gauge", digits, _SOURCE, reason)
            elif value < 0:
                yield Reading(name, None, unit, attributes, "gauge", digits, _SOURCE, "contradicts itself")
            else:
                yield Reading(name, value, unit, attributes, "gauge", digits, _SOURCE)


def _space(room: Room) -> tuple[float, ...] | None:
    if room.limit <= 0:
        return None
    used = room.limit - room.free - room.reserved
    return room.limit, used, room.free, room.reserved, used / room.limit


def _inodes(room: Room) -> tuple[float, ...] | None:
    if room.inodes <= 0:
        return None
    return room.inodes, room.inodes - room.free_inodes, room.free_inodes
