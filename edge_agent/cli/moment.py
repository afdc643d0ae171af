"""Instants for people: local time with its offset (or UTC), and how far off it may be."""

from datetime import datetime, timezone
from typing import NamedTuple

from edge_agent.model.ports import Clock

UNSYNCHRONISED = "unsynchronised"


_GRAIN_MS = 2
"""What two readings of clocks of whole ms, one after the other, may add."""


class Moment(NamedTuple):
    """A time by this machine's clock in Unix ms, and how far off it may be in ms; None is not known."""

    ts: int
    error: int | None

    def written(self, *, utc: bool) -> str:
        """As `2026-11-20 17:03:12.250+01:00 ±0.10 s`, in local time unless `utc`."""
        try:
            moment = datetime.fromtimestamp(self.ts // 1000, timezone.utc)
            moment = moment if utc else moment.astimezone()
        except (OverflowError, ValueError, OSError):  # a clock that is beyond all calendars
            return f"{self.ts} ms {written_error(self.error)}"
        moment = moment.replace(microsecond=self.ts % 1000 * 1000)
        return f"{moment.isoformat(' ', 'milliseconds')} {written_error(self.error)}"


def moment_of(at: int, clock: Clock) -> Moment:
    """The time of a tick that was just taken at axis ms `at`, by the wall clock as it is now."""
    ts, error = clock.wall() - (clock.now() - at), clock.wall_error()
    return Moment(ts, None if error is None else error.most + _GRAIN_MS)


def written_error(error: int | None) -> str:
    """Ms as `±0.10 s`, rounded up."""
    return UNSYNCHRONISED if error is None else f"±{-(-error // 10) / 100:.2f} s"
