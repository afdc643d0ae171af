"""What the agent itself costs: processor time, memory, writes, wake-ups, threads, open files.

Only the live machine has this process: on a recorded tree every series is absent with the reason `not live`. Processor
time and wake-ups (voluntary switches) come from getrusage, which counts all threads, also those that ended. Private
memory (USS) makes the kernel walk every page, so it is read once in `private_every` reads and not offered between.

`agent.io.written` is what the process asked to write, wherever to; `process.disk.io` what was bound for a disk.
"""

import re
import resource
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import NO_ATTRIBUTES, Kind, Reading

_KIB = 1024
_PRIVATE = re.compile(rb"^Private_\w+: +(\d+) kB", re.MULTILINE)
_THREADS = re.compile(rb"^Threads:\s+(\d+)", re.MULTILINE)
_WCHAR = re.compile(rb"^wchar: (\d+)", re.MULTILINE)
_WRITES = re.compile(rb"^write_bytes: (\d+)", re.MULTILINE)
_SWITCH = "process.context_switch.type"


class _Item(NamedTuple):
    """One series."""

    name: str
    unit: str
    source: str
    attributes: Mapping[str, str] = NO_ATTRIBUTES
    kind: Kind = "gauge"
    digits: int = 0


_USAGE = (
    _Item("process.cpu.time", "s", "getrusage", {"cpu.mode": "user"}, "counter", 3),
    _Item("process.cpu.time", "s", "getrusage", {"cpu.mode": "system"}, "counter", 3),
    _Item("process.context_switches", "{context_switch}", "getrusage", {_SWITCH: "voluntary"}, "counter"),
    _Item("process.context_switches", "{context_switch}", "getrusage", {_SWITCH: "involuntary"}, "counter"),
)
_RESIDENT = (_Item("process.memory.usage", "By", "/proc/self/statm"),)
_WRITTEN = (
    _Item("process.disk.io", "By", "/proc/self/io", {"disk.io.direction": "write"}, "counter"),
    _Item("agent.io.written", "By", "/proc/self/io", kind="counter"),
)
_THREAD = (_Item("process.thread.count", "{thread}", "/proc/self/status"),)
_OPEN = (_Item("process.unix.file_descriptor.count", "{file_descriptor}", "/proc/self/fd"),)
_OWNED = (_Item("agent.memory.private", "By", "/proc/self/smaps_rollup"),)


@dataclass(frozen=True, slots=True)
class Options:
    """`private_every`: private memory is read once in so many reads."""

    private_every: int = 30


class Self:
    """Reads this process."""

    def __init__(self, options: Options, host: Host) -> None:
        self._host = host
        self._statm, self._status, self._io, self._rollup = (
            HostFile(host, f"proc/self/{name}") for name in ("statm", "status", "io", "smaps_rollup")
        )
        self._private_every = max(1, options.private_every)
        self._reads = 0

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        yield from self._read(_USAGE, _usage)
        yield from self._read(_RESIDENT, self._resident)
        yield from self._read(_WRITTEN, self._written)
        yield from self._read(_THREAD, self._threads)
        yield from self._read(_OPEN, self._open)
        if self._reads % self._private_every == 0:
            yield from self._read(_OWNED, self._private)
        self._reads += 1

    def _read(self, items: Iterable[_Item], ask: Callable[[], Iterable[float]]) -> Iterable[Reading]:
        values: Iterable[float | None] = ()
        reason = "not live"
        if self._host.live:
            try:
                values = ask()
            except OSError as error:
                reason = absence(error)
            except (ValueError, IndexError):
                reason = "malformed"
        for item, value in zip(items, values or [None for _ in items], strict=True):
            why = reason if value is None else None
            yield Reading(item.name, value, item.unit, item.attributes, item.kind, item.digits, item.source, why)

    def _resident(self) -> Iterable[float]:
        return (int(self._statm.read().split()[1]) * resource.getpagesize(),)

    def _written(self) -> Iterable[float]:
        counts = self._io.read()
        return (_number(_WRITES, counts), _number(_WCHAR, counts))

    def _threads(self) -> Iterable[float]:
        return (_number(_THREADS, self._status.read()),)

    def _open(self) -> Iterable[float]:
        return (sum(1 for _ in (self._host.root / "proc/self/fd").iterdir()) - 1,)  # one is the listing's own

    def _private(self) -> Iterable[float]:
        kibs = _PRIVATE.findall(self._rollup.read())
        return (sum(map(int, kibs)) * _KIB,)


def _usage() -> Iterable[float]:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return (spent.ru_utime, spent.ru_stime, spent.ru_nvcsw, spent.ru_nivcsw)


def _number(pattern: re.Pattern[bytes], text: bytes) -> int:
    found = pattern.search(text)
    if found is None:
        raise ValueError("the line is not there")
    return int(found[1])


OFFER = CollectorOffer(Options, Self, default=True)
