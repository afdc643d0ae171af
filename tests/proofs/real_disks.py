"""Small file systems for the proofs: tmpfs of few bytes or few inodes, and ext4 in a file on a loop device.

Each is mounted in a mount namespace of its own that a child process holds, so nothing is mounted in this one, and it is
gone, loop device and all, once that child and whoever entered are, however this process ends. From here its files are
reached below /proc.

    with small_disk("tmpfs", folder / "small") as disk:
        device.start(disk.entering)      # a process to which it is mounted at that path
        disk.fill()                      # another process fills it to the last byte, or the last inode
        disk.free()

Does not handle: running without root.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.system.program import ROOT

Kind = Literal["tmpfs", "inodes", "ext4"]

_INODES = 40
_MOUNTS: dict[Kind, str] = {
    "tmpfs": "mount -t tmpfs -o size=$1 none $0",
    "inodes": f"mount -t tmpfs -o size=$1,nr_inodes={_INODES} none $0",
    "ext4": "truncate -s $1 $0.img && mkfs.ext4 -q -F -m 0 -b 1024 $0.img && mount -o loop $0.img $0",
}
_GRAINS = (2**20, 4096, 512, 1)


@dataclass(frozen=True)
class SmallDisk:
    """One of them: `at` is where those who enter have it, `seen` the same folder as it is reached from here."""

    kind: Kind
    at: Path
    holder: int

    @property
    def seen(self) -> Path:
        return Path(f"/proc/{self.holder}/root{self.at}")

    @property
    def entering(self) -> Sequence[str]:
        """A command that turns into a process that sees it."""
        return ("nsenter", f"--mount=/proc/{self.holder}/ns/mnt", f"--wd={ROOT}", "--")

    def fill(self) -> None:
        """Leave no byte, or no inode."""
        with suppress(OSError):
            if self.kind == "inodes":
                for number in range(_INODES):
                    (self.seen / f"filler-{number}").touch()
            else:
                self._fill_bytes()

    def free(self) -> None:
        """Give back what was filled."""
        for path in self.seen.glob("filler*"):
            path.unlink()

    def is_full(self) -> bool:
        """Whether nothing is left."""
        left = os.statvfs(self.seen)
        return (left.f_ffree if self.kind == "inodes" else left.f_bavail) == 0

    def _fill_bytes(self) -> None:
        descriptor = os.open(self.seen / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for grain in _GRAINS:
                with suppress(OSError):
                    while True:
                        os.write(descriptor, bytes(grain))
            with suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def small_disk(kind: Kind, at: Path, size: int = 4 * 2**20) -> Iterator[SmallDisk]:
    """A small file system of so many bytes at a path, for those who enter."""
    at.mkdir()
    mounting = f"{_MOUNTS[kind]} && echo && exec cat"
    # Its standard input ends when this process does, and then it ends, too.
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounting, str(at), str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        if not holder.stdout.readline():
            raise OSError(f"no {kind} can be mounted here")
        yield SmallDisk(kind, at, holder.pid)
    finally:
        holder.stdin.close()
        holder.wait()
        holder.stdout.close()


def why_no_disk(kind: Kind, below: Path) -> str:
    """Why such a file system cannot be had on this machine; "" when it can."""
    if os.getuid() != 0:
        return "not root"
    try:
        with small_disk(kind, below / f"try-{kind}"):
            return ""
    except OSError as error:
        return str(error)
