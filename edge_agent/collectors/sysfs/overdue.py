"""Answers that came too late to be told as of now: what hung for long may have been read long ago.

An answer is out from the beat that did not wait for it any longer. Times are seconds of the machine's uptime; where
that is not known it is always 0, and no answer is too late.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from edge_agent.collectors.sysfs.inquiry import Answer, Topic

_LATEST = 10.0


class Overdue:
    """Knows since when each answer is out."""

    def __init__(self) -> None:
        self._since: dict[Topic, float] = {}

    def timely(self, answers: Mapping[Topic, Answer], now: float) -> dict[Topic, Answer]:
        """The answers that may be told; the others are to be asked for again."""
        return {topic: one for topic, one in answers.items() if now - self._since.pop(topic, now) <= _LATEST}

    def note(self, out: AbstractSet[Topic], now: float) -> None:
        """These are out now."""
        self._since = {topic: self._since.get(topic, now) for topic in out}
