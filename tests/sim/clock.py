"""A clock in the loop's time, with a wall that can be wrong and a suspend that can come.

A reboot is a new `SimClock` with another axis name: its axis starts at `start` at the moment it is made.
"""

import asyncio

from edge_agent.model.ports import WallError


class SimClock:
    """`model.ports.Clock` over a virtual loop: the running one, unless one is given. All in ms but `sleep`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        axis: str = "00000000000000000000000000000001.0",
        start: int = 1_000_000,
        wall: int = 1_800_000_000_000,
        wall_error: int | None = None,
    ) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._axis = axis
        self._zero = self._loop.time() - start / 1000
        self._wall_offset = wall - start
        self._wall_error = wall_error

    @property
    def axis(self) -> str:
        return self._axis

    def now(self) -> int:
        return self._micros() // 1000

    def wall(self) -> int:
        return self.now() + self._wall_offset

    def wall_error(self) -> WallError | None:
        return None if self._wall_error is None else WallError(self._wall_error, self.now())

    def set_wall(self, wall: int, error: int | None = None) -> None:
        """Step the wall clock; the axis does not notice. `error` is what the kernel says of it from now on."""
        self._wall_offset = wall - self.now()
        self._wall_error = error

    def suspend(self, seconds: float) -> None:
        """The machine slept: the axis and the wall went on, timers did not."""
        self._zero -= seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def sleep_until(self, at: int) -> None:
        await asyncio.sleep(0)
        while self.now() < at:  # noqa: ASYNC110 - what is waited for is time itself
            await asyncio.sleep(self._zero + at / 1000 - self._loop.time())

    def _micros(self) -> int:
        # Whole microseconds first: sums of float seconds miss a whole millisecond by a hair.
        return round((self._loop.time() - self._zero) * 1e6)
