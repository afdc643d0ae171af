"""Two network namespaces with a cable between them, and what can be wrong with that cable.

Both are held by child processes and have no name: nothing of the machine's own network is touched, and they are gone,
cable and all, once those children and whoever entered are, however this process ends.

    with two_hosts() as net:
        device.start(net.entering_device)       # a process on the device's side, 10.77.0.1
        site.hub(before=net.entering_hub)       # a process on the hub's side, 10.77.0.2
        net.break_by("loss")
        net.heal()

    loss         30 % of the packets that reach the hub are dropped, and so are those that come back
    black hole   whatever goes to the hub's port vanishes
    reset        the hub's side answers with a reset
    rate         a few kilobytes a second
    link down    the cable is unplugged at the hub's end

Loss, black hole and reset are rules of nftables, the rate is a token bucket of tc. Does not handle: running without
root.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.program import ROOT

DEVICE_HOST, HUB_HOST = "10.77.0.1", "10.77.0.2"
FAULTS = ("loss", "black hole", "reset", "rate", "link down")

_TABLE = "add table inet t; add chain inet t in {{ type filter hook input priority 0; }}; add rule inet t in {}"
_RULES = {
    "loss": "numgen random mod 100 < 30 drop",
    "black hole": "tcp dport {port} drop",
    "reset": "tcp dport {port} reject with tcp reset",
}
_RATE = ("tbf", "rate", "64kbit", "burst", "3kb", "latency", "400ms")
_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of linux/sched.h."""


@dataclass(frozen=True)
class TwoHosts:
    """The two sides, as the ids of the processes that hold them."""

    device: int
    hub: int

    @property
    def entering_device(self) -> Sequence[str]:
        """A command that turns into a process on the device's side."""
        return _entering(self.device)

    @property
    def entering_hub(self) -> Sequence[str]:
        """A command that turns into a process on the hub's side."""
        return _entering(self.hub)

    @contextmanager
    def at_hub(self) -> Iterator[None]:
        """Sockets that this thread opens inside are on the hub's side."""
        with Path("/proc/thread-self/ns/net").open() as home, Path(f"/proc/{self.hub}/ns/net").open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def break_by(self, fault: str, port: int) -> None:
        """Let it happen."""
        if fault == "link down":
            self._at(self.hub, "ip", "link", "set", "cable", "down")
        elif fault == "rate":
            self._at(self.device, "tc", "qdisc", "replace", "dev", "cable", "root", *_RATE)
        else:
            rules = _TABLE.format(_RULES[fault].format(port=port))
            for side in (self.hub, self.device) if fault == "loss" else (self.hub,):
                self._at(side, "nft", rules)

    def heal(self) -> None:
        """Undo whatever happened."""
        for side in (self.device, self.hub):
            self._at(side, "nft", "flush ruleset")
            self._at(side, "ip", "link", "set", "cable", "up")
        self._at(self.device, "tc", "qdisc", "replace", "dev", "cable", "root", "pfifo")

    def _at(self, side: int, *command: str) -> None:
        _ran(*_entering(side), *command)


@contextmanager
def two_hosts() -> Iterator[TwoHosts]:
    """The two sides, with the cable plugged in. OSError when the machine does not let us."""
    with _network() as device, _network() as hub:
        net = TwoHosts(device, hub)
        cable = ("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(hub))
        _ran(*net.entering_device, *cable)
        for side, host in ((device, DEVICE_HOST), (hub, HUB_HOST)):
            for command in (f"addr add {host}/24 dev cable", "link set cable up", "link set lo up"):
                _ran(*_entering(side), "ip", *command.split())
        yield net


def why_no_hosts() -> str:
    """Why there can be no such pair on this machine; "" when it can be."""
    if os.getuid() != 0:
        return "not root"
    try:
        with two_hosts() as net:
            for fault in FAULTS:
                net.break_by(fault, 1)
                net.heal()
    except OSError as error:
        return str(error)
    return ""


@contextmanager
def _network() -> Iterator[int]:
    """A network namespace, as the id of the child that holds it; that ends when its standard input does."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo && exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        if not holder.stdout.readline():
            raise OSError("no network namespace can be made here")
        yield holder.pid
    finally:
        holder.stdin.close()
        holder.wait()
        holder.stdout.close()


def _entering(side: int) -> Sequence[str]:
    return ("nsenter", f"--net=/proc/{side}/ns/net", f"--wd={ROOT}", "--")


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _ran(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command[4:])}: {done.stderr.strip()}")
