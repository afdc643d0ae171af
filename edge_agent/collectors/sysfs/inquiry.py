"""What is asked of a folder's members: each question reads the files of one place, and keeps nothing.

A question runs beside its asker and may take as long as it will, so it gets what it needs and gives what it found.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from edge_agent.collectors.sysfs.kind import Kind, never
from edge_agent.collectors.sysfs.member import Member, renewed
from edge_agent.collectors.sysfs.names import Place
from edge_agent.collectors.sysfs.parts import absent
from edge_agent.model.reading import Reading


class Answer(NamedTuple):
    """What the files in a place said."""

    place: Place | None = None
    what: str | None = None
    """What is there, where that was asked."""
    member: Member | None = None
    """Its parts, where they were read."""
    readings: Sequence[Reading] = ()


NOTHING = Answer()

Topic = str | Place | None
"""A question is about a member by its name, about what is in a place, or about what a kind must know before."""
Questions = dict[Topic, Callable[[], Answer]]


class Inquiry:
    """The questions of one kind."""

    def __init__(self, kind: Kind, what: Callable[[Place], str | None]) -> None:
        """`what` says what is in a place."""
        self._kind, self._what = kind, what
        self._may_rest = kind.rests is not never

    def before(self) -> Answer:
        """See what the kind must know of the whole."""
        self._kind.before()
        return NOTHING

    def who(self, place: Place) -> Answer:
        """What is there."""
        return Answer(place, self._what(place))

    def looked(self, key: str, place: Place, member: Member | None, what: str | None) -> Answer:
        """Read a member whose parts are looked for; first that it is still the one that it was, if that is given."""
        if what is not None and (found := self._what(place)) != what:
            return Answer(place, found)
        if member is None or member.place != place or self._kind.rests(key, place.path) is None:
            try:
                member = renewed(member, place, self._kind.parts(key, place.path))
            except OSError:
                if member is None or member.place.path != place.path:
                    return NOTHING  # it is looked at again
                member = member._replace(place=place)
        return self.read(key, member)

    def read(self, key: str, member: Member) -> Answer:
        """Read a member."""
        if self._may_rest and (why := self._kind.rests(key, member.place.path)):
            return Answer(member.place, None, member, absent(member.parts, why))
        told: list[Reading] = []
        for part in member.parts:
            told += part.read()
        return Answer(member.place, None, member, told)
