"""Traffic of the network interfaces, from /proc/net/dev: bytes, packets, errors and drops, each way.

Interfaces that come and go with containers and virtual machines are skipped by name (`exclude`, shell patterns), since
each name is a series that is kept. What is left is bounded by `most`: further ones are not read. An interface that
was seen and is there no longer is absent with the reason `gone`, until its place is needed.

The file is that of the network namespace of this process. Not handled: speed, link state, wireless quality.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_SERIES = (
    ("system.network.io", "By", "receive", 0),
    ("system.network.io", "By", "transmit", 8),
    ("system.network.packet.count", "{packet}", "receive", 1),
    ("system.network.packet.count", "{packet}", "transmit", 9),
    ("system.network.errors", "{error}", "receive", 2),
    ("system.network.errors", "{error}", "transmit", 10),
    ("system.network.packet.dropped", "{packet}", "receive", 3),
    ("system.network.packet.dropped", "{packet}", "transmit", 11),
)
"""Name, unit, direction, and column of the file after the interface's name."""
_COLUMNS, _DIGITS = 16, 20


@dataclass(frozen=True, slots=True)
class Options:
    """Which interfaces are read."""

    exclude: tuple[str, ...] = (
        "lo", "veth*", "docker*", "br-*", "virbr*", "vnet*", "tap*", "cali*", "cni*", "flannel*", "lxc*", "ifb*",
        "dummy*",
    )  # fmt: skip
    most: int = 16


class Network:
    """Reads /proc/net/dev."""

    def __init__(self, options: Options, host: Host) -> None:
        self._file = HostFile(host, "proc/net/dev")
        self._exclude, self._most = options.exclude, options.most
        self._known: dict[str, tuple[Mapping[str, str], ...]] = {}
        self._skipped: frozenset[str] = frozenset()

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        try:
            found = _parse(self._file.reread())
        except OSError as error:
            return self._absent(self._known, absence(error))
        except ValueError:
            return self._absent(self._known, "malformed")
        new = found.keys() - self._known.keys() - self._skipped
        if new:
            self._meet(sorted(new), found)
        self._skipped &= found.keys()
        readings: list[Reading] = []
        for name, attributes in self._known.items():
            counts = found.get(name)
            if counts is None:
                readings.extend(self._absent([name], "gone"))
                continue
            readings.extend(
                Reading(series, int(counts[column]), unit, way, "counter", 0, self._file.source)
                for (series, unit, _direction, column), way in zip(_SERIES, attributes, strict=True)
            )
        return readings

    def _meet(self, names: Sequence[str], found: Mapping[str, Sequence[bytes]]) -> None:
        """Take in new interfaces; one that is gone makes room, one that finds none is looked at again next time."""
        wanted = [name for name in names if not any(fnmatchcase(name, pattern) for pattern in self._exclude)]
        self._skipped |= set(names) - set(wanted)
        for name in wanted:
            if len(self._known) >= self._most:
                gone = next((known for known in self._known if known not in found), None)
                if gone is None:
                    return
                del self._known[gone]
            ways = {
                way: {"network.interface.name": name, "network.io.direction": way} for way in ("receive", "transmit")
            }
            self._known[name] = tuple(ways[direction] for _series, _unit, direction, _column in _SERIES)

    def _absent(self, names: Iterable[str], reason: str) -> Iterator[Reading]:
        for name in names:
            for (series, unit, _direction, _column), way in zip(_SERIES, self._known[name], strict=True):
                yield Reading(series, None, unit, way, "counter", 0, self._file.source, reason)


def _parse(text: bytes) -> dict[str, list[bytes]]:
    """The 16 columns of each interface; ValueError when it is another file, or has longer numbers than the kernel's."""
    found = {}
    for line in text.split(b"\n")[2:]:
        name, colon, columns = line.rpartition(b":")
        counts = columns.split()
        if colon and len(counts) >= _COLUMNS and b"".join(counts).isdigit() and len(max(counts, key=len)) <= _DIGITS:
            found[name.strip().decode("utf-8", "replace")] = counts
        elif line:
            raise ValueError("a line of other columns")
    return found


OFFER = CollectorOffer(Options, Network, default=True)
