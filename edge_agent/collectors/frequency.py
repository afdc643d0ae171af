"""The clock of each processor, from /sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq (kHz, told in Hz).

What the governor set, or what the hardware says where the driver asks it. `cpuinfo_cur_freq` would show a processor
that the hardware slows down by itself, but only root may read it on many kernels, and on some boards each read writes
a line to the kernel's log: it is never opened. Processors that share a clock share one read.

A processor that is switched off (it is not in /sys/devices/system/cpu/online) is absent with the reason `offline`.
Machines without cpufreq, as most virtual ones, have no such series. Files: Documentation/admin-guide/pm/cpufreq.rst.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.parts import Part, names_in, number, with_value
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile, resolved
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_FOLDER = "sys/devices/system/cpu"
_KILO = 1000
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Options:
    """`most`: further processors are not read."""

    most: int = 64


class _Beat:
    """What one beat has read already: who is online, and the clocks by where they really are."""

    def __init__(self, host: Host) -> None:
        self._online_file = HostFile(host, f"{_FOLDER}/online")
        self.online: frozenset[int] | None = None
        self._online_text = b""
        self._clocks: dict[str, tuple[int | None, str | None]] = {}

    def begin(self) -> None:
        self._clocks = {}  # a read that comes late tells those of its own beat only
        try:
            text = self._online_file.reread()
            if text != self._online_text or self.online is None:
                self._online_text, self.online = text, _numbers(text.decode("ascii"))
        except (OSError, ValueError):
            self.online = None

    def clock(self, place: str, file: HostFile) -> tuple[int | None, str | None]:
        clocks = self._clocks
        found = clocks.get(place)
        if found is None:
            found = clocks[place] = number(file)
        return found


class _Processor:
    """One processor's clock."""

    def __init__(self, cpu: int, file: HostFile, place: str, beat: _Beat) -> None:
        self._cpu, self._file, self._place, self._beat = cpu, file, place, beat
        attributes = {"cpu.logical_number": str(cpu)}
        self._one = Reading("system.cpu.frequency", None, "Hz", attributes, source=file.source)
        self.series = (self._one,)

    def read(self) -> Iterable[Reading]:
        """Read once."""
        online = self._beat.online
        if online is not None and self._cpu not in online:
            return (with_value(self._one, None, "offline"),)
        raw, reason = self._beat.clock(self._place, self._file)
        if raw is None or raw <= 0:
            return (with_value(self._one, None, reason or "invalid"),)
        return (with_value(self._one, raw * _KILO),)


class Frequency:
    """Reads the clock of every processor."""

    def __init__(self, options: Options, host: Host) -> None:
        self._host = host
        self._beat = _Beat(host)
        self._roster = Roster(host, Kind(_FOLDER, r"cpu\d{1,5}", self._cpu, self._parts, options.most, is_at_hand=True))

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        self._beat.begin()
        return self._roster.collect()

    def _cpu(self, path: str) -> str | None:
        """Its number, where it has a clock, or is switched off on a machine where others have one."""
        cpu = path.rpartition("cpu")[2]
        if "cpufreq" in names_in(self._host, path):
            return cpu
        online = self._beat.online
        off = online is not None and int(cpu) not in online
        return cpu if off and "cpufreq" in names_in(self._host, _FOLDER) else None

    def _parts(self, key: str, path: str) -> list[Part]:
        name = f"{path}/cpufreq/scaling_cur_freq"
        place = name
        with suppress(OSError):
            place = resolved(self._host, name)
        return [_Processor(int(key), HostFile(self._host, name), place, self._beat)]


def _numbers(text: str) -> frozenset[int]:
    """The numbers of a list as the kernel writes it (`0-3,6`); ValueError when it is none."""
    found: set[int] = set()
    for part in text.strip().split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError("not a list of processors")
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(found)


OFFER = CollectorOffer(Options, Frequency, default=True)
