"""Time lost to a shortage, from /proc/pressure (PSI): counters of seconds, for `cpu`, `memory`, `io` and more.

`some` is time in which at least one task waited, `full` time in which all did. The averages that the kernel keeps are
left out: they follow from the counters. A kernel without PSI has no such files: absent with the reason `missing`, and
looked for at each 30th beat only; one that was booted with `psi=0` answers with EOPNOTSUPP. Names are custom, since
semantic conventions have none.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from edge_agent.kit.hostfile import HostFile, absence
from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_MICROSECONDS, _DIGITS = 1_000_000, 20
_EVERY = 30
_MISSING = "missing"
_LINE = re.compile(rb"^(some|full) .*total=(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Options:
    """Which resources are read; `irq` exists on some kernels and has `full` only."""

    resources: tuple[str, ...] = ("cpu", "memory", "io")


class _Resource:
    """One file, and the attributes of its lines."""

    def __init__(self, name: str, host: Host) -> None:
        self.file = HostFile(host, f"proc/pressure/{name}")
        kinds = ("full",) if name == "irq" else ("some", "full")
        self.lines: Mapping[bytes, Mapping[str, str]] = {
            kind.encode(): {"linux.pressure.resource": name, "linux.pressure.kind": kind} for kind in kinds
        }


class Pressure:
    """Reads the files of /proc/pressure."""

    def __init__(self, options: Options, host: Host) -> None:
        self._resources = [_Resource(name, host) for name in options.resources]
        self._missing: list[Reading] = []
        """What is told while none of the files is there."""
        self._rest = 0

    def collect(self) -> Iterable[Reading]:
        """Read once."""
        if self._rest:
            self._rest -= 1
            return self._missing
        readings = list(self._read())
        if all(reading.reason == _MISSING for reading in readings):
            self._missing, self._rest = readings, _EVERY - 1
        return readings

    def _read(self) -> Iterator[Reading]:
        for resource in self._resources:
            totals: Mapping[bytes, bytes] = {}
            reason = "not reported"
            try:
                totals = dict(_LINE.findall(resource.file.reread()))
            except OSError as error:
                reason = absence(error)
            for kind, attributes in resource.lines.items():
                total, why = totals.get(kind), reason
                if total is not None and len(total) > _DIGITS:  # longer than the kernel's
                    total, why = None, "malformed"
                yield Reading(
                    "linux.pressure.stall.time",
                    None if total is None else int(total) / _MICROSECONDS,
                    "s",
                    attributes,
                    "counter",
                    6,
                    resource.file.source,
                    why if total is None else None,
                )


OFFER = CollectorOffer(Options, Pressure, default=True)
