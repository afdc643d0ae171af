"""Memory, swap and paging, from /proc/meminfo and /proc/vmstat.

`used` is what cannot be had without pushing something out: MemTotal less MemAvailable. The states of memory overlap
(`used` holds part of `cached`), as the kernel's own numbers do. On boards whose GPU shares the memory this is
all there is. A line that this kernel does not write is absent with the reason `not reported`.

Not handled: NUMA nodes, huge pages, memory limits of control groups.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import NO_ATTRIBUTES, Kind, Reading

_KIB, _DIGITS = 1024, 20
_Counts = Mapping[bytes, bytes]


class _Item(NamedTuple):
    """A series, and how it comes from the file's counts.

    KeyError says that this kernel does not report it, ValueError that a number is longer than the kernel's are.
    """

    name: str
    unit: str
    attributes: Mapping[str, str]
    value: Callable[[_Counts], float | None]
    kind: Kind = "gauge"
    digits: int = 0


def _bytes(key: bytes) -> Callable[[_Counts], float]:
    return lambda counts: _whole(counts[key]) * _KIB


def _count(key: bytes) -> Callable[[_Counts], float]:
    return lambda counts: _whole(counts[key])


def _whole(digits: bytes) -> int:
    if len(digits) > _DIGITS:
        raise ValueError("longer than the kernel's")
    return int(digits)


def _used(counts: _Counts, whole: bytes, free: bytes) -> int:
    return _whole(counts[whole]) - _whole(counts[free])


def _share(counts: _Counts, whole: bytes, free: bytes) -> float | None:
    size = _whole(counts[whole])
    return _used(counts, whole, free) / size if size else None


def _state(state: str) -> dict[str, str]:
    return {"system.memory.state": state}


_MEMORY = (b"MemTotal", b"MemAvailable")
_SWAP = (b"SwapTotal", b"SwapFree")
_USAGE, _PAGING = "system.memory.usage", "system.paging.usage"
_SLAB, _SLAB_STATE = "system.memory.linux.slab.usage", "system.memory.linux.slab.state"
_WAY, _FAULT = "system.paging.direction", "system.paging.fault.type"

_MEMINFO = (
    _Item("system.memory.limit", "By", NO_ATTRIBUTES, _bytes(b"MemTotal")),
    _Item(_USAGE, "By", _state("used"), lambda counts: _used(counts, *_MEMORY) * _KIB),
    _Item(_USAGE, "By", _state("free"), _bytes(b"MemFree")),
    _Item(_USAGE, "By", _state("buffers"), _bytes(b"Buffers")),
    _Item(_USAGE, "By", _state("cached"), _bytes(b"Cached")),
    _Item("system.memory.utilization", "1", _state("used"), lambda counts: _share(counts, *_MEMORY), digits=4),
    _Item("system.memory.linux.available", "By", NO_ATTRIBUTES, _bytes(b"MemAvailable")),
    _Item("system.memory.linux.shared", "By", NO_ATTRIBUTES, _bytes(b"Shmem")),
    _Item(_SLAB, "By", {_SLAB_STATE: "reclaimable"}, _bytes(b"SReclaimable")),
    _Item(_SLAB, "By", {_SLAB_STATE: "unreclaimable"}, _bytes(b"SUnreclaim")),
    _Item(_PAGING, "By", {"system.paging.state": "used"}, lambda counts: _used(counts, *_SWAP) * _KIB),
    _Item(_PAGING, "By", {"system.paging.state": "free"}, _bytes(b"SwapFree")),
    _Item(
        "system.paging.utilization",
        "1",
        {"system.paging.state": "used"},
        lambda counts: _share(counts, *_SWAP),
        digits=4,
    ),
)
_VMSTAT = (
    _Item("system.paging.operations", "{operation}", {_WAY: "in", _FAULT: "major"}, _count(b"pswpin"), "counter"),
    _Item("system.paging.operations", "{operation}", {_WAY: "out", _FAULT: "major"}, _count(b"pswpout"), "counter"),
    _Item("system.paging.faults", "{fault}", {_FAULT: "major"}, _count(b"pgmajfault"), "counter"),
    _Item(
        "system.paging.faults",
        "{fault}",
        {_FAULT: "minor"},
        lambda counts: _used(counts, b"pgfault", b"pgmajfault"),
        "counter",
    ),
)
_LINES = re.compile(
    rb"\n(MemTotal|MemFree|MemAvailable|Buffers|Cached|Shmem|SReclaimable|SUnreclaim|SwapTotal|SwapFree"
    rb"|pswpin|pswpout|pgfault|pgmajfault):? +(\d+)"
)


@dataclass(frozen=True, slots=True)
class Options:
    """`paging`: also read /proc/vmstat, for swapping and page faults."""

    paging: bool = True


class Memory:
    """Reads /proc/meminfo, and /proc/vmstat if asked to."""

    def __init__(self, options: Options, host: Host) -> None:
        self._files: list[tuple[HostFile, tuple[_Item, ...]]] = [(HostFile(host, "proc/meminfo"), _MEMINFO)]
        if options.paging:
            self._files.append((HostFile(host, "proc/vmstat"), _VMSTAT))

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        for file, items in self._files:
            yield from _readings(file, items)


def _readings(file: HostFile, items: Iterable[_Item]) -> Iterator[Reading]:
    counts: _Counts = {}
    missing = "not reported"
    try:
        counts = dict(_LINES.findall(b"\n" + file.reread()))
    except OSError as error:
        missing = absence(error)
    for item in items:
        try:
            value, reason = item.value(counts), "there is none"
        except KeyError:
            value, reason = None, missing
        except ValueError:
            value, reason = None, "malformed"
        why = reason if value is None else None
        yield Reading(item.name, value, item.unit, item.attributes, item.kind, item.digits, file.source, why)


OFFER = CollectorOffer(Options, Memory, default=True)
