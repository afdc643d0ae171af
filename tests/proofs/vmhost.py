"""The virtual machine, as the host has it: QEMU without acceleration, its disk and its console in this process.

One thread serves both while `hear` waits. What stands on the console is noted in the disk's log before any request
that came after it is answered, so a mark never stands later than it was said. Leaving the block kills the machine (-9),
which is its power cut.

The guest says no more than its console and its disk: it has no network unless it is given one, and no other file of
this machine.
"""

import os
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.proofs.vmbuild import Guest
from tests.proofs.vmdisk import Disk, Port

PROGRAM = "qemu-system-x86_64"
NO_NETWORK = ("-nic", "none")
_MEMORY = 640
_CHUNK = 2**18


class Machine:
    """A machine on a disk. `play`, `seed` and `orders` are what the guest is told to do (`vm.first`).

    `besides` are QEMU's words for what the machine has besides its disk and console.
    """

    def __init__(
        self, guest: Guest, disk: Disk, play: str, seed: int, orders: str = "", besides: Sequence[str] = NO_NETWORK
    ) -> None:
        self._guest = guest
        self._disk = disk
        self._orders = f"proof.play={play} proof.seed={seed} {orders}"
        self._besides = besides
        self._port = Port(disk)
        self._said = bytearray()
        self._lines: list[str] = []
        self.told: list[str] = []
        """Everything that it said, for whoever must find out why it does not go on."""

    def __enter__(self) -> "Machine":  # noqa: PYI034 - typing has no Self on 3.10
        self._folder = tempfile.TemporaryDirectory(prefix="edge-vm-")
        where = Path(self._folder.name) / "disk"
        self._waiting = socket.socket(socket.AF_UNIX)
        self._waiting.bind(str(where))
        self._waiting.listen(1)
        self._qemu = subprocess.Popen(
            self._command(where), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._qemu.stdout is not None
        self._console = self._qemu.stdout.fileno()
        os.set_blocking(self._console, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._console, selectors.EVENT_READ)
        self._selector.register(self._waiting, selectors.EVENT_READ)
        self._client: socket.socket | None = None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._qemu.send_signal(signal.SIGKILL)
        self._qemu.wait()
        while self._listen():
            pass  # what it said before the cut was said
        assert self._qemu.stdout is not None
        self._qemu.stdout.close()
        self._selector.close()
        self._waiting.close()
        if self._client is not None:
            self._client.close()
        self._folder.cleanup()

    def hear(self, within: float) -> str | None:
        """The next line of the guest; None when it said nothing for so many seconds, or is gone."""
        deadline = time.monotonic() + within
        while not self._lines:
            left = deadline - time.monotonic()
            if left <= 0 or self._qemu.poll() is not None:
                return None
            self._turn(left)
        return self._lines.pop(0)

    def hear_of(self, word: str, within: float) -> bool:
        """Wait for a line that begins with this word; whether it came."""
        deadline = time.monotonic() + within
        while (line := self.hear(deadline - time.monotonic())) is not None:
            if line.split(" ", 1)[0] == word:
                return True
        return False

    def live(self, seconds: float) -> None:
        """Let it live for so long, whatever it says."""
        deadline = time.monotonic() + seconds
        while self.hear(deadline - time.monotonic()) is not None:
            pass

    def _command(self, where: Path) -> list[str]:
        machine = f"-M q35 -accel tcg -cpu max -smp 1 -m {_MEMORY} -display none -nodefaults -no-reboot"
        node = f"driver=nbd,server.type=unix,server.path={where},node-name=under-test"
        console = "console=ttyS0 panic=-1 quiet loglevel=0 mitigations=off"
        return [
            *(PROGRAM, *machine.split(), *self._besides, "-serial", "stdio"),
            *("-kernel", str(self._guest.kernel), "-initrd", str(self._guest.archive)),
            *("-append", f"{console} {self._orders}"),
            *("-blockdev", node, "-device", "virtio-blk-pci,drive=under-test,write-cache=on"),
        ]

    def _turn(self, within: float) -> None:
        """Serve what is asked: first all that the console holds, then one piece of what the disk is asked."""
        ready = {key.fileobj for key, _events in self._selector.select(within)}
        while self._listen():
            pass
        if self._waiting in ready:
            self._client, _address = self._waiting.accept()
            self._client.sendall(self._port.greeting())
            self._selector.unregister(self._waiting)
            self._selector.register(self._client, selectors.EVENT_READ)
        elif self._client in ready:
            assert self._client is not None
            heard = self._client.recv(_CHUNK)
            while self._listen():
                pass  # it was said before what was just received could be answered
            if not heard or not self._answer(self._client, self._port.take(heard)):
                self._selector.unregister(self._client)
                self._client.close()

    def _answer(self, client: socket.socket, answer: bytes) -> bool:
        """Give an answer of the disk; False when the machine has gone meanwhile."""
        try:
            client.sendall(answer)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def _listen(self) -> bool:
        """Take what stands on the console; whether there was something."""
        try:
            heard = os.read(self._console, _CHUNK)
        except BlockingIOError:
            return False
        self._said += heard
        *whole, rest = self._said.split(b"\n")
        self._said = bytearray(rest)
        for line in whole:
            text = line.decode(errors="replace").strip("\r")
            self._lines.append(text)
            self.told.append(text)
            self._disk.mark(text)
        return bool(heard)
