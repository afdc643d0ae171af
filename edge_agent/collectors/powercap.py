"""Energy that processors count for themselves (RAPL), from /sys/class/powercap: joules, as a counter.

`intel-rapl:*/energy_uj`, which AMD's processors have too, by the names of the domains: `package-0`, `package-0/core`.
The kernel lets only root read them since 5.10: absent as `unreadable: EACCES` for others. What is told is the energy
since this collector's own first read, which tells 0: a register's number says nothing by itself, since it wraps around
at `max_energy_range_uj`, within hours. So a restart of the agent is a counter that begins anew, and never energy that
nobody used. It never falls otherwise, beyond a wrap and also when the domain was gone for a while. A fall that would
mean more than half of the range is a register that was reset (by hibernation, or when its driver was loaded anew), and
goes on from there. The files are those of the kernel's Documentation/power/powercap/powercap.rst.

Not handled: a register that wraps twice between two reads, which takes minutes at full power; `intel-rapl-mmio`, the
same energy once more; other control types.
"""

from collections.abc import Iterable

from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.parts import Part, label, number, told
from edge_agent.collectors.sysfs.roster import Roster
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.offers import CollectorOffer, NoOptions
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_MICRO = 1_000_000
_TYPES = {"dram": "memory", "psys": "enclosure"}
"""What a domain is, where it is not part of a processor."""
_MOST = 64


class _Register:
    """What a register counted since its first read: `before` is the sum when it was 0 last."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.before = self.whole = 0
        """Where it wraps around; 0 while that is not known."""

    def count(self, raw: int) -> int:
        """The sum at this number of the register."""
        if self.last is None:
            self.before = -raw
        elif raw < self.last:
            wrapped = self.whole >= self.last and self.whole - self.last + raw <= self.whole // 2
            self.before += self.whole if wrapped else self.last
        self.last = raw
        return self.before + raw


class _Energy:
    """A register as a counter that never falls."""

    def __init__(self, file: HostFile, series: Reading, register: _Register) -> None:
        self._file, self._register = file, register
        self._one = series._replace(source=file.source)
        self.series = (self._one,)

    def read(self) -> Iterable[Reading]:
        """Read once."""
        raw, reason = number(self._file)
        if raw is None or raw < 0:
            return (self._one._replace(reason=reason or "invalid"),)
        return (self._one._replace(value=self._register.count(raw) / _MICRO),)


class Powercap:
    """Reads the energy of each domain."""

    def __init__(self, options: NoOptions, host: Host) -> None:  # noqa: ARG002 - every collector is built alike
        self._host = host
        self._registers: dict[str, _Register] = {}
        self._roster = Roster(host, Kind("sys/class/powercap", r"intel-rapl(:\d+)+", self._domain, self._parts, _MOST))

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        return self._roster.collect()

    def _domain(self, path: str) -> str:
        """Its name, below its package's where it has one."""
        name = told(self._host, f"{path}/name")
        upper, _colon, _number = path.rpartition(":")
        if ":" not in upper:
            return name
        package = label(self._host, f"{upper}/name")
        return f"{package}/{name}" if package else name

    def _parts(self, key: str, path: str) -> list[Part]:
        upper, _slash, name = key.rpartition("/")
        attributes = {"hw.id": key, "hw.name": name, "hw.type": _TYPES.get(name, "cpu")}
        if upper:
            attributes["hw.parent"] = upper
        series = Reading("hw.energy", None, "J", attributes, "counter", 6)
        return [_Energy(HostFile(self._host, f"{path}/energy_uj"), series, self._register(key, path))]

    def _register(self, key: str, path: str) -> _Register:
        if key not in self._registers and len(self._registers) >= _MOST:
            del self._registers[next(iter(self._registers))]
        register = self._registers.setdefault(key, _Register())
        whole, _reason = number(HostFile(self._host, f"{path}/max_energy_range_uj"))
        register.whole = whole or register.whole
        return register


OFFER = CollectorOffer(NoOptions, Powercap, default=True)
