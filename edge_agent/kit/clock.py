"""The real clock: an axis that no daemon slews and that suspend does not stop.

    axis = CLOCK_MONOTONIC_RAW + (CLOCK_BOOTTIME - CLOCK_MONOTONIC)         in ms

RAW runs as the crystal does; the difference of the other two is the time spent in suspend, which changes only there.
Read one after the other they differ by the time in between, too, so the difference is kept as it is and measured again
only when it moved by more than a reading can: two calls of `now` never step back, and a thread that is put aside in the
middle of one adds nothing.

The axis is named `<boot id without dashes>.<inode of the time namespace>`: a reboot or a container with its own time
begins another one.

Timers of the loop follow CLOCK_MONOTONIC, which is slewed and stops in suspend; `sleep_until` therefore looks at the
axis after each sleep, and at least once a minute.
"""

import asyncio
import time
from functools import cached_property
from pathlib import Path

_LONGEST_SLEEP = 60.0
"""Seconds after which a long sleep looks at the axis, in case the machine was suspended."""

_SUSPENDED = 1_000_000
"""Nanoseconds by which the difference of two clocks must move to be looked at closely."""


class SystemClock:
    """`model.ports.Clock` of this machine."""

    def __init__(self) -> None:
        self._suspended = 0

    @cached_property
    def axis(self) -> str:
        """The name of the axis."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
        try:
            namespace = Path("/proc/self/ns/time").stat().st_ino
        except FileNotFoundError:  # a kernel before 5.6, which has one time for all
            namespace = 0
        return f"{boot}.{namespace}"

    def now(self) -> int:
        """Milliseconds on the axis."""
        if abs(_difference() - self._suspended) > _SUSPENDED:
            # The smallest of a few is the one between whose two readings the least time went by.
            closest = min(_difference() for _ in range(8))
            if abs(closest - self._suspended) > _SUSPENDED:
                self._suspended = closest
        return (time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) + self._suspended) // 1_000_000

    def wall(self) -> int:
        """The wall clock in Unix ms."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait so long, by the loop's timers."""
        await asyncio.sleep(seconds)

    async def sleep_until(self, at: int) -> None:
        """Wait until this axis time; lets others run even when it is past."""
        await asyncio.sleep(0)
        while (left := (at - self.now()) / 1000) > 0:  # noqa: ASYNC110 - what is waited for is time itself
            await asyncio.sleep(min(left, _LONGEST_SLEEP))


def _difference() -> int:
    """Nanoseconds spent in suspend, plus what went by between the two readings."""
    monotonic = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - monotonic
