"""A real agent in the guest, whose clock the host sets: one request a line, on a connection that the guest makes.

    count           how many beats were given so far
    move <ms>       the wall clock is set by so much, by `date --set`
    set <ms>        the wall clock is set to this Unix time, at once, as a time daemon does
    keep <us>       as a time daemon does: the kernel is told that it is synchronised, within so much
    sample          1 if `edge-agent sample` tells how far off its times may be, 0 if it calls them unsynchronised; 3 at
                    first, and until it has said so
    tick <us>       slewing: the wall clock and CLOCK_MONOTONIC go on by so much each 10,000 us
    watch           signs of life so far, the longest time between two of them in ms, and 1 if the agent lives
    stop            the agent is told to stop; its exit code

The answer is a line of numbers. The agent's files are where the host has them, below its folder; its state is on the
disk. The network is the one card that the machine has, and what is beyond the host cannot be reached.
"""

import ctypes
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from fcntl import ioctl
from pathlib import Path

HOST, GUEST = "10.0.2.2", "10.0.2.15"
"""As QEMU has them."""
FILES = Path("/device")
"""Where the guest finds `agent.toml`, `key` and `beats`."""
DATE = Path("/bin/date")
"""The one program of the guest that is not Python."""
_NOTIFY = Path("/run/notify")
_TOLD = Path("/run/sample")
_CARD, _MASK = "eth0", "255.255.255.0"
_SET_FLAGS, _SET_ADDRESS, _SET_MASK = 0x8914, 0x8916, 0x891C
_UP = 1
_TIMEX = struct.Struct("@I4li6l")
"""The head of `struct timex`: modes, offset, freq, maxerror, esterror, status, constant, precision, tolerance, the time
of day, tick."""
_TIMEX_ROOM = 256
_MAXERROR, _ESTERROR, _STATUS, _TICK = 0x0004, 0x0008, 0x0010, 0x4000
_PLL = 1


def obey(port: int) -> None:
    """Join the network, start the agent, and do what the host says until it hangs up."""
    socket.sethostname("board")
    _join()
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(_NOTIFY))
    with socket.create_connection((HOST, port)) as host:
        host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        agent = subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "run", "--config", str(FILES / "agent.toml")],
            cwd="/tree",
            env={**os.environ, "NOTIFY_SOCKET": str(_NOTIFY)},
        )
        player = _Player(agent)
        heard = b""
        while True:
            ready, _, _ = select.select([host, manager], [], [])
            if manager in ready:
                player.hear(manager.recv(4096))
            if host in ready:
                piece = host.recv(4096)
                if not piece:
                    return
                *lines, heard = (heard + piece).split(b"\n")
                for line in lines:
                    word, *numbers = line.decode().split()
                    answer = getattr(player, word)(*map(int, numbers))
                    host.sendall(" ".join(map(str, answer)).encode() + b"\n")


class _Player:
    """Does what is asked; each request is a method."""

    def __init__(self, agent: "subprocess.Popen[bytes]") -> None:
        self._agent = agent
        self._signs: list[float] = []
        self._longest = 0.0
        self._sampling: subprocess.Popen[bytes] | None = None

    def hear(self, message: bytes) -> None:
        """Take what the agent told its service manager."""
        if b"WATCHDOG=1" in message:
            self._signs.append(time.monotonic())
            if len(self._signs) > 1:
                self._longest = max(self._longest, self._signs[-1] - self._signs[-2])

    def count(self) -> tuple[int, ...]:
        """How many beats were given so far."""
        return (int.from_bytes((FILES / "beats").read_bytes(), "little"),)

    def move(self, by: int) -> tuple[int, ...]:
        """Set the wall clock by so many ms, as somebody at a shell does."""
        to = time.time_ns() // 1_000_000 + by
        subprocess.run([str(DATE), "--utc", f"--set=@{to / 1000:.3f}"], check=True, stdout=subprocess.DEVNULL)
        return (0,)

    def set(self, to: int) -> tuple[int, ...]:
        """Set the wall clock to this Unix ms."""
        time.clock_settime_ns(time.CLOCK_REALTIME, to * 1_000_000)
        return (0,)

    def keep(self, within: int) -> tuple[int, ...]:
        """Tell the kernel that it is synchronised, within so many microseconds; what it calls its state."""
        return _adjtimex(_STATUS | _MAXERROR | _ESTERROR, maxerror=within, esterror=within, status=_PLL)

    def sample(self) -> tuple[int, ...]:
        """Whether `edge-agent sample` tells an error of its times; 2 if it says neither, 3 while it is at work."""
        if self._sampling is None:
            command = [sys.executable, "-m", "edge_agent", "sample", "--once"]
            self._sampling = subprocess.Popen(command, cwd="/tree", stdout=_TOLD.open("wb"))
        if self._sampling.poll() is None:
            return (3,)
        self._sampling = None
        told = _TOLD.read_text(encoding="utf-8")
        if ("±" in told) == ("unsynchronised" in told):
            return (2,)
        return (int("±" in told),)

    def tick(self, length: int) -> tuple[int, ...]:
        """Let the clock go on by so many microseconds each tick."""
        return _adjtimex(_TICK, tick=length)

    def watch(self) -> tuple[int, ...]:
        """Signs of life, the longest silence in ms up to now, and whether the agent lives."""
        silence = time.monotonic() - self._signs[-1] if self._signs else 0.0
        return len(self._signs), round(1000 * max(self._longest, silence)), int(self._agent.poll() is None)

    def stop(self) -> tuple[int, ...]:
        """Stop the agent; its exit code."""
        self._agent.send_signal(signal.SIGTERM)
        return (self._agent.wait(),)


def _adjtimex(modes: int, *, maxerror: int = 0, esterror: int = 0, status: int = 0, tick: int = 0) -> tuple[int, ...]:
    room = ctypes.create_string_buffer(_TIMEX_ROOM)
    _TIMEX.pack_into(room, 0, modes, 0, 0, maxerror, esterror, status, 0, 0, 0, 0, 0, tick)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(room)
    if state < 0:
        raise OSError(ctypes.get_errno(), "the kernel does not let its clock be adjusted")
    return (state,)


def _join() -> None:
    """Bring up the card, and the loopback."""
    while not Path("/sys/class/net", _CARD).exists():
        time.sleep(0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        for request, address in ((_SET_ADDRESS, GUEST), (_SET_MASK, _MASK)):
            ioctl(way, request, struct.pack("16sHH4s8x", _CARD.encode(), socket.AF_INET, 0, socket.inet_aton(address)))
        for card in ("lo", _CARD):
            ioctl(way, _SET_FLAGS, struct.pack("16sH14x", card.encode(), _UP))
