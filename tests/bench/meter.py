"""What a process costs, read from outside: `/proc/PID/stat`, `/proc/PID/io`, its threads' switches, its memory.

Processor time has the grain of the kernel's clock tick, 10 ms. `write_bytes` counts pages that the
process made dirty, the file system's own among them (but not its journal); what is on tmpfs is not in it.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Spent:
    """Counters of a process at one instant: seconds, bytes, switches of all living threads together."""

    at: float
    cpu: float
    flash: int
    switches: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Private and resident memory in MiB."""

    uss: float
    rss: float


def spent(pid: int) -> Spent:
    """The counters now."""
    return Spent(time.perf_counter(), cpu_seconds(pid), flash_bytes(pid), _switches(pid))


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads."""
    # The name in brackets may hold spaces: fields count from behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flash_bytes(pid: int) -> int:
    """Bytes handed to block devices."""
    return _field(Path(f"/proc/{pid}/io").read_text(), "write_bytes")


def memory(pid: int) -> Memory:
    """The memory now; makes the kernel walk its pages."""
    found = psutil.Process(pid).memory_full_info()
    return Memory(found.uss / 2**20, found.rss / 2**20)


def _switches(pid: int) -> int:
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that ended in between
            said = (thread / "status").read_text()
            total += _field(said, "voluntary_ctxt_switches") + _field(said, "nonvoluntary_ctxt_switches")
    return total


def _field(said: str, name: str) -> int:
    return next(int(line.partition(":")[2]) for line in said.splitlines() if line.startswith(f"{name}:"))
