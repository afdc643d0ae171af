"""The first process of the guest: what a kernel leaves to do, then one of the plays, until the power goes.

The kernel's command line says `proof.play=` (one of `_PLAYS`) and `proof.seed=`.

    writes    a writer on the disk
    runs      `edge-agent run` on the disk, no hub, a batch a second, and a watcher
    dark      a writer on the disk behind dm-flakey, which from some instant on forgets what it is given
    fails     a writer behind dm-flakey, through spells in which each write fails; it is killed after each, the file
              system mounted again, and another one started
    falters   the same with `edge-agent run`, whose open batches outlive it in memory
    timed     `edge-agent run` with a hub at the host, which sets the clock (`timed`); `proof.port=` is where it listens

A file system that saw a spell is left as by a power cut: what unmounting writes is forgotten. An orderly unmount would
not do: when writing back old metadata failed unnoticed, ext4 of some kernels finds that out there and then, and takes
the journal for clean all the same, with all that was only in it.

A play that breaks down says `broken` with its reason, and the kernel stops.
"""

import ctypes
import errno
import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.proofs.vm.mapper import Mapper
from tests.proofs.vm.timed import obey
from tests.proofs.vm.words import say

_DISK = Path("/dev/vda")
IN_STATE = Path("state") / "spool" / "hub"
"""Where the spool is on the disk under test."""
_MOUNTED = Path("/mnt")
_STATE = _MOUNTED / "state"
_SPOOL = _MOUNTED / IN_STATE
_RUNTIME = Path("/run/agent")
_CONFIG = Path("/run/agent.toml")
_KEY = Path("/run/key")
_FINIT_MODULE = 313
_CONFIGURED = f"""
[device]
id = "powercut"
[hub]
url = "http://127.0.0.1:9"
key_file = "{_KEY}"
[state]
folder = "{_STATE}"
runtime = "{_RUNTIME}"
[seal]
every = 1.0
[spool]
min_free_bytes = 0
min_free_inodes = 0
[local]
enabled = false
[log]
level = "error"
[collectors.cpu]
interval = 0.2
[collectors.memory]
interval = 0.2
[collectors.load]
interval = 0.5
"""


def main() -> None:
    """See the module."""
    try:
        _prepare()
        orders = _orders()
        _PLAYS[orders["proof.play"]](random.Random(int(orders["proof.seed"])))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the host must hear of it before the kernel stops
        traceback.print_exc()
        say(f"broken {type(error).__name__}: {error}")
    while True:
        time.sleep(1)


def _orders() -> dict[str, str]:
    return dict(word.split("=", 1) for word in Path("/proc/cmdline").read_text().split() if "=" in word)


def _prepare() -> None:
    for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")):
        _mount(kind, where, kind)
    Path("/dev/shm").mkdir()
    _mount("tmpfs", "/dev/shm", "tmpfs")
    os.environ["PYTHONPATH"] = "/tree:/packages"
    libc = ctypes.CDLL(None, use_errno=True)
    for module in Path("/modules").read_text().split():
        descriptor = os.open(module, os.O_RDONLY)
        if libc.syscall(_FINIT_MODULE, descriptor, b"", 0) != 0:
            raise OSError(ctypes.get_errno(), "the kernel does not take the module", module)
        os.close(descriptor)
    _wait_for(_DISK)
    _RUNTIME.mkdir()
    _KEY.write_text("k" * 43)
    _KEY.chmod(0o600)
    _CONFIG.write_text(_CONFIGURED)


def _writes(chance: random.Random) -> None:
    _mount_disk(_DISK)
    _start(*_writer(chance)).wait()


def _runs(_chance: random.Random) -> None:
    _mount_disk(_DISK)
    _start(*_WATCHER)
    _start(*_AGENT).wait()


def _dark(chance: random.Random) -> None:
    disk = _mapped()
    there = _segments()
    writer = _start(*_writer(chance))
    _wait_for_more_than(there)
    time.sleep(chance.uniform(0, 5))
    say("dark")
    disk.forget_writes()
    writer.wait()


def _fails(chance: random.Random) -> None:
    _suffer(chance, lambda: _writer(chance))


def _falters(chance: random.Random) -> None:
    _start(*_WATCHER)
    _suffer(chance, lambda: _AGENT)


def _timed(_chance: random.Random) -> None:
    _mount_disk(_DISK)
    obey(int(_orders()["proof.port"]))


def _suffer(chance: random.Random, command: Callable[[], tuple[str, ...]]) -> None:
    disk = _mapped()
    while True:
        there = _segments()
        victim = _start(*command())
        _wait_for_more_than(there)
        time.sleep(chance.uniform(0, 5))
        say("ailing")
        disk.fail_writes()
        time.sleep(chance.uniform(0.2, 4))
        disk.pass_on()
        say("well")
        time.sleep(chance.uniform(0.2, 3))
        victim.kill()
        victim.wait()
        disk.forget_writes()
        _unmount(_MOUNTED)
        disk.pass_on()
        _mount_disk(disk.path)


def _mapped() -> Mapper:
    disk = Mapper(_DISK, "under-test")
    disk.begin()
    _wait_for(disk.path)
    _mount_disk(disk.path)
    return disk


def _writer(chance: random.Random) -> tuple[str, ...]:
    return ("-m", "tests.proofs.vm.writer", str(_SPOOL), str(chance.getrandbits(32)))


_WATCHER = ("-m", "tests.proofs.vm.watcher", str(_RUNTIME), str(_SPOOL))
_AGENT = ("-m", "edge_agent", "run", "--config", str(_CONFIG))
_PLAYS: Mapping[str, Callable[[random.Random], None]] = {
    "writes": _writes,
    "runs": _runs,
    "dark": _dark,
    "fails": _fails,
    "falters": _falters,
    "timed": _timed,
}


def _start(*command: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, *command], cwd="/tree")


def _mount(source: str, where: str, kind: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), where.encode(), kind.encode(), 0, None) != 0:
        raise OSError(ctypes.get_errno(), f"cannot mount {source}", where)


def _mount_disk(disk: Path) -> None:
    _mount(str(disk), str(_MOUNTED), "ext4")
    say("mounted")


def _unmount(where: Path) -> None:
    """Unmount it as soon as nobody has a file of it open: the watcher may be reading one."""
    libc = ctypes.CDLL(None, use_errno=True)
    while libc.umount2(os.fsencode(where), 0) != 0:
        if ctypes.get_errno() != errno.EBUSY:
            raise OSError(ctypes.get_errno(), "cannot unmount", str(where))
        time.sleep(0.01)


def _segments() -> set[Path]:
    return set(_SPOOL.glob("*/*.seg"))


def _wait_for_more_than(there: set[Path]) -> None:
    """Wait until whoever was started writes."""
    while _segments() <= there:
        time.sleep(0.05)


def _wait_for(path: Path) -> None:
    """Wait until the kernel made a device."""
    while not path.exists():
        time.sleep(0.01)
