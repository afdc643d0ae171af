"""Ports: the only ways to the clock, chance, the disk, threads, the machine and the network.

Given, never found: constructors take these, and a seeded simulation gives others, so that the same code runs in
virtual time with no socket and no thread. Real ones are in `kit` and `link`, simulated ones in `tests/sim`.

Blocking calls (disk, collectors) are plain functions; whoever must not wait hands them to a `Worker`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, ParamSpec, Protocol, TypeVar

from edge_agent.model.anchor import Anchor
from edge_agent.model.http import Answer, Request, Unreachable

P = ParamSpec("P")
T = TypeVar("T")


class WallError(NamedTuple):
    """How far off a wall clock may be, and since when that is vouched for."""

    most: int
    """Ms by which it may be off, either way, if the machine did not stand still since."""
    told_at: int
    """Axis ms at or after which some daemon set it or found it right last."""


class Clock(Protocol):
    """Time as the device has it (`anchor` says what the axis is)."""

    @property
    def axis(self) -> str:
        """The name of the axis: boot, time namespace and what was slept before."""

    def now(self) -> int:
        """Milliseconds on the axis."""

    def wall(self) -> int:
        """The machine's wall clock in Unix ms; a measurement only within what `wall_error` says."""

    def wall_error(self) -> WallError | None:
        """How far off `wall` may be, as the kernel has it; None when it does not know, or must not be asked."""

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""

    async def sleep_until(self, at: int) -> None:
        """Wait until this axis time; at once when it is past."""


class Chance(Protocol):
    """Randomness; `random.Random` is one."""

    def random(self) -> float:
        """A float in [0, 1)."""

    def getrandbits(self, k: int, /) -> int:
        """A whole number of so many random bits."""

    def randbytes(self, n: int) -> bytes:
        """So many random bytes."""


class Entry(NamedTuple):
    """One name in a folder; `size` in bytes, None when it is not a plain file."""

    name: str
    size: int | None


class Space(NamedTuple):
    """What a file system has left for this user."""

    bytes: int
    inodes: int


class OpenFile(Protocol):
    """A file open for appending. After any OSError it must be closed and not used again."""

    def append(self, data: bytes) -> None:
        """Write all of it at the end, or raise OSError."""

    def sync(self) -> None:
        """Fdatasync."""

    def close(self, size: int | None = None) -> None:
        """Close, cut to `size` first when given; never raises for a file that already failed."""


class Disk(Protocol):
    """The calls by which the agent touches disks; every failure is an OSError with its errno."""

    def entries(self, folder: Path) -> list[Entry]:
        """The names in a folder, sorted; empty when it does not exist."""

    def make_folder(self, folder: Path) -> None:
        """Make it and its parents (mode 0700), each synced into its parent; nothing when it stands."""

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        """So many bytes from an offset, fewer at the end."""

    def create(self, path: Path, room: int = 0) -> OpenFile:
        """A new file (mode 0600); FileExistsError when the name is taken.

        `room` bytes are set aside for it if the disk can; its size stays 0, and `close(size)` gives back the rest.
        """

    def replace(self, path: Path, data: bytes) -> None:
        """Whole new content, atomically: a crash leaves the old or the new, synced. Mode 0600."""

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        """Write over bytes that the file has, and sync: needs no new space. OSError EINVAL where it has none."""

    def move(self, path: Path, to: Path) -> None:
        """Rename within one file system."""

    def unlink(self, path: Path) -> None:
        """Remove a file; nothing when it is gone already."""

    def sync_folder(self, folder: Path) -> None:
        """Fsync of a folder: the names in it are durable."""

    def space(self, folder: Path) -> Space:
        """What is left where this folder is."""

    def lock(self, path: Path) -> OpenFile | None:
        """An exclusive flock on a file, held until it is closed; None when another process holds it."""


class Worker(Protocol):
    """One thread for one kind of blocking work: calls run one at a time, in order."""

    @property
    def stuck(self) -> bool:
        """A call that its caller gave up on has not returned yet."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it there and wait. When the wait is cancelled the call runs on and its result is dropped."""


class Offload(Protocol):
    """Where workers come from. Their threads never hold the process's exit."""

    def worker(self, name: str) -> Worker:
        """A new worker; the name is shown in thread lists."""

    def release(self, worker: Worker) -> None:
        """Let a worker's thread end once it is idle."""


class Said(NamedTuple):
    """The last line that a command wrote; `fresh` when it is no older than a few of its beats."""

    line: bytes
    fresh: bool


class Commands(Protocol):
    """Sources that are no files: programs that run on beside this process, and write what they know a line a beat.

    None of it ever waits, so a driver that hangs holds the program and nothing else. A program runs only while it is
    asked; one that ended is begun again at a later asking, ever more rarely.
    """

    def offer(self, name: str, argv: Sequence[str], every: float) -> None:
        """How this source is run, and its beat in seconds; begins nothing. Other words than before replace it."""

    def last(self, name: str) -> Said:
        """What it said last; begins it if need be.

        OSError ENOENT when nobody offered it or there is no such program, EAGAIN before its first line, ECHILD when it
        ended without one, and what else kept it from beginning.
        """

    def end(self) -> None:
        """Kill all that run, and begin none any more."""


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that is read. Files are read below `root`; what is not a file only when it is `live`.

    `claimed` are the hwmon chips, by their `name`, that an enabled collector owns: the generic one leaves them alone;
    and the commands whose collector is enabled: others may ask these.
    `errors` makes reading a file fail, by its path below the root and its errno: what a recorded tree cannot hold.
    """

    root: Path
    live: bool
    claimed: frozenset[str] = frozenset()
    errors: Mapping[str, int] = field(default_factory=dict, compare=False)
    commands: Commands | None = field(default=None, compare=False)


class Stream(Protocol):
    """An answer whose body is still coming. When the status is not 200 `answer.body` is whole, else it is empty."""

    @property
    def answer(self) -> Answer:
        """Status and headers."""

    async def read(self) -> bytes:
        """The next bytes as they come; b"" at the end, also when the line breaks or stays idle too long."""


class Link(Protocol):
    """The way to one origin: adds the key, follows no redirect, bounds answers, maps foreign errors once."""

    async def exchange(self, request: Request) -> Answer | Unreachable:
        """Ask, and read the answer whole."""

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream | Unreachable]:
        """Ask, and keep the body coming."""


class TrueTime(Protocol):
    """What is known about true time (`link.timekeeper`): learnt from every answer's stamps."""

    def observe(self, answer: Answer) -> None:
        """Learn from one answer."""

    def anchor(self) -> Anchor | None:
        """A claim about one instant, true whatever the axis did later, to ride in a batch; None before the first."""

    def now(self) -> int | None:
        """True time in Unix ms as it is estimated, be it a guess; None before the first answer."""

    def turn(self) -> int:
        """Axis ms until which a request is better put off, less than a second; now where any moment is as good."""
