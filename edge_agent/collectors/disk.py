"""Traffic of the disks, from /proc/diskstats: bytes, operations, merged ones and time, each way, and time in use.

Whole devices only: a name that is another one of the file with a number behind it (and a `p` between, where that one
ends in a digit itself) is a partition of it, as the kernel names them. Devices that lie on others (`dm-`, `md`, `loop`,
`bcache`, `drbd`, `zd`) would count the same bytes twice, and are skipped by name with memory, floppies and boot areas
(`exclude`, shell patterns). What is left is bounded by `most`, in natural order of a kind (`sdb` before `sdaa`, `sda`
before `sdb`), kinds by alphabet; further ones are not read, and nothing is told of them. A disk that was seen and is
there no longer is absent with the reason `gone`, until its place is needed.

The file (kernel: Documentation/admin-guide/iostats.rst) counts sectors of 512 bytes whatever the disk has, and
milliseconds in 32 bits: the times start from 0 again after 49 days in use. In a container the disks are those of the
machine. Not handled: discards and flushes, for which semantic conventions have no direction; the shorter lines of
partitions before Linux 2.6.25.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_SERIES = (
    ("system.disk.io", "By", "read", 2, 512, 1, 0),
    ("system.disk.io", "By", "write", 6, 512, 1, 0),
    ("system.disk.operations", "{operation}", "read", 0, 1, 1, 0),
    ("system.disk.operations", "{operation}", "write", 4, 1, 1, 0),
    ("system.disk.merged", "{operation}", "read", 1, 1, 1, 0),
    ("system.disk.merged", "{operation}", "write", 5, 1, 1, 0),
    ("system.disk.operation_time", "s", "read", 3, 1, 1000, 3),
    ("system.disk.operation_time", "s", "write", 7, 1, 1000, 3),
    ("system.disk.io_time", "s", "", 9, 1, 1000, 3),
)
"""Name, unit, direction, column of the file after the disk's name, what it is multiplied and divided by, digits."""
_LINE = re.compile(rb"\s*\d+\s+\d+\s+(\S{1,64})" + rb"\s+(\d{1,20})" * 11 + rb"(?!\S)")
"""Major and minor number, name, counts; longer numbers than the kernel's are none."""
_LETTERED, _NUMBER = re.compile(r"([hsv]d|xvd|dasd)([a-z]+)"), re.compile(r"([0-9]+)")
_PARTITION = re.compile(r"(.*\d(?=p)|.*\D(?=\d))p?\d+")
"""A name that may be a partition's; the first group is the disk's."""


@dataclass(frozen=True, slots=True)
class Options:
    """Which disks are read."""

    exclude: tuple[str, ...] = (
        "loop*", "ram*", "zram*", "dm-*", "md[0-9]*", "bcache*", "drbd*", "zd[0-9]*", "nbd*", "fd[0-9]*",
        "mmcblk*boot[0-9]",
    )  # fmt: skip
    most: int = 16


class Disk:
    """Reads /proc/diskstats."""

    def __init__(self, options: Options, host: Host) -> None:
        self._file = HostFile(host, "proc/diskstats")
        self._exclude, self._most = options.exclude, options.most
        self._known: dict[str, tuple[Mapping[str, str], ...]] = {}
        self._skipped: frozenset[str] = frozenset()
        self._waiting: list[str] = []
        """Those that found no room, in their order."""

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        try:
            found = _parse(self._file.reread())
        except OSError as error:
            return self._absent(self._known, absence(error))
        except ValueError:
            return self._absent(self._known, "malformed")
        new = (found.keys() - self._known.keys() - self._skipped).difference(self._waiting)
        if new:
            self._judge(new, found)
        if self._waiting:
            self._take_in(found)
        self._skipped &= found.keys()
        readings: list[Reading] = []
        source = self._file.source
        for name, attributes in self._known.items():
            columns = found.get(name)
            if columns is None:
                readings.extend(self._absent([name], "gone"))
                continue
            counts = list(map(int, columns))
            for (series, unit, _way, column, times, by, digits), where in zip(_SERIES, attributes, strict=True):
                count = counts[column] * times
                readings.append(
                    Reading(series, count / by if digits else count, unit, where, "counter", digits, source)
                )
        return readings

    def _judge(self, names: set[str], found: Mapping[str, Sequence[bytes]]) -> None:
        wanted = [name for name in names if not self._is_skipped(name, found)]
        self._skipped |= names.difference(wanted)
        self._waiting = sorted([*self._waiting, *wanted], key=_order)

    def _take_in(self, found: Mapping[str, Sequence[bytes]]) -> None:
        """Take in what waits and is there, as far as there is room; one that is gone makes room."""
        gone = [name for name in self._known if name not in found]
        waiting = [name for name in self._waiting if name in found]
        room = max(0, self._most - len(self._known) + len(gone))
        self._waiting = waiting[room:]
        for name in waiting[:room]:
            if len(self._known) >= self._most:
                del self._known[gone.pop(0)]
            ways = {way: {"system.device": name, "disk.io.direction": way} for way in ("read", "write")}
            ways[""] = {"system.device": name}
            self._known[name] = tuple(ways[series[2]] for series in _SERIES)

    def _is_skipped(self, name: str, found: Mapping[str, Sequence[bytes]]) -> bool:
        partition = _PARTITION.fullmatch(name)
        if partition and partition[1] in found:
            return True
        return any(fnmatchcase(name, pattern) for pattern in self._exclude)

    def _absent(self, names: Iterable[str], reason: str) -> Iterator[Reading]:
        for name in names:
            for (series, unit, _way, _column, _times, _by, digits), where in zip(
                _SERIES, self._known[name], strict=True
            ):
                yield Reading(series, None, unit, where, "counter", digits, self._file.source, reason)


def _parse(text: bytes) -> dict[str, list[bytes]]:
    """The columns of each device after its name; ValueError when it is another file."""
    found = {}
    for line in text.splitlines():
        columns = _LINE.match(line)
        if columns is None:
            raise ValueError("a line of other columns")
        name, *counts = columns.groups()
        found[name.decode("utf-8", "replace")] = counts
    return found


def _order(name: str) -> tuple[str, list[tuple[int, str]]]:
    """Its kind, and what tells it from others of that: `sdz` before `sdaa`, `nvme2n1` before `nvme10n1`."""
    lettered = _LETTERED.fullmatch(name)
    if lettered:
        return lettered[1], [(len(name), name)]
    kind, *rest = _NUMBER.split(name)
    return kind, [(int(part), "") if part.isdecimal() else (0, part) for part in rest]


OFFER = CollectorOffer(Options, Disk, default=True)
