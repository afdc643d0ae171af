"""Room in the mounted file systems: what /proc/self/mountinfo names, measured by statvfs.

Real file systems only: pseudo ones, images and layers are skipped by type, mounts of containers by place (`exclude_*`,
shell patterns), but what is mounted at / is read whatever it is. A file system that is mounted at several places is one
series (`mounts` says which place), and what another mount hides is left out: asking there would tell the other's room.
`used`, `free` (what users other than root may still write) and `reserved` add up to the limit. Inodes are told where
the file system counts them; their names are modelled on those of bytes. A server that does not answer costs its own
mount only (`room`).

There are at most `most`: / first, then what this machine holds itself, then the rest, each the shorter paths first;
nothing is told of further ones. What it does not hold itself is asked, and told, once in `every` reads.

In a container this is the container's view: its own root, and files of the machine's disk that are laid into it.
A recorded tree names the mounts and their room is absent (`not live`); the list is then that of process 1, or
/proc/mounts, where it has no other. What went is `gone` until its place is needed; a file system that turns read-only
is another series. Not handled: quotas, and a mount that changes between the reading of the list and the question.
"""

import errno
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from edge_agent.collectors.filesystem.mounts import Mount, near, one_each, read_mountinfo, read_mounts, visible
from edge_agent.collectors.filesystem.room import Ask, Room, Surveyor
from edge_agent.collectors.filesystem.row import Row
from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.quantity import Interval
from edge_agent.model.reading import Reading

_Key = tuple[str, str, str, str]
_OWN, _FIRST, _PLAIN = "proc/self/mountinfo", "proc/1/mountinfo", "proc/mounts"


@dataclass(frozen=True, slots=True)
class Options:
    """Which mounts are read. What is not held here has `patience` to answer, and is asked once in `every` reads."""

    exclude_types: tuple[str, ...] = (
        "autofs", "binfmt_misc", "bpf", "cgroup*", "composefs", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
        "erofs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse", "fuse.squashfuse", "fusectl",
        "hugetlbfs", "iso9660", "mqueue", "nfsd", "nsfs", "overlay", "proc", "pstore", "ramfs", "resctrl", "rootfs",
        "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "squashfs", "sysfs", "tmpfs", "tracefs",
    )  # fmt: skip
    exclude_mounts: tuple[str, ...] = (
        "/dev/*", "/proc/*", "/sys/*", "/run/docker/*", "/run/containerd/*", "/run/credentials/*", "/run/user/*",
        "/snap/*", "/var/lib/containerd/*", "/var/lib/containers/*", "/var/lib/docker/*", "/var/lib/kubelet/*",
    )  # fmt: skip
    most: int = 16
    patience: Interval = 0.5
    every: int = 10


class Filesystem:
    """Reads the list of mounts, and asks for their room."""

    def __init__(self, options: Options, host: Host, ask: Ask = os.statvfs) -> None:
        self._options, self._host = options, host
        own, first, plain = (_OWN, read_mountinfo), (_FIRST, read_mountinfo), (_PLAIN, read_mounts)
        # Process 1 of a live machine may see other mounts than this one.
        lists = (own, plain) if host.live else (own, first, plain)
        self._lists = [(HostFile(host, name), parse) for name, parse in lists]
        self._surveyor = Surveyor(ask, options.patience, max(1, options.every))
        self._text: bytes | None = None
        self._listed: Mapping[_Key, Mount] = {}
        self._rows: dict[_Key, Row] = {}

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        try:
            self._look()
        except OSError as error:
            return self._absent(absence(error))
        except ValueError:
            self._text = None
            return self._absent("malformed")
        if not self._host.live:
            return self._readings(dict.fromkeys(self._listed, "not live"))
        asked = {key: row for key, row in self._rows.items() if key in self._listed}
        rooms = self._surveyor.survey((row.path, row.is_local) for row in asked.values())
        return self._readings({key: rooms.get(row.path) for key, row in asked.items()})

    def _look(self) -> None:
        """Read the list; make rows for what is new. One that is gone makes room for one that finds none."""
        text, parse = self._list()
        if text == self._text:
            return
        seen = list(visible(parse(text)))
        self._listed = {_key(mount): mount for mount in one_each(filter(self._is_wanted, seen))}
        self._text = text
        places = near(seen)
        for key in sorted(self._listed.keys() - self._rows.keys(), key=lambda key: _rank(self._listed[key], places)):
            if len(self._rows) >= self._options.most:
                gone = next((known for known in self._rows if known not in self._listed), None)
                if gone is None:
                    break
                del self._rows[gone]
            self._rows[key] = Row(self._listed[key], self._host.root)
        for key in self._rows.keys() & self._listed.keys():
            self._rows[key].is_local = self._listed[key].place in places

    def _list(self) -> tuple[bytes, Callable[[bytes], list[Mount]]]:
        for file, parse in self._lists:
            text = _read(file)
            if text is not None:
                return text, parse
        raise FileNotFoundError(errno.ENOENT, "no list of mounts")

    def _is_wanted(self, mount: Mount) -> bool:
        place, options = mount.name, self._options
        return place == "/" or not (
            any(fnmatchcase(mount.kind, pattern) for pattern in options.exclude_types)
            or any(fnmatchcase(place, pattern) for pattern in options.exclude_mounts)
        )

    def _readings(self, rooms: Mapping[_Key, Room | str | None]) -> Iterator[Reading]:
        """What is known of each; nothing of one whose turn it is not (None)."""
        for key, row in self._rows.items():
            room = rooms.get(key, "gone")
            if room is not None:
                yield from row.readings(room)

    def _absent(self, reason: str) -> Iterator[Reading]:
        for row in self._rows.values():
            yield from row.readings(reason)


def _read(file: HostFile) -> bytes | None:
    try:
        return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _rank(mount: Mount, local: Container[bytes]) -> tuple[bool, int, bytes]:
    """/ comes first: where it is not held here, nothing is."""
    return mount.place not in local, mount.place.count(b"/"), mount.place


def _key(mount: Mount) -> _Key:
    return mount.source, mount.name, mount.kind, mount.mode


OFFER = CollectorOffer(Options, Filesystem, default=True)
