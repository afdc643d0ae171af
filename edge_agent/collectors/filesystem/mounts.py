r"""The kernel's lists of what is mounted where: what is in them, what can be seen, and one place for each file system.

    /proc/self/mountinfo   29 1 259:2 / /home/a\040b rw,relatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro
    /proc/mounts           /dev/sda2 /home/a\040b ext4 rw,relatime 0 0

In the first: number, number of the mount it is on, device, the folder of the file system that is mounted, the place,
options of this mount, any number of tags, and after the dash type, source and options of the file system (kernel:
Documentation/filesystems/proc.rst). Whether it can be written is in the last: a service that systemd shields sees every
mount as `ro`, and what the kernel made read-only after an error is so there only. Blanks are written as octal numbers.

The second has neither numbers nor devices, and one list of options: there the later of two mounts at one place is the
one that is seen.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
_HELD = frozenset({"devtmpfs", "overlay", "proc", "ramfs", "rootfs", "sysfs", "tmpfs", "zfs"})
"""Types that have no device in /dev and that no other program answers for."""
_FIELDS, _TAIL, _LINE = 6, 3, 4
"""Fields before the tags, fields after the dash, and fields of a line of /proc/mounts."""


class Mount(NamedTuple):
    """One line."""

    number: bytes
    parent: bytes
    device: bytes
    """Major and minor number, or the source where the list has no numbers."""
    root: bytes
    place: bytes
    kind: str
    source: str
    mode: str
    """`ro` or `rw`."""

    @property
    def name(self) -> str:
        """The place as text."""
        return self.place.decode("utf-8", "replace")


def read_mountinfo(text: bytes) -> list[Mount]:
    """The mounts of /proc/self/mountinfo; ValueError when it is another file."""
    mounts = []
    for line in text.splitlines():
        head, dash, tail = line.partition(b" - ")
        before, after = head.split(b" "), tail.split(b" ")
        if not dash or len(before) < _FIELDS or len(after) < _TAIL:
            raise ValueError("a line of other fields")
        number, parent, device, root, place = before[: _FIELDS - 1]
        kind, source, more = after[:_TAIL]
        mode = _mode(more)
        mounts.append(Mount(number, parent, device, _plain(root), _plain(place), _text(kind), _text(source), mode))
    return mounts


def read_mounts(text: bytes) -> list[Mount]:
    """The mounts of /proc/mounts; ValueError when it is another file."""
    last: dict[bytes, Mount] = {}
    for number, line in enumerate(text.splitlines()):
        fields = line.split(b" ")
        if len(fields) < _LINE:
            raise ValueError("a line of other fields")
        source, place, kind, options = fields[:_LINE]
        name, at = b"%d" % number, _plain(place)
        last[at] = Mount(name, name, source, b"/", at, _text(kind), _text(source), _mode(options))
    return list(last.values())


def visible(mounts: Iterable[Mount]) -> Iterator[Mount]:
    """Those that a path leads to.

    What is mounted on the same mount and nearer to its root was mounted later, and hides what lies below its place.
    """
    by_number = {mount.number: mount for mount in mounts}
    taken = {(mount.parent, mount.place) for mount in by_number.values() if mount.parent != mount.number}
    for mount in by_number.values():
        if (mount.number, mount.place) not in taken and not any(
            _is_hidden(each, taken) for each in _line_of(mount, by_number)
        ):
            yield mount


def one_each(mounts: Iterable[Mount]) -> list[Mount]:
    """One place for each file system: / first, then where its own root is, then the shortest path."""
    best: dict[bytes, Mount] = {}
    for mount in mounts:
        known = best.get(mount.device)
        if known is None or _rank(mount) < _rank(known):
            best[mount.device] = mount
    return list(best.values())


def near(mounts: Iterable[Mount]) -> set[bytes]:
    """Of the places that can be seen, those whose path leads through nothing but what this machine holds itself."""
    seen = list(mounts)
    far = {mount.place for mount in seen if not _is_held(mount)}
    return {mount.place for mount in seen if far.isdisjoint([mount.place, *_above(mount.place)])}


def _is_held(mount: Mount) -> bool:
    return (mount.source.startswith("/dev/") or mount.kind in _HELD) and not mount.kind.startswith("fuse")


def _above(place: bytes) -> Iterator[bytes]:
    while place != b"/" and place:
        place = place.rpartition(b"/")[0] or b"/"
        yield place


def _rank(mount: Mount) -> tuple[bool, bool, int, bytes]:
    return mount.place != b"/", mount.root != b"/", len(mount.place), mount.place


def _line_of(mount: Mount, by_number: Mapping[bytes, Mount]) -> Iterator[Mount]:
    """A mount, the one it is on, and so on up; ends also where the numbers go round in a circle."""
    seen: set[bytes] = set()
    at: Mount | None = mount
    while at is not None and at.number not in seen:
        yield at
        seen.add(at.number)
        at = by_number.get(at.parent)


def _is_hidden(mount: Mount, taken: set[tuple[bytes, bytes]]) -> bool:
    return mount.parent != mount.number and any((mount.parent, place) in taken for place in _above(mount.place))


def _mode(options: bytes) -> str:
    return "ro" if b"ro" in options.split(b",") else "rw"


def _plain(escaped: bytes) -> bytes:
    return _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), escaped) if b"\\" in escaped else escaped


def _text(escaped: bytes) -> str:
    return _plain(escaped).decode("utf-8", "replace")
