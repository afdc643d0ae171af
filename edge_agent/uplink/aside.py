"""Frames that stepped aside, so that the others pass: each was alone in a request that did not settle it.

A frame that the hub alone answers 500, that is too large for what stands in between, that this hub does not know
(another version), or that it rejects without having shown that it takes anything: none of them may stop the others, and
none may be let go of for it.

Whether the frame or the hub is to blame shows when the hub stores something else (`proven`). Until then a frame aside
goes behind all others, one attempt at a time like they. Once the hub stored another, it is tried again at once, alone;
if that comes to nothing too, it waits by itself, 2 s, doubled each time up to half an hour, less a drawn part of it.

Only what is rejected once more after that, or beside others that were stored, is believed to be at fault. A hub that
rejects everything, a wrong one, proves nothing, and nothing is buried on its word.

At most 16 step aside, since buffers read past them; while as many are proven, no more backlog is begun.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge_agent.model.frame import Identity, LaneName
from edge_agent.model.ports import Chance

_MOST = 16
_LONGEST = 1800.0


@dataclass(slots=True)
class Suspect:
    """One frame aside; `since` counts the answers that stored something before it stepped aside, `until` is axis ms."""

    identity: Identity
    lane: LaneName
    size: int
    since: int
    until: int = 0
    strikes: int = 0


class Aside:
    """All of them, by identity."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._suspects: dict[Identity, Suspect] = {}
        self._answers = 0

    def __contains__(self, identity: object) -> bool:
        return identity in self._suspects

    @property
    def full(self) -> bool:
        """No more can step aside, and the hub is not to blame."""
        return len(self._suspects) >= _MOST and all(self.proven(identity) for identity in self._suspects)

    @property
    def bytes(self) -> int:
        """The size of all of them."""
        return sum(suspect.size for suspect in self._suspects.values())

    def count(self, lane: LaneName) -> int:
        """How many are of this lane."""
        return sum(suspect.lane == lane for suspect in self._suspects.values())

    def strike(self, identity: Identity, lane: LaneName, size: int, now: int) -> None:
        """It came to nothing; it steps aside if there is room, and waits if others did better."""
        suspect = self._suspects.get(identity)
        if suspect is None:
            if len(self._suspects) >= _MOST:
                return
            suspect = self._suspects[identity] = Suspect(identity, lane, size, self._answers)
        suspect.until = now
        if self.proven(identity):
            suspect.strikes += 1
            seconds = min(2.0 ** min(suspect.strikes, 32), _LONGEST) * (0.5 + 0.5 * self._chance.random())
            suspect.until += round(seconds * 1000)

    def stored(self, now: int) -> None:
        """The hub stored something: those that stepped aside since it last did are due."""
        for suspect in self._suspects.values():
            if suspect.since == self._answers:
                suspect.until = now
        self._answers += 1

    def proven(self, identity: Identity) -> bool:
        """The hub stored others since this one came to nothing."""
        suspect = self._suspects.get(identity)
        return suspect is not None and suspect.since < self._answers

    def forget(self, identities: Iterable[Identity]) -> None:
        """They are settled, or gone."""
        for identity in identities:
            self._suspects.pop(identity, None)

    def by_time(self) -> list[Suspect]:
        """All of them: the one that is due first, or was tried longest ago, at the front."""
        return sorted(self._suspects.values(), key=lambda suspect: suspect.until)
