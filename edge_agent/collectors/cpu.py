"""Where the processors spend their time, from /proc/stat.

`system.cpu.time` counts seconds in each mode, `system.cpu.utilization` is each mode's share of the time since this
collector's own last good read, so the first read has none. Semantic conventions want one series a mode and logical
processor, and no total beside them: sums would count double. A host with more than `most_cores` processors (decided
at the first good read), or `per_core = false`, gives one series a mode for the whole machine instead.

`interrupt` is hardware and software interrupts together; time of guests is part of `user` and `nice`, as the kernel
counts it. The kernel lets `iowait` and `idle` fall now and then: such a share is absent. A processor that was switched
off is absent with the reason `offline`. Not handled: kernels before 2.6.11, which report fewer modes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_MODES = ("user", "nice", "system", "idle", "iowait", "interrupt", "steal")
_LINE = re.compile(rb"(cpu\d{0,6})" + rb" +(\d{1,20})" * 8 + rb"\b")
"""Longer numbers than the kernel's are none."""
_SECOND = 100
"""Clock ticks a second in /proc/stat: USER_HZ is 100 on every Linux that has CPython wheels."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is told apart."""

    per_core: bool = True
    most_cores: int = 16


class _Row:
    """One line of the file: a logical processor, or the whole machine."""

    __slots__ = ("_last", "_modes", "_source", "_times", "_zeros")

    def __init__(self, number: str | None, source: str) -> None:
        place = {} if number is None else {"cpu.logical_number": number}
        self._modes = tuple({"cpu.mode": mode, **place} for mode in _MODES)
        self._source = source
        self._last: Sequence[int] | None = None
        self._times = [self._time(mode, 0) for mode in range(len(_MODES))]
        self._zeros = tuple(self._share(mode, 0.0) for mode in range(len(_MODES)))

    def readings(self, ticks: Sequence[int]) -> Iterable[Reading]:
        """Times and shares from the ticks spent in each mode. Only what moved is made anew: most modes rest mostly."""
        last, self._last = self._last, ticks
        deltas = ticks if last is None else [now - before for now, before in zip(ticks, last, strict=True)]
        for mode, delta in enumerate(deltas):
            if delta:
                self._times[mode] = self._time(mode, ticks[mode])
        total = sum(delta for delta in deltas if delta > 0)
        if last is None or not total:
            return [*self._times, *self._shares_absent("no time passed" if last else "first read")]
        shares = list(self._zeros)
        for mode, delta in enumerate(deltas):
            if delta:
                shares[mode] = self._share(mode, delta / total) if delta > 0 else self._share(mode, None, "fell")
        return self._times + shares

    def absent(self, reason: str) -> Iterator[Reading]:
        """The same series without values."""
        for attributes in self._modes:
            yield Reading("system.cpu.time", None, "s", attributes, "counter", 2, self._source, reason)
        yield from self._shares_absent(reason)

    def _shares_absent(self, reason: str) -> Iterable[Reading]:
        return [self._share(mode, None, reason) for mode in range(len(_MODES))]

    def _time(self, mode: int, ticks: int) -> Reading:
        return Reading("system.cpu.time", ticks / _SECOND, "s", self._modes[mode], "counter", 2, self._source)

    def _share(self, mode: int, value: float | None, reason: str | None = None) -> Reading:
        return Reading("system.cpu.utilization", value, "1", self._modes[mode], "gauge", 2, self._source, reason)


class Cpu:
    """Reads /proc/stat."""

    def __init__(self, options: Options, host: Host) -> None:
        self._file = HostFile(host, "proc/stat")
        self._most = options.most_cores if options.per_core else 0
        self._rows: dict[bytes, _Row] = {}
        self._summed: bool | None = None

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        try:
            machine, cores = _parse(self._file.reread())
        except OSError as error:
            return self._absent(absence(error))
        except ValueError:
            return self._absent("malformed")
        if self._summed is None:
            self._summed = len(cores) > self._most
        readings = [Reading("system.cpu.logical.count", len(cores), "{cpu}", source=self._file.source)]
        seen = {b"cpu": machine} if self._summed else cores
        for name, ticks in seen.items():
            row = self._rows.get(name)
            if row is None:
                number = None if self._summed else name[3:].decode()
                row = self._rows[name] = _Row(number, self._file.source)
            readings.extend(row.readings(ticks))
        if len(self._rows) > len(seen):
            for name in self._rows.keys() - seen.keys():
                readings.extend(self._rows[name].absent("offline"))
        return readings

    def _absent(self, reason: str) -> Iterator[Reading]:
        yield Reading("system.cpu.logical.count", None, "{cpu}", source=self._file.source, reason=reason)
        for row in self._rows.values():
            yield from row.absent(reason)


def _parse(text: bytes) -> tuple[list[int], dict[bytes, list[int]]]:
    """Clock ticks by mode of the whole machine and of each processor; ValueError when it is another file."""
    rows = {}
    for line in text[: text.find(b"\nintr ")].split(b"\n"):
        if not line.startswith(b"cpu"):
            break
        found = _LINE.match(line)
        if not found:
            raise ValueError("a line of other columns")
        name, *counts = found.groups()
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, counts)
        rows[name] = [user, nice, system, idle, iowait, irq + softirq, steal]
    machine = rows.pop(b"cpu", None)
    if machine is None or not rows:
        raise ValueError("no processors are named")
    return machine, rows


OFFER = CollectorOffer(Options, Cpu, default=True)
