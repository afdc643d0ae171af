"""Losses that the hub has not been told yet, merged: one entry a lane, epoch and reason.

They travel as records of frames in the reports lane. When such a frame must itself be given up, its losses come back
here, so that a loss is never forgotten by this agent, only joined with others.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import LANES, Frame, LaneName, Loss, LossReason, Range
from edge_agent.model.ranges import Ranges, total, union
from edge_agent.wire import record
from edge_agent.wire.batch import unzip

_MOST_BODY = 4 * 2**20
_MOST_NUMBER = 2**63 - 1


class Losses:
    """The losses still to tell."""

    def __init__(self) -> None:
        self.totals: Counter[LossReason] = Counter()
        """How many numbers this life lost, by reason."""
        self._ranges: dict[tuple[LaneName, int, LossReason], Ranges] = {}

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def add(self, losses: Sequence[Loss]) -> None:
        """Join new losses with those that wait."""
        for loss in losses:
            self.totals[loss.reason] += total(loss.ranges)
        self.carry(losses)

    def carry(self, losses: Iterable[Loss]) -> None:
        """Join losses that were told before, in frames that are given up now."""
        joined: dict[tuple[LaneName, int, LossReason], list[Range]] = {}
        for loss in losses:
            joined.setdefault((loss.lane, loss.epoch, loss.reason), []).extend(loss.ranges)
        for key, pairs in joined.items():
            ranges = union(self._ranges.get(key, ()), pairs)
            if ranges:
                self._ranges[key] = ranges

    def all(self) -> list[Loss]:
        """All of them."""
        return [Loss(lane, epoch, ranges, reason) for (lane, epoch, reason), ranges in self._ranges.items()]

    def take(self) -> list[Loss]:
        """All of them; none waits any more."""
        losses = self.all()
        self._ranges.clear()
        return losses


def losses_in(frame: Frame) -> list[Loss]:
    """The losses that a frame of the reports lane tells of; none when it cannot be read."""
    try:
        records = record.parse(unzip(frame.payload, _MOST_BODY)).records
    except Malformed:
        return []
    found = (_loss_of(entry) for entry in records if entry.get("type") == "loss")
    return [loss for loss in found if loss is not None]


def _loss_of(entry: Mapping[str, Any]) -> Loss | None:
    """A record as a loss; None when it is none."""
    lane, epoch = entry.get("lane"), entry.get("epoch")
    reason: Any = entry.get("reason")
    if lane not in LANES or reason not in get_args(LossReason) or not isinstance(epoch, str):
        return None
    try:
        numbers, pairs = int(epoch, 16), union((int(start), int(end)) for start, end in entry.get("ranges", ()))
    except (TypeError, ValueError):
        return None
    if not 0 <= numbers < _MOST_NUMBER or not all(0 <= start < end <= _MOST_NUMBER for start, end in pairs):
        return None  # no numbers of ours: it could not be told again
    return Loss(lane, numbers, pairs, reason)
