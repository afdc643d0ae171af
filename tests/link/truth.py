"""A device, its axis and a hub across a slow line, with true time known to the scene alone.

True time is `axis + offset`; the offset drifts by `ppm`, and jumps up when the axis stands still. Times in ms, floats
inside, whole ms as the device and the hub read them.
"""

import math
from email.utils import formatdate
from random import Random

from edge_agent.model.anchor import Anchor
from edge_agent.model.http import Answer
from edge_agent.model.ports import WallError

TRUE = 1_795_164_155_000
DATE = "Fri, 20 Nov 2026 08:42:35 GMT"


class Truth:
    """`model.ports.Clock` whose owner also knows the truth. `wall_off` and `error` are those of the wall clock."""

    axis = "00000000000000000000000000000001.0"

    def __init__(self, ppm: float = 0.0, start: float = 5_000.0, wall_off: float = 0.0) -> None:
        self._axis_now = start
        self._ppm = ppm
        self.true = float(TRUE)
        self.wall_off = wall_off
        self.error: int | None = None
        self.told_at: int | None = None
        """When the kernel was told so; None: just now."""
        self.asked = 0
        self.offsets: list[tuple[float, float]] = [(start, TRUE - start)]
        """(axis time, offset) at each moment that passed."""

    @property
    def offset(self) -> float:
        """True time less axis time."""
        return self.true - self._axis_now

    def now(self) -> int:
        return math.floor(self._axis_now)

    def wall(self) -> int:
        return math.floor(self.true + self.wall_off)

    def wall_error(self) -> WallError | None:
        self.asked += 1
        return (
            None if self.error is None else WallError(self.error, self.now() if self.told_at is None else self.told_at)
        )

    async def sleep(self, seconds: float) -> None:
        self.go(seconds * 1000)

    async def sleep_until(self, at: int) -> None:
        self.go(max(0.0, at - self._axis_now))

    def go(self, ms: float) -> None:
        """Let so much of the axis go by."""
        self._axis_now += ms
        self.true += ms * (1 + self._ppm / 1_000_000)
        self.offsets.append((self._axis_now, self.offset))

    def pause(self, ms: float) -> None:
        """Let so much true time go by while the axis stands still."""
        if not ms:
            return
        self.true += ms
        self.offsets.append((self._axis_now, self.offset))

    def holds(self, anchor: Anchor) -> bool:
        """Whether its floor is true of all that came after it, and its roof of all that was before, to the ms."""
        return all(
            (at < anchor.at or anchor.floor(round(at)) <= offset + 1)
            and (at > anchor.at or offset <= anchor.roof(round(at)) + 1)
            for at, offset in self.offsets
        )


def heard(sent_at: int, received_at: int, **headers: str) -> Answer:
    """An answer with these headers."""
    return Answer(200, {name.replace("_", "-"): value for name, value in headers.items()}, b"", sent_at, received_at)


def stated(stamp: int, error: int, sent_at: int, received_at: int) -> Answer:
    """An answer of a hub that states its error."""
    return heard(sent_at, received_at, edge_hub_time=f"{stamp};err={error}", date=DATE)


def date_of(true: float) -> str:
    """`Date` at this time."""
    return formatdate(math.floor(true / 1000), usegmt=True)


def asked(
    truth: Truth, chance: Random, error: int | None = 5, least: float = 20.0, most: float = 200.0, pause: float = 0.0
) -> Answer:
    """One exchange, each way as long as chance has it; `error` None is a hub that has `Date` alone.

    The axis stands still for `pause` somewhere on the way back.
    """
    sent_at = truth.now()
    truth.go(chance.uniform(least, most))
    date, stamp = date_of(truth.true), math.floor(truth.true)
    back, share = chance.uniform(least, most), chance.random()
    truth.go(back * share)
    truth.pause(pause)
    truth.go(back * (1 - share))
    headers = {"date": date} if error is None else {"date": date, "edge_hub_time": f"{stamp};err={error}"}
    return heard(sent_at, truth.now(), **headers)
