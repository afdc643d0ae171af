"""The real clock: an axis that no daemon slews and that suspend does not stop.

    axis = CLOCK_MONOTONIC_RAW + (CLOCK_BOOTTIME - CLOCK_MONOTONIC) - 2 s for each suspend seen         in ms

RAW runs as the crystal does; the difference of the other two is the time spent in suspend, which changes only there.
Read one after the other they differ by the time in between, too, so the difference is kept as it is and measured again
only when it moved by more than a reading can: two calls of `now` never step back, and a thread that is put aside in the
middle of one adds nothing.

Many a kernel measures a suspend by a chip that tells whole seconds, and so up to a second too long, or two where two
suspends look like one from here. An axis that ran ahead of true time would make every earlier bound wrong; one that
stood still for a moment makes none wrong (`model.anchor`). So each suspend that this process lives through counts for
two seconds less, and never for less than nothing. What was slept before the process began counts as the kernel has it,
and is in the name, since a process that lived through it counted otherwise.

The axis is named `<boot id without dashes>.<ns by which this time namespace moves CLOCK_BOOTTIME>`, and `.<ms slept>`
where there was a suspend before: a reboot or a container with its own time begins another one.

How far off the wall clock may be is the kernel's word, by adjtimex(2), which needs no privilege to be read. It counts
only while some daemon keeps the kernel synchronised, and not while the clock is being slewed hard, since such a daemon
is still far from the true time then. The greatest error is what the kernel holds possible, and what it has yet to slew,
and 0.1 s: some daemons tell the kernel after each poll that the error is 0. While a leap second is due it is 1 s more.
A wall clock that this process sees otherwise than the kernel does (a library that lies to it) is not known at all.

That word is as old as the daemon's last poll: a machine that was paused since has a wall clock that is behind, and a
kernel that does not know. A poll leaves an error of nothing or more, and the kernel adds 500 us to it each second
(`second_overflow` in its kernel/time/ntp.c); so the error that it tells bounds how long ago the poll was. A suspend
moves the wall clock by whole seconds and adds nothing: from then on nothing is known until a poll that came later. So
the error covers what the wall clock moved against the axis since the poll, unless it is slewed faster than that.

Timers of the loop follow CLOCK_MONOTONIC, which is slewed and stops in suspend; `sleep_until` therefore looks at the
axis after each sleep, and at least once a minute.
"""

import asyncio
import struct
import time
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from edge_agent.model.ports import WallError

_LONGEST_SLEEP = 60.0
"""Seconds after which a long sleep looks at the axis, in case the machine was suspended."""

_SUSPENDED = 1_000_000
"""Nanoseconds by which the difference of two clocks must move to be looked at closely."""
_COUNTED_TOO_LONG = 2_000_000_000
_MS = 1_000_000

_TIMEX = struct.Struct("@I4li6l")
"""The head of `struct timex`: modes, offset, freq, maxerror, esterror, status, constant, precision, tolerance, the
time of day in s and us (or ns), tick. Words of 64 bits."""
_TIMEX_ROOM = 256
_READ_ADJTIME = 0xA001
"""ADJ_OFFSET_SS_READ: what is left of an adjtime(3), in us, instead of the offset."""
_TIME_OK, _TIME_ERROR = 0, 5
_STA_UNSYNC, _STA_NANO = 0x0040, 0x2000
_TICK, _PPM_OF_TICK, _ONE_PPM = 10_000, 100, 65_536
"""Microseconds of a tick at USER_HZ 100, what one more of them is in ppm, and one ppm in `freq`."""
_SLEWED_PPM = 500
_LEAST_ERROR, _LEAP, _COARSE = 100, 1000, 20
"""Ms: what is added always, and about a leap second; what two readings of one clock may differ by."""
_GROWTH = 500
"""Microseconds a second by which the kernel lets its greatest error grow."""


class Discipline(NamedTuple):
    """What adjtimex(2) says of the wall clock. Times in us, but `offset` in ns where `status` has STA_NANO."""

    state: int
    status: int
    offset: int
    freq: int
    maxerror: int
    tick: int
    adjtime: int
    """What is left of an adjtime(3)."""

    @property
    def error(self) -> int | None:
        """How far off the wall clock may be in ms; None when that is not known."""
        slewed = abs((self.tick - _TICK) * _PPM_OF_TICK + self.freq / _ONE_PPM)
        if self.state == _TIME_ERROR or self.status & _STA_UNSYNC or slewed > _SLEWED_PPM:
            return None
        offset = -(-abs(self.offset) // 1000) if self.status & _STA_NANO else abs(self.offset)
        possible = -(-(self.maxerror + offset + abs(self.adjtime)) // 1000) + _LEAST_ERROR
        return possible if self.state == _TIME_OK else possible + _LEAP

    @property
    def age(self) -> int:
        """Ms that went by at most since a daemon told the kernel something last; the second that has begun counts."""
        return (-(-self.maxerror // _GROWTH) + 1) * 1000


class Suspends(NamedTuple):
    """The suspends of a boot, in ns: how much of the axis they are, and since when there was none."""

    slept: int
    """As the kernel has it."""
    counted: int
    woken_at: int | None
    """Where the axis stood after the last one; None when there was none."""

    @classmethod
    def before(cls, slept: int, raw: int) -> "Suspends":
        """Those before the process began, at this time of CLOCK_MONOTONIC_RAW."""
        return cls(slept, slept, raw + slept if slept > _SUSPENDED else None)

    def after(self, slept: int, raw: int) -> "Suspends":
        """The same, once this much was slept in all."""
        if abs(slept - self.slept) <= _SUSPENDED:
            return self
        counted = self.counted + max(0, slept - self.slept - _COUNTED_TOO_LONG)
        return Suspends(slept, counted, raw + counted)


class SystemClock:
    """`model.ports.Clock` of this machine."""

    def __init__(self) -> None:
        self._suspends: Suspends | None = None

    @cached_property
    def axis(self) -> str:
        """The name of the axis."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
        try:
            _, seconds, nanoseconds = Path("/proc/self/timens_offsets").read_text("ascii").split()[3:6]
            offset = int(seconds) * 1_000_000_000 + int(nanoseconds)
        except (OSError, ValueError):  # a kernel before 5.6, which has one time for all
            offset = 0
        slept = self._begun.slept // _MS
        return f"{boot}.{offset}.{slept}" if slept else f"{boot}.{offset}"

    def now(self) -> int:
        """Milliseconds on the axis."""
        return (_raw() + self._seen().counted) // _MS

    @cached_property
    def _begun(self) -> Suspends:
        """What was slept before this clock was asked first."""
        return Suspends.before(_slept(), _raw())

    def _seen(self) -> Suspends:
        """The suspends until now. Threads that ask at once find the same, so none need wait for another."""
        suspends = self._suspends or self._begun
        if abs(_difference() - suspends.slept) > _SUSPENDED:
            self._suspends = suspends = suspends.after(_slept(), _raw())
        return suspends

    def wall(self) -> int:
        """The wall clock in Unix ms."""
        return time.time_ns() // 1_000_000

    def wall_error(self) -> WallError | None:
        """How far off the wall clock may be, as the module says; None when that is not known."""
        at, woken_at, before = self.now(), self._seen().woken_at, self.wall()
        found = _discipline()
        if found is None:
            return None
        kernel, of_day = found
        # The kernel's own time of day, read between two of this process's, within the tick by which it may be coarser.
        honest = before - _COARSE <= of_day <= self.wall() + _COARSE
        told_at = at - kernel.age
        if not honest or kernel.error is None or (woken_at is not None and told_at * _MS <= woken_at):
            return None
        return WallError(kernel.error, max(0, told_at))

    async def sleep(self, seconds: float) -> None:
        """Wait so long, by the loop's timers."""
        await asyncio.sleep(seconds)

    async def sleep_until(self, at: int) -> None:
        """Wait until this axis time; lets others run even when it is past."""
        await asyncio.sleep(0)
        while (left := (at - self.now()) / 1000) > 0:  # noqa: ASYNC110 - what is waited for is time itself
            await asyncio.sleep(min(left, _LONGEST_SLEEP))


def _raw() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def _slept() -> int:
    """Nanoseconds spent in suspend: of a few differences the smallest, between whose readings the least time went."""
    return min(_difference() for _ in range(8))


def _difference() -> int:
    """Nanoseconds spent in suspend, plus what went by between the two readings."""
    monotonic = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - monotonic


def _discipline() -> tuple[Discipline, int] | None:
    """What the kernel says of its clock, and its time of day in Unix ms; None where it must not be asked."""
    import ctypes  # noqa: PLC0415 - few ask, and not at the start

    room = ctypes.create_string_buffer(_TIMEX_ROOM)
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):  # a libc that has none
        return None
    state = adjtimex(room)
    if state < 0:
        return None
    _, offset, freq, maxerror, _, status, _, _, _, seconds, parts, tick = _TIMEX.unpack_from(room)
    _TIMEX.pack_into(room, 0, _READ_ADJTIME, *[0] * 11)
    left = _TIMEX.unpack_from(room)[1] if adjtimex(room) >= 0 else None
    if left is None:
        return None
    of_day = seconds * 1000 + parts // (1_000_000 if status & _STA_NANO else 1000)
    return Discipline(state, status, offset, freq, maxerror, tick, left), of_day
