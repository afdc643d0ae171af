"""A device of the kernel's device mapper, by its ioctls: the disk under it as it is, failing, or forgetting.

One target covers the whole disk. It is changed under a mounted file system without asking that to write anything out
first, as a disk that fails does not ask either.

See linux/dm-ioctl.h for the structures, and the kernel's text on dm-flakey for its table.
"""

import fcntl
import os
import struct
from pathlib import Path

_CONTROL = Path("/dev/mapper/control")
_CREATE, _SUSPEND, _LOAD = 3, 6, 9
_SUSPENDED, _NO_FREEZE, _NO_FLUSH = 1 << 1, 1 << 10, 1 << 11
_VERSION = (4, 0, 0)
_HEAD = struct.Struct("=3I7IQ128s129s7x")
_TARGET = struct.Struct("=QQiI16s")
_SECTOR = 512
_ALWAYS = 1_000_000_000
"""Seconds; dm-flakey fails for so long before it works again."""


class Mapper:
    """One device over a disk; `path` is where it is."""

    def __init__(self, under: Path, name: str) -> None:
        self.path = Path("/dev/dm-0")
        self._under = under
        self._name = name.encode()
        self._sectors = int((Path("/sys/class/block") / under.name / "size").read_text())

    def begin(self) -> None:
        """Make the device, passing everything on."""
        self._call(_CREATE, 0)
        self.pass_on()

    def pass_on(self) -> None:
        """From here on the disk is as it is."""
        self._become("linear", f"{self._under} 0")

    def fail_writes(self) -> None:
        """From here on each write, and each flush, ends in an error."""
        self._become("flakey", f"{self._under} 0 0 {_ALWAYS} 1 error_writes")

    def forget_writes(self) -> None:
        """From here on each write, and each flush, is said to be done and is not."""
        self._become("flakey", f"{self._under} 0 0 {_ALWAYS} 1 drop_writes")

    def _become(self, kind: str, table: str) -> None:
        text = table.encode() + b"\0"
        text += bytes(-len(text) % 8)
        size = _TARGET.size + len(text)
        self._call(_LOAD, 0, _TARGET.pack(0, self._sectors, 0, size, kind.encode()) + text)
        self._call(_SUSPEND, _SUSPENDED | _NO_FREEZE | _NO_FLUSH)
        self._call(_SUSPEND, 0)  # resumed, with the table that was loaded

    def _call(self, command: int, flags: int, target: bytes = b"") -> None:
        size = _HEAD.size + len(target)
        head = _HEAD.pack(*_VERSION, size, _HEAD.size, bool(target), 0, flags, 0, 0, 0, self._name, b"")
        told = bytearray(head + target)
        control = os.open(_CONTROL, os.O_RDWR)
        try:
            fcntl.ioctl(control, 3 << 30 | _HEAD.size << 16 | 0xFD << 8 | command, told)
        finally:
            os.close(control)
