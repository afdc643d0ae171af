"""Processes and threads of the whole machine, from /proc/loadavg, /proc/stat (proc(5)) and the names in /proc.

    linux.thread.count      threads that exist                                   loadavg, after the slash
    linux.thread.runnable   threads that run or wait for a processor             loadavg, before the slash
    linux.thread.blocked    threads that wait for a disk                         stat, procs_blocked
    system.process.created  processes and threads made since the machine booted  stat, processes
    system.process.count    processes that this one can see                      folders of /proc with a number

What the kernel calls processes in the first three are threads, so they have names of their own: semantic conventions
know processes by state only. Telling states apart would mean one file a process. /proc/stat and the folder cost much
more than /proc/loadavg, so their readings come once in `every` reads.

In a container the first four are of the machine, the last is of the container. Every machine and every container has a
process 1: where it is not among them, /proc is mounted so that others' processes are kept from sight, and the count is
absent with the reason `hidden` (systemd's `ProtectProc=` does that). A recorded tree mostly has no processes at all:
absent as `none listed`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_agent.kit.hostfile import HostFile, absence, listed
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import NO_ATTRIBUTES, Kind, Reading

_THREADS = re.compile(rb"[\d.]+ [\d.]+ [\d.]+ (\d{1,15})/(\d{1,15})\b")
_FIRST = "1"
_COUNTS = re.compile(rb"^(processes|procs_blocked) (\d{1,18})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Options:
    """`every`: what is costly to read is read once in so many reads."""

    every: int = 10


class Processes:
    """Reads /proc/loadavg, and now and then /proc/stat and the names in /proc."""

    def __init__(self, options: Options, host: Host) -> None:
        self._loadavg, self._stat = HostFile(host, "proc/loadavg"), HostFile(host, "proc/stat")
        self._host = host
        self._every = max(1, options.every)
        self._reads = 0

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        yield from self._threads()
        if self._reads % self._every == 0:
            yield from self._counts()
            yield self._listed()
        self._reads += 1

    def _threads(self) -> Iterator[Reading]:
        runnable, total, reason = None, None, "malformed"
        try:
            found = _THREADS.match(self._loadavg.reread())
        except OSError as error:
            reason = absence(error)
        else:
            if found:
                runnable, total = int(found[1]), int(found[2])
        yield _reading("linux.thread.count", total, "{thread}", self._loadavg.source, reason)
        yield _reading("linux.thread.runnable", runnable, "{thread}", self._loadavg.source, reason)

    def _counts(self) -> Iterator[Reading]:
        counts: dict[bytes, int] = {}
        reason = "not reported"
        try:
            counts = {key: int(count) for key, count in _COUNTS.findall(self._stat.read())}
        except OSError as error:
            reason = absence(error)
        source = self._stat.source
        yield _reading("linux.thread.blocked", counts.get(b"procs_blocked"), "{thread}", source, reason)
        yield _reading("system.process.created", counts.get(b"processes"), "{process}", source, reason, "counter")

    def _listed(self) -> Reading:
        count, reason = None, "none listed"
        try:
            processes = [name for name in listed(self._host, "proc") if name.isdecimal()]
        except OSError as error:
            reason = absence(error)
        else:
            if _FIRST in processes:
                count = len(processes)
            elif processes:
                reason = "hidden"
        return _reading("system.process.count", count, "{process}", "/proc", reason)


def _reading(name: str, value: int | None, unit: str, source: str, reason: str, kind: Kind = "gauge") -> Reading:
    return Reading(name, value, unit, NO_ATTRIBUTES, kind, 0, source, reason if value is None else None)


OFFER = CollectorOffer(Options, Processes, default=True)
