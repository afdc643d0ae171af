"""The members of one folder over the beats: what is asked of each, and what is told of it.

What reads files is a question (`inquiry`), which may take as long as it will. All that is kept is touched by the asker
alone, before questions are asked and after they were answered. An answer counts only while its member is still in the
place that was asked.
"""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from functools import partial

from edge_agent.collectors.sysfs.inquiry import NOTHING, Answer, Inquiry, Questions, Topic
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.member import Member
from edge_agent.collectors.sysfs.names import Place
from edge_agent.collectors.sysfs.parts import absent
from edge_agent.collectors.sysfs.places import Places
from edge_agent.collectors.sysfs.relay import HUNG
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_VANISHED = frozenset({"missing", "unreadable: ENODEV", "unreadable: ENXIO"})


class Folder:
    """All members of one kind."""

    def __init__(self, host: Host, kind: Kind) -> None:
        self._places = Places(host, kind)
        self._inquiry = Inquiry(kind, self._places.what)
        self._members: dict[str, Member] = {}
        self._fresh: set[str] = set()
        """Members whose parts are not known in their place."""
        self._slow: set[Topic] = set()
        """What was not answered in time when it was asked last."""
        self._doubted: set[str] = set()
        """Members of which a file is missing."""
        self._steady: Questions | None = None
        """What is asked of all members where nothing else is; None where that is not what it was."""

    @property
    def is_small(self) -> bool:
        """Whether no member has another one beside it."""
        return len(self._places.at) <= 1

    def quiet(self) -> Questions | None:
        """What is asked at a beat at which nothing but members that were quick is asked; None at any other."""
        is_doubted = self._doubted and not self._places.is_checked
        if self._fresh or self._slow or is_doubted or not self._places.is_quiet():
            return None
        if self._steady is None:
            self._steady = {
                key: partial(self._inquiry.read, key, member)
                for key, member in self._members.items()
                if self._is_here(key, member)
            }
        return self._steady

    def quick(self, answers: Mapping[Topic, Answer]) -> list[Reading]:
        """What is told at such a beat, when all have answered."""
        told = [reading for answer in answers.values() for reading in answer.readings]
        for key, member in self._members.items():
            if key not in answers:
                told += absent(member.parts, "gone")
        self._doubted = set(self._places.at) if not _VANISHED.isdisjoint(reading[7] for reading in told) else set()
        return told

    def look(self, out: AbstractSet[Topic]) -> Questions:
        """What must be known before members can be named, where something is new."""
        self._steady = None  # a look may take members from their places
        asked: Questions = {place: partial(self._inquiry.who, place) for place in self._places.look(self._doubted)}
        if self._places.is_due:
            asked = {None: self._inquiry.before, **asked}
        return {topic: question for topic, question in asked.items() if topic not in out}

    def hear(self, answers: Mapping[Topic, Answer]) -> None:
        """Keep what is news: parts that were looked for, and what is where."""
        for topic, answer in answers.items():
            if answer.member is None:
                if answer.place is not None:
                    self._places.hear(answer.place, answer.what)
            elif isinstance(topic, str) and self._is_news(topic, answer):
                self._members[topic], self._steady = answer.member, None

    def questions(self, out: AbstractSet[Topic]) -> tuple[Questions, Collection[Topic]]:
        """What is asked at this beat, and which of it apart: what was slow.

        Once a round that gets its chance among the others, as the last.
        """
        self._name()
        due = self._places.due()
        asked, last = Questions(), Questions()
        for key, place in self._places.at.items():
            is_due = place in due
            due.discard(place)
            member = self._members.get(key)
            if key in out:
                continue
            if is_due or key in self._fresh:
                what = self._places.said(place) if is_due else None
                (last if key in self._slow else asked)[key] = partial(self._inquiry.looked, key, place, member, what)
            elif member is not None and member.place == place:
                asked[key] = partial(self._inquiry.read, key, member)
        self._fresh -= asked.keys() | last.keys()
        asked.update((place, partial(self._inquiry.who, place)) for place in due if place not in out)
        apart = self._slow & asked.keys()
        self._slow -= last.keys()
        return asked | last, apart

    def readings(
        self, answers: Mapping[Topic, Answer], why: Mapping[Topic, str], out: AbstractSet[Topic]
    ) -> list[Reading]:
        """What was answered, and why the rest was not."""
        places, told = self._places.at, list[Reading]()
        self._slow = self._slow - (answers.keys() - why.keys()) | {topic for topic in why if why[topic] == HUNG}
        self._fresh |= {key for key in places.keys() & why.keys() - self._slow if self._is_new(key, places[key])}
        for key, member in self._members.items():
            answer = answers.get(key, NOTHING)
            if key not in places:
                told += absent(member.parts, "gone")
            elif answer.member is member and answer.place == places[key]:
                told += answer.readings
            else:
                told += absent(member.parts, why.get(key) or (HUNG if key in out else "gone"))
        self._doubted = set()
        if any(reading.reason in _VANISHED for reading in told):
            self._doubted.update(key for key, answer in answers.items() if isinstance(key, str) and _is_doubted(answer))
        return told

    def _name(self) -> None:
        """Name what a look saw."""
        left = self._places.name(self._members.keys())
        if left is not None:
            self._members = {key: member for key, member in self._members.items() if key not in left}
            self._fresh = {key for key, place in self._places.at.items() if self._is_new(key, place)}
            self._slow &= self._places.at.keys()

    def _is_here(self, key: str, member: Member) -> bool:
        return self._places.at.get(key) == member.place

    def _is_news(self, key: str, answer: Answer) -> bool:
        return answer.member is not self._members.get(key) and answer.place == self._places.at.get(key)

    def _is_new(self, key: str, place: Place) -> bool:
        return key not in self._members or self._members[key].place != place


def _is_doubted(answer: Answer) -> bool:
    return any(reading.reason in _VANISHED for reading in answer.readings)
