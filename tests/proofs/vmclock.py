"""A virtual machine whose clock goes wrong: it is set, slewed and told what to believe, or it stands still as a whole.

The guest runs a real agent (`vm.timed`), and reaches the hub on this machine through QEMU's own network. It was born in
2016, as a board whose battery is empty. Its clock is set through a line of its own; the whole machine is stopped, and
goes on, through QEMU's monitor: its kernel does not know then that time went by.

The machine is slow: a beat each half second, and its collector may answer a second late.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.proofs import beats
from tests.proofs.powercut import lacks as lacks_a_machine
from tests.proofs.real import OFF, PATIENCE
from tests.proofs.real_stage import Stage, watchdog_seconds
from tests.proofs.real_time import Scene, Witness, wall
from tests.proofs.vm.timed import FILES, HOST
from tests.proofs.vmbuild import build
from tests.proofs.vmdisk import Disk
from tests.proofs.vmhost import Machine
from tests.proofs.vmimage import new_image
from tests.system.program import stored_batches
from tests.system.until import until

PAUSES = (3.0, 20.0, 1.0, 45.0, 8.0)
"""Seconds for which the machine stands still; the fourth time there is no hub."""
_AWAY = 3
_DAYS = (-3, 30, -400, 3650, -1)
SETTINGS = len(_DAYS) + 5
"""It is born wrong, set right, set wrong without a hub, then so often with one, and slewed twice."""
_SLEWS = (11_000, 9_000)
"""Microseconds that the clock goes on in 10,000: 100,000 ppm, both ways."""
_DAY_MS = 86_400_000
_PERIOD = 500
_LAG = 1_500
"""Ms that a collector may take to answer in so slow a machine."""
_BOOT = 150.0
_BOOTS = 3
"""So often a machine is tried that does not come up, as one without acceleration now and then does not."""
_AT_WORK = 3
_KEPT = 0
"""Microseconds that the kernel of the guest is told its error is, as some daemons do after each poll."""
_CARD = ("-nic", "user,ipv6=off,model=virtio-net-pci", "-rtc", "base=2016-02-29T12:00:00")


def lacks() -> str:
    """Why no machine can be made here."""
    return lacks_a_machine()


class Guest:
    """A machine with an agent in it. Asked by several threads."""

    def __init__(self, stage: Stage, machine: Machine, line: socket.socket, monitor: Path) -> None:
        self._stage, self._machine, self._monitor = stage, machine, monitor
        self._line = line
        self._file = line.makefile("rwb")
        self._one_at_a_time = threading.Lock()

    def ask(self, request: str) -> tuple[int, ...]:
        """What the guest answers (`vm.timed`). OSError when it is gone."""
        with self._one_at_a_time:
            self._file.write(request.encode() + b"\n")
            self._file.flush()
            answer = self._file.readline()
        if not answer:
            raise OSError(f"the guest is gone: {' / '.join(self._machine.told[-8:])}")
        return tuple(map(int, answer.split()))

    def count(self) -> int:
        """How many beats were given so far."""
        return self.ask("count")[0]

    def expect_beats(self, more: int, when: str) -> None:
        """Wait until it has given so many more."""
        enough = self.count() + more
        self._expect(f"it samples {when}", lambda: self.count() >= enough)

    def expect_arrival(self, when: str) -> None:
        """Wait until what was given by now is at the hub."""
        self.expect_beats(3, when)
        self._expect(f"all arrives {when}", self._stage.device.is_all_but_quiet)

    def stand_still(self, seconds: float) -> None:
        """Let the whole machine stand still for so long."""
        with self._one_at_a_time, socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self._monitor))
            monitor.settimeout(PATIENCE)
            for word, wait in (("stop", seconds), ("cont", 0.0)):
                monitor.sendall(word.encode() + b"\n")
                said = b""
                while word.encode() not in said or not said.endswith(b"(qemu) "):
                    said += monitor.recv(4096)
                time.sleep(wait)

    def expect_sample(self, *, synchronised: bool) -> None:
        """See what `sample` tells of its times."""
        said = _AT_WORK

        def ends() -> bool:
            nonlocal said
            said = self.ask("sample")[0]
            return said != _AT_WORK

        self._expect("`sample` ends", ends)
        if said != int(synchronised):
            told = " / ".join(self._machine.told[-8:])
            self._stage.account.wrong.append(
                f"`sample` says {said} where the kernel is synchronised: {synchronised}: {told}"
            )

    def end(self) -> None:
        """Stop the agent, and see what its watchdog heard."""
        signs = self.ask("watch")[0]
        self._expect("the watchdog hears of it", lambda: self.ask("watch")[0] > signs)
        signs, silence, lives = self.ask("watch")
        if not lives:
            self._stage.account.wrong.append(f"the agent ended by itself: {' / '.join(self._machine.told[-8:])}")
        if silence > 1000 * watchdog_seconds():
            self._stage.account.wrong.append(
                f"the watchdog heard nothing for {silence} ms, and would have restarted it"
            )
        if (code := self.ask("stop")[0]) != 0:
            self._stage.account.wrong.append(f"the agent stopped with {code}: {' / '.join(self._machine.told[-8:])}")

    def _expect(self, what: str, condition: Callable[[], object]) -> None:
        try:
            until(condition, within=PATIENCE)
        except AssertionError as error:
            self._stage.account.wrong.append(f"not seen: {what}: {error}")


def set_by_days(stage: Stage) -> Scene:
    """See `realclocks`."""

    def play(guest: Guest) -> None:
        guest.expect_beats(20, "without a hub")
        guest.expect_sample(synchronised=False)
        guest.ask(f"set {wall()}")
        for _ in range(2):  # the kernel's word holds from poll to poll
            guest.ask(f"keep {_KEPT}")
            guest.expect_beats(40, "while its kernel is synchronised")
        guest.expect_sample(synchronised=True)
        guest.ask(f"move {10 * _DAY_MS}")
        guest.expect_beats(20, "after its clock was set, without a hub")
        came.append(wall())
        stage.let_hub_come()
        guest.expect_arrival("once the hub is there")
        for days in _DAYS:
            guest.ask(f"move {days * _DAY_MS}")
            guest.expect_arrival(f"after its clock was set by {days} days")
        for length in _SLEWS:
            guest.ask(f"tick {length}")
            guest.expect_beats(40, "while its clock is slewed")
        guest.ask("tick 10000")
        guest.expect_arrival("after its clock was slewed")

    came = list[int]()
    scene = _played(stage, play, steady=True)
    anchors = [batch.anchor for batch in stored_batches(stage.site.hub_folder, stage.device.name)]
    # What an anchor bounds before there was a hub, only the kernel can have said.
    if not any(anchor is not None and anchor.at + anchor.hi < came[0] for anchor in anchors):
        stage.account.wrong.append("no batch tells what the kernel said while it was synchronised")
    return scene


def pause(stage: Stage) -> Scene:
    """See `realclocks`."""

    def play(guest: Guest) -> None:
        stage.let_hub_come()
        guest.expect_arrival("at first")
        for number, seconds in enumerate(PAUSES):
            if number == _AWAY:
                stage.let_hub_go()
            guest.stand_still(seconds)
            guest.expect_beats(10, f"after it stood still for {seconds:g} s")
            if stage.hub is None:
                stage.let_hub_come()
            guest.expect_arrival(f"after it stood still for {seconds:g} s")
            guest.expect_arrival(f"once more after it stood still for {seconds:g} s")

    return _played(stage, play, steady=False)


def _played(stage: Stage, play: Callable[[Guest], None], *, steady: bool) -> Scene:
    stage.let_hub_come()  # so that the device has a key
    stage.let_hub_go()
    with _booted(stage) as guest:
        with Witness(guest.count) as witness:
            play(guest)
            guest.end()
        given = guest.count()
    return Scene(given, witness.seen, [given], _PERIOD, _LAG, steady=steady)


@contextmanager
def _booted(stage: Stage) -> Iterator[Guest]:
    """A machine with an agent in it, from its boot to the end of its power."""
    folder = stage.site.folder
    monitor = folder / "monitor"
    besides = (*_CARD, "-monitor", f"unix:{monitor},server=on,wait=off")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        orders = f"proof.port={listening.getsockname()[1]}"
        image, archive = Disk(new_image(folder)), build(folder, _files(stage))
        listening.settimeout(_BOOT)
        for _ in range(_BOOTS):
            with Machine(archive, image, "timed", 1, orders, besides) as machine, _served(machine):
                try:
                    line, _address = listening.accept()
                except TimeoutError:
                    continue
                with line:
                    line.settimeout(PATIENCE)
                    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    yield Guest(stage, machine, line, monitor)
                return
        raise OSError(f"the guest does not come up: {' / '.join(machine.told[-8:])}")


@contextmanager
def _served(machine: Machine) -> Iterator[None]:
    """Serve the machine's disk and console in a thread."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            machine.live(0.2)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _files(stage: Stage) -> Mapping[str, bytes]:
    """What the guest has of its own."""
    device = stage.device
    off = "".join(f'[collectors."{name}"]\nenabled = false\n' for name in OFF)
    config = f"""\
[device]
id = "{device.name}"
[hub]
url = "http://{HOST}:{device.hub_port}"
key_file = "{FILES / "key"}"
allow_plain_http = true
[state]
folder = "/mnt/state"
runtime = "/run/open"
[seal]
every = 2.0
[spool]
min_free_bytes = 0
min_free_inodes = 0
[push]
backoff_most = 2.0
[local]
enabled = false
[log]
level = "error"
{off}[collectors."{beats.NAME}"]
file = "{FILES / "beats"}"
interval = {_PERIOD / 1000}
"""
    return {
        str(FILES / "agent.toml"): config.encode(),
        str(FILES / "key"): device.key_file.read_bytes(),
        str(FILES / "beats"): bytes(8),
    }
