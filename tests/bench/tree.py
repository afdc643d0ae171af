"""A machine with eight processors that is busy, as a `/proc` below a root folder; `write` moves it by whole steps.

What a step holds is a function of the step alone: counters grow by drawn amounts, gauges swing, as they do on a
working machine. The default collectors that read `/proc` yield about 150 readings of it. Bench input must move: numbers
that stand still cost nothing on the wire.
"""

import math
import random
from pathlib import Path

CORES = 8
_BOOT = 1_700_000_000
_TICKS = 100
_INTERFACES = {"eth0": 90_000, "wlan0": 7_000}
_STALLS = {"cpu": 9_000, "memory": 40, "io": 2_500}


def write(root: Path, step: int) -> None:
    """Put the files of one step (a second, counted from 0) below the root, each replaced whole."""
    files = {
        "proc/stat": _stat(step),
        "proc/meminfo": _meminfo(step),
        "proc/vmstat": _vmstat(step),
        "proc/loadavg": "{:.2f} {:.2f} {:.2f} 3/412 {}\n".format(
            *(_swing(step, 2.5, pace) for pace in (60, 300, 900)), 9000
        ),
        "proc/uptime": f"{step + 1000}.00 {(step + 1000) * CORES // 2}.00\n",
        "proc/net/dev": _dev(step),
        "proc/sys/kernel/hostname": "bench\n",
        **{f"proc/pressure/{name}": _stalls(step, name, pace) for name, pace in _STALLS.items()},
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_text(content, encoding="ascii")
        new.replace(path)


def _swing(step: int, level: float, pace: float, share: float = 0.4) -> float:
    return level * (1 + share * math.sin(2 * math.pi * step / pace) * math.cos(step / 7))


def _grown(step: int, pace: float, key: str) -> int:
    """A counter after so many steps: it never falls, and each step's growth is within half the pace of it."""
    return round(pace * step + pace * random.Random(f"{key} {step}").random())


def _stat(step: int) -> str:
    rows = []
    for core in range(CORES):
        # Shares of a second's ticks by mode; what is left over is idle.
        busy = [
            _grown(step, _TICKS * share * (1 + core / 9), f"{core} {mode}")
            for mode, share in enumerate((0.25, 0.002, 0.08, 0.01))
        ]
        user, nice, system, iowait = busy
        irq, softirq = _grown(step, 0.2, f"{core} irq"), _grown(step, 0.9, f"{core} softirq")
        idle = _TICKS * (step + 3) - user - nice - system - iowait - irq - softirq
        rows.append([user, nice, system, max(0, idle), iowait, irq, softirq, 0, 0, 0])
    whole = [sum(column) for column in zip(*rows, strict=True)]
    lines = [
        f"cpu  {' '.join(map(str, whole))}",
        *(f"cpu{core} {' '.join(map(str, row))}" for core, row in enumerate(rows)),
    ]
    return "\n".join([*lines, f"intr {step * 4000} 0 0", f"ctxt {step * 9000}", f"btime {_BOOT}", ""])


def _meminfo(step: int) -> str:
    total, available = 7_990_000, round(_swing(step, 3_900_000, 400, 0.1)) // 4 * 4
    sizes = {
        "MemTotal": total, "MemFree": available - 900_000, "MemAvailable": available,
        "Buffers": 84_000 + step % 90 * 4, "Cached": 1_900_000 + step * 12, "Shmem": 61_000,
        "SReclaimable": 190_000 + step % 40 * 8, "SUnreclaim": 120_000, "SwapTotal": 3_995_000, "SwapFree": 3_990_000,
    }  # fmt: skip
    return "".join(f"{name + ':':15} {size:>9} kB\n" for name, size in sizes.items())


def _vmstat(step: int) -> str:
    counts = {
        "pswpin": 12,
        "pswpout": 40,
        "pgfault": 5_000_000 + _grown(step, 1800, "fault"),
        "pgmajfault": 900 + step // 20,
    }
    return "".join(f"{name} {count}\n" for name, count in counts.items())


def _dev(step: int) -> str:
    lines = [
        "Inter-|   Receive  |  Transmit",
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes",
    ]
    for name, pace in _INTERFACES.items():
        came, went = _grown(step, pace, f"{name} in"), _grown(step, pace / 5, f"{name} out")
        lines.append(f"{name:>6}: {came} {came // 900} 0 {step // 30} 0 0 0 0 {went} {went // 300} 0 0 0 0 0 0")
    return "\n".join([*lines, ""])


def _stalls(step: int, name: str, pace: int) -> str:
    some = _grown(step, pace, name)
    return "".join(
        f"{kind} avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n"
        for kind, total in (("some", some), ("full", some // 3))
    )
