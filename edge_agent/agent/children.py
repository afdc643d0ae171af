"""Commands: programs that run on beside the agent and write what they know, a line a beat.

Invariants: asking never waits: a thread of each program reads its lines, and only the newest is kept. At most one
process of a name: one that hangs in a driver and cannot be killed is never given a second beside it. It is killed, with
what it began, at `end`, and when whoever asks ends; after that none is begun. By `kill -9`, or another signal that
nobody takes, it dies of its broken pipe at its next line, or of the end of its input where it looks at that, as our own
do; a foreign one that is silent and deaf remains. One of another user, which cannot be killed, dies of these too.

The thread looks at its program at each line, and at least once a second. A line is as old as the last moment at which
nothing was to be read before it: what lay unread while the agent was stopped is not fresh. What a program says after
other words were offered is dropped. It is left, and killed with all of its group, when it

- has ended (also where what it began in a session of its own still holds its output),
- wrote nothing for long, or nobody asked for it for long: both at several looks in a row, since a machine that slept
  was not silent for so long. Who asks rarely keeps it: a few times the greatest of the last gaps between two askings,
- wrote more than any source of ours by far.

It is begun again when it is asked next, not before 1 s, then 2, up to 50; one that had lived for a minute, at once. It
gets an environment of a search path and nothing else, no terminal, and a session of its own.

Under the shipped unit a program shares the agent's limits. Its memory counts against MemoryMax, so it asks the kernel
to be the one that is killed when that runs short (`oom_score_adj`; with `OOMPolicy=continue` the agent then runs on,
and begins it again later). It gains no privileges (NoNewPrivileges, no capabilities): `sudo` fails in it. What root
alone is told must come from a service of root's own, by a pipe that the program here reads.

On a recorded machine `nvml` says what is in `nvml.json`, and another one the last line of `commands/<name>.out`.

Not handled: what a program writes to its standard error; limits of one program's own; what it began in a session of
that one's own, which is left alone; one that is never still for some ms, whose lines are never fresh.
"""

import errno
import os
import select
import signal
import subprocess
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edge_agent.kit.hostfile import HostFile
from edge_agent.model.ports import Host, Said

_ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
_LONGEST_LINE = 64 * 1024
_MOST_READ = 512 * 1024
"""Bytes of a beat (of a second, if that is more): a full pipe of a program that reads another one's, too."""
_LOOK = 1.0
"""Seconds between two looks at a program that says nothing."""
_STILL = 20
"""Ms without anything to read after which whoever waited for room in the pipe has written."""
_LOOKS = 5
"""Looks in a row after which a silent or unasked one is left, and one more for each second of its beat."""
_FRESH_BEATS, _FRESH_MORE = 3, 2000
"""A line is fresh for so many beats, and so many ms more."""
_SILENT_BEATS, _SILENT = 10, 60_000
"""A program that wrote nothing for so many beats, and for so many ms, is killed."""
_FIRST_WAIT, _LONGEST_WAIT, _LIVED = 1000, 50_000, 60_000
"""Ms between an end and the next beginning: what came back is heard within a minute, its start included."""
_UNASKED, _UNASKED_GAPS = 60_000, 3
"""Ms after which a program that nobody asks is ended; a few times the greatest gap between askings if that is more."""
_ONE_BEAT, _GAPS = 1000, 8
"""Askings within so many ms are one: several collectors ask at once. And how many gaps are looked back at."""
_LAST_WAIT = 1.0
"""Seconds that an end waits for one that is just being begun: one on a dead server's disk may never be."""


_Failure = tuple[int, str]


def _errno(number: int) -> _Failure:
    return number, os.strerror(number)


_NOTHING_YET, _NO_WORD = _errno(errno.EAGAIN), _errno(errno.ECHILD)
"""Before the first line; and when it ended without any."""


class _Offer(NamedTuple):
    argv: tuple[str, ...]
    every: float


class _Lines:
    """Bytes as lines; one that is too long is none."""

    def __init__(self) -> None:
        self._rest = b""

    def newest(self, data: bytes) -> bytes | None:
        """The newest whole line that is not empty, of these bytes and what was left of those before."""
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:_LONGEST_LINE]
        return next((line + b"\n" for line in reversed(whole) if line.strip() and len(line) < _LONGEST_LINE), None)


class _Program:
    """One name: its process while it has one, and what it said last. Asked under its lock, read by its own thread."""

    def __init__(self, name: str, offer: _Offer, now: Callable[[], int], over: threading.Event, look: float) -> None:
        self._name, self._offer, self._now, self._over, self._look = name, offer, now, over, look
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unwanted: subprocess.Popen[bytes] | None = None
        self._said: tuple[bytes, int] | None = None
        self._began = self._asked = now()
        self._gaps: deque[int] = deque([0], _GAPS)
        self._patience = _UNASKED
        self._wait = 0
        self._failure = _NOTHING_YET

    def offer(self, offer: _Offer) -> None:
        """Other words than before end what runs, and what it said is nobody's any more."""
        with self._lock:
            if offer == self._offer:
                return
            self._offer, self._said, self._failure = offer, None, _NOTHING_YET
            process = self._unwanted = self._process
            if process is not None:
                _kill(process)

    def last(self) -> Said:
        """Begin it if it is time to, and tell the newest line."""
        with self._lock:
            now = self._now()
            if now - self._asked > _ONE_BEAT:
                self._gaps.append(now - self._asked)
                self._patience = max(_UNASKED, _UNASKED_GAPS * max(self._gaps))
            self._asked = now
            if self._process is None and not self._over.is_set() and now - self._began >= self._wait:
                self._begin(now)
            said, every = self._said, self._offer.every
        if said is None:
            raise OSError(*self._failure)
        line, at = said
        return Said(line, now - at <= _FRESH_BEATS * 1000 * every + _FRESH_MORE)

    def end(self) -> None:
        """Kill it, also when it is just being begun."""
        is_ours = self._lock.acquire(timeout=_LAST_WAIT)
        if self._process is not None:
            _kill(self._process)
        if is_ours:
            self._lock.release()

    def _begin(self, now: int) -> None:
        self._began = now
        self._wait = min(max(_FIRST_WAIT, 2 * self._wait), _LONGEST_WAIT)
        try:
            process = subprocess.Popen(  # noqa: S603 - the words of the offer, and no shell
                self._offer.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: words that no program can be given
            self._failure = _errno(getattr(error, "errno", None) or errno.EINVAL)
            return
        if self._failure is not _NO_WORD:
            self._failure = _NOTHING_YET
        _give_up_first(process)
        self._process = process
        hearing = threading.Thread(
            target=self._hear, args=(process, self._offer.every), name=f"command.{self._name}", daemon=True
        )
        try:
            hearing.start()
        except RuntimeError:  # no thread can be had now: nobody would hear it
            self._leave(process)
            self._process = None

    def _hear(self, process: "subprocess.Popen[bytes]", every: float) -> None:
        """Keep the newest line until the program ends; runs in its own thread."""
        try:
            self._listen(process, every)
        finally:
            self._leave(process)
            with self._lock:
                now = self._now()
                self._process = None
                if now - self._began >= _LIVED:
                    self._wait = 0
                self._began = now
                if process is not self._unwanted:
                    self._failure = _NO_WORD

    def _leave(self, process: "subprocess.Popen[bytes]") -> None:
        """Take leave of it: it is killed, or ends of its broken pipe."""
        _kill(process)
        if process.stdout is not None:
            process.stdout.close()
        process.wait()

    def _listen(self, process: "subprocess.Popen[bytes]", every: float) -> None:
        """Read until it has ended or is to be left."""
        assert process.stdout is not None, "it was begun with a pipe"
        pipe, ready, lines = process.stdout.fileno(), select.poll(), _Lines()
        ready.register(pipe, select.POLLIN)
        still = heard = window = self._now()
        read = tired = 0
        line = None
        while process is not self._unwanted and tired <= _LOOKS + every and read <= _MOST_READ:
            at, has_ended = self._now(), _has_ended(process)
            heard, line = at if line else heard, None
            silent = at - heard > max(_SILENT, _SILENT_BEATS * 1000 * every)
            tired = tired + 1 if silent or at - self._asked > self._patience else 0
            if not ready.poll(_STILL):
                still = at
                if has_ended:
                    return
                if not ready.poll(round(self._look * 1000)):
                    continue
            data = os.read(pipe, _LONGEST_LINE)
            if not data:
                return
            if at - window >= 1000 * max(1, every):
                window, read = at, 0
            read += len(data)
            line = lines.newest(data)
            with self._lock:
                if line is not None and process is not self._unwanted:
                    self._said = (line, still)


class Children:
    """`model.ports.Commands` on the live machine."""

    def __init__(self, now: Callable[[], int], look: float = _LOOK) -> None:
        """`now` tells ms on the axis; `look` is in seconds."""
        self._now, self._look = now, look
        self._programs: dict[str, _Program] = {}
        self._over = threading.Event()
        weakref.finalize(self, _end, self._over, self._programs)  # also called at the exit

    def offer(self, name: str, argv: Sequence[str], every: float) -> None:
        """How this source is run; other words end what runs, and the next asking begins it anew."""
        offer = _Offer(tuple(argv), every)
        if name in self._programs:
            self._programs[name].offer(offer)
        else:
            self._programs[name] = _Program(name, offer, self._now, self._over, self._look)

    def last(self, name: str) -> Said:
        """What it said last."""
        program = self._programs.get(name)
        if program is None:
            raise FileNotFoundError(errno.ENOENT, "nobody offered it")
        return program.last()

    def end(self) -> None:
        """Kill all that run, and begin none any more."""
        _end(self._over, self._programs)


class Recorded:
    """`model.ports.Commands` of a recorded machine: what was said is all that will be."""

    def __init__(self, root: Path) -> None:
        self._host = Host(root, live=False)

    def offer(self, name: str, argv: Sequence[str], every: float) -> None:
        """Nothing is begun here."""

    def last(self, name: str) -> Said:
        """What was recorded."""
        if name == "nvml":
            return Said(HostFile(self._host, "nvml.json").read(), fresh=True)
        lines = HostFile(self._host, f"commands/{name}.out").read().split(b"\n")
        said = [line for line in lines if line.strip()]
        if not said:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return Said(said[-1], fresh=True)

    def end(self) -> None:
        """Nothing runs."""


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill it with what it began, and close its input: one of another user cannot be killed, and ends of its pipes."""
    if process.returncode is None:  # nobody took its end yet, so its number is nobody else's
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether it is over; its end is left to be taken, so that its group still has its number."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody took it
        return True


def _give_up_first(process: "subprocess.Popen[bytes]") -> None:
    """Have the kernel end it before the agent where memory runs short."""
    with suppress(OSError):  # another user's
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000", encoding="ascii")


def _end(over: threading.Event, programs: Mapping[str, _Program]) -> None:
    over.set()
    for program in list(programs.values()):
        program.end()
