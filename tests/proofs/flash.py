"""Row `flash`: what a spool hands to flash for each byte that is sealed, and how often it syncs, beside SQLite.

Both take the same number of batches of one size, each durable before the next and each settled at once, as while a hub
answers. SQLite is used as well as it can be for this: WAL, `synchronous=FULL`, one transaction to insert and one to
delete what was settled, which is not synced by itself.

    bytes   `write_bytes` of the process: pages that it made dirty, the file system's own among them, not its journal
    syncs   `fdatasync` as strace counts it, over all threads; not counted where there is no strace. A new segment, or a
            new file of SQLite's, syncs its folder besides, or a power cut would take the name: told after the plus
            sign, and asked to be once in a quarter of a MiB, which is when a settled segment is let go

`python -m tests.proofs.flash FOLDER SIZE COUNT` is the SQLite side, one process.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_agent.kit.chance import system_chance
from tests.bench.meter import flash_bytes
from tests.bench.place import ROOT, Place
from tests.proofs.row import Findings, Row

_SIZES = (2048, 8192, 32768)
_MOST_RATIO, _MOST_SYNCS = 1.6, 1.0
_SEGMENT, _OPENING_SYNCS = 2**18, 8
"""Bytes to which a segment grows at least, and folders that are made and synced at the start."""
_SPOOL, _SQLITE = "tests.bench.flash", "tests.proofs.flash"
_CALLS = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(fsync|fdatasync)$", re.MULTILINE)
"""A line of strace's summary: share, seconds, microseconds a call, calls, perhaps errors, name."""


def measured(size: int, count: int) -> Findings:
    """Both sides, with so many batches of a size."""
    figures = {"size": float(size)}
    with Place() as place:
        for name, module in (("spool", _SPOOL), ("sqlite", _SQLITE)):
            command = [sys.executable, "-m", module, str(place.folder(name)), str(size), str(count)]
            figures[name] = float(_said(command))
            if shutil.which("strace"):
                # Apart, since a traced process is a slow one; what an opening syncs is counted too.
                counted = place.folder(name)
                trace = place.memory / f"{name}.strace"
                command[3] = str(counted)
                _said(["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", str(trace), *command])
                calls = {call: int(times) / count for times, call in _CALLS.findall(trace.read_text())}
                figures[f"{name} syncs"] = calls.get("fdatasync", 0.0)
                figures[f"{name} folder syncs"] = calls.get("fsync", 0.0)
    return Findings(count, (), figures)


def prove(part: int) -> Findings:
    """One size a part."""
    return measured(_SIZES[part], 1000)


def _said(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def _written(folder: Path, size: int, count: int) -> float:
    """What SQLite hands to flash for each byte."""
    connection = sqlite3.connect(folder / "queue.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE frame (seq INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT")
    chance = system_chance()
    before = flash_bytes(os.getpid())
    for seq in range(count):
        connection.execute("INSERT INTO frame VALUES (?, ?)", (seq, chance.randbytes(size)))
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("DELETE FROM frame WHERE seq = ?", (seq,))
        connection.execute("PRAGMA synchronous = FULL")
    after = flash_bytes(os.getpid())
    connection.close()
    return (after - before) / (size * count)


def _tell(parts: Sequence[Findings]) -> str:
    told = []
    for part in parts:
        figures = part.figures
        syncs = f", {_syncs(part, 'spool')} (SQLite {_syncs(part, 'sqlite')})" if _counted(part) else ""
        told.append(
            f"{figures['size'] / 1024:.0f} KiB: {figures['spool']:.2f} bytes a byte"
            f" (SQLite {figures['sqlite']:.2f}){syncs}"
        )
    return "; ".join(told)


def _unmet(parts: Sequence[Findings]) -> Sequence[str]:
    short = []
    for part in parts:
        if part.figures["size"] == 8192 and part.figures["spool"] > _MOST_RATIO:
            short.append(f"{part.figures['spool']:.2f} bytes a byte at 8 KiB, and {_MOST_RATIO} is asked")
        if _counted(part) and round(part.figures["spool syncs"], 2) > _MOST_SYNCS:
            short.append(f"{part.figures['spool syncs']:.2f} syncs a seal, and {_MOST_SYNCS:.0f} is asked")
        if _counted(part) and part.figures["spool folder syncs"] > _new_names(part):
            short.append(f"{part.figures['spool folder syncs']:.3f} syncs of the folder a seal: more than new segments")
    return short


def _new_names(part: Findings) -> float:
    """Syncs of folders a seal at the most: one for each segment, and those of the start."""
    return (part.tried * part.figures["size"] / _SEGMENT + _OPENING_SYNCS) / part.tried


def _syncs(part: Findings, name: str) -> str:
    return f"{part.figures[f'{name} syncs']:.2f} + {part.figures[f'{name} folder syncs']:.2f} syncs a seal"


def _counted(part: Findings) -> bool:
    return "spool syncs" in part.figures


ROW = Row(
    name="flash",
    promise="bytes to flash for each byte sealed, and syncs a seal, beside SQLite in the same run",
    least="≤ 1.6 at 8 KiB, ≤ 1 sync (and one of the folder for each new segment)",
    parts=len(_SIZES),
    prove=prove,
    tell=_tell,
    unmet=_unmet,
)

if __name__ == "__main__":
    sys.stdout.write(str(_written(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
