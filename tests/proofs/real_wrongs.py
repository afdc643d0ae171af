"""What can be wrong with the clocks of a real process on this machine, without a wrong clock for anybody else.

faketime         a library before the C library says another time of day than it is; a file says how far off, and may be
                 changed while the process runs, which sees it within a second. The monotonic clocks stay as they are.
time namespaces  a process's own CLOCK_BOOTTIME and CLOCK_MONOTONIC, moved by so many seconds: another axis, as after
                 another boot. Held by a child without a name, gone with it.
a stop           SIGSTOP, and SIGCONT after a while: the process stands still, and time goes on.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.proofs.row import lacking
from tests.system.program import ROOT

YEAR = 365 * 86_400
_LIBRARY = "faketime/libfaketimeMT.so.1"
_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


@dataclass(frozen=True)
class FalseClock:
    """A time of day that is off by what a file says."""

    file: Path

    @property
    def before(self) -> Sequence[str]:
        """A command that turns into a process which believes it."""
        return (
            "env",
            f"LD_PRELOAD={_library()}",
            f"FAKETIME_TIMESTAMP_FILE={self.file}",
            "FAKETIME_CACHE_DURATION=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            # Else it takes waits by the monotonic clock for waits by the other, and threads stand in line for seconds.
            "FAKETIME_FORCE_MONOTONIC_FIX=0",
            "NO_FAKE_STAT=1",
        )

    def be_off_by(self, seconds: int) -> None:
        """From here on it is off by so much."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self.file)


def lacking_faketime() -> str:
    """Why no process can be told a false time of day; "" when one can."""
    return "" if _library() is not None else "not installed: libfaketime"


def _library() -> Path | None:
    found = (file for folder in _FOLDERS for file in sorted(Path(folder).glob(f"**/{_LIBRARY}")))
    return next(found, None)


@contextmanager
def time_namespace(boottime: int, monotonic: int) -> Iterator[Sequence[str]]:
    """A command that turns into a process with its own time, moved by so many seconds. OSError when there is none."""
    moved = ("--boottime", str(boottime), "--monotonic", str(monotonic))
    holder = subprocess.Popen(
        ["unshare", "--time", *moved, "sh", "-c", "echo && exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        if not holder.stdout.readline():
            raise OSError("no time namespace can be made here")
        yield ("nsenter", f"--time=/proc/{holder.pid}/ns/time_for_children", f"--wd={ROOT}", "--")
    finally:
        holder.stdin.close()
        holder.wait()
        holder.stdout.close()


def lacking_time_namespaces() -> str:
    """Why no process can have its own time; "" when one can."""
    if why := lacking("unshare", "nsenter"):
        return why
    if os.getuid() != 0:
        return "not root"
    try:
        with time_namespace(86_400, 3_600) as entering:
            told = subprocess.run([*entering, "cat", "/proc/uptime"], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    if told.returncode != 0:
        return told.stderr.strip()
    return "" if float(told.stdout.split()[0]) > 86_400 else "a time namespace has the time of this machine"


def stop_for(pid: int, seconds: float) -> None:
    """Let a process stand still for so long."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
