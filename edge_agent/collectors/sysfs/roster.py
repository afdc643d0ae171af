"""The members of a folder of sysfs (chips, zones, cells), by names that hold over boots.

The numbers in `hwmon3` or `thermal_zone7` follow the order in which drivers came up, so a member is known by what
`identify` says of it. Two that say the same are told apart by a number, in the order of the folder at the first look,
kept while this process runs. Such a member is read where its link leads, in the folder of the device itself, and only
while that is the same folder: a number that became another's gives a look, and no reading.

A member is read in a thread beside the collector's (`relay`), so one that takes long, or never comes back, costs its
own readings only: the others wait for it for a moment, once. It is absent as `hung` while it is out; a late answer is
told at the next beat if the member is still where it was, and if it was not asked long ago (`overdue`). One that was
slow is asked in a thread of its own, beside the others, until it is quick again.

What is at hand, as the clocks of processors, is not handed over, nor is a member that has none beside it: the
collector's own time limit is for it. Nor are folders, links and numbers of folders, which the kernel answers from
memory.

The folder is listed at the first beat and every 50th, and once between when a file that was there is missing. In
between each member's parts are looked for again, some members at a time, and what it is. So what appears, a
member or a file of one, is found within a minute and without a restart, and a beat mostly reads known files. A member
that is gone is absent with the reason `gone` until it is back or its place is needed. What a member has no longer stays
absent (`member`): no series ever falls silent. There are at most `most`, the first by rank and name, so the same at
each boot; further ones are not read, and no reading says so.
"""

from collections.abc import Callable, Collection
from functools import partial
from types import MethodType
from typing import ParamSpec, TypeVar
from weakref import proxy

from edge_agent.collectors.sysfs.folder import Folder
from edge_agent.collectors.sysfs.inquiry import Answer, Questions, Topic
from edge_agent.collectors.sysfs.kind import Kind
from edge_agent.collectors.sysfs.overdue import Overdue
from edge_agent.collectors.sysfs.relay import HUNG, Relay
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_PATIENCE = 0.25
"""Seconds; more than threads of a busy machine wait for their turn."""
_MOST_HUNG = 8
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Roster:
    """Reads all members of one kind."""

    def __init__(self, host: Host, kind: Kind) -> None:
        self._folder = Folder(host, _loose(kind))
        self._relay = Relay[Topic, Answer](f"read {kind.folder}", _PATIENCE, _MOST_HUNG)
        self._overdue = Overdue()
        self._is_at_hand = kind.is_at_hand
        self._uptime = HostFile(host, "proc/uptime")

    def collect(self) -> list[Reading]:
        """Read every member once."""
        folder, relay, overdue = self._folder, self._relay, self._overdue
        steady = None if relay.out else folder.quiet()
        if steady is not None:
            answers, why = self._ask(steady)
            if not why:
                return folder.quick(answers)
        else:
            began = self._uptime_now()
            late = relay.late()
            folder.hear(late)
            answers = overdue.timely(late, began)
            if unknown := folder.look(relay.out):
                said, why = self._ask(unknown)
                folder.hear(said)
                answers.update(overdue.timely(said, began))
            tried, apart = folder.questions(relay.out)
            said, why = self._ask(tried, apart)
            folder.hear(said)
            answers.update(overdue.timely(said, began))
            why.update(dict.fromkeys(said.keys() - answers.keys(), HUNG))
        overdue.note(relay.out, self._uptime_now())
        return folder.readings(answers, why, relay.out)

    def _uptime_now(self) -> float:
        """For how many seconds the machine runs; 0 where it does not say, or no answer is out."""
        if not self._relay.out:
            return 0.0
        try:
            return float(self._uptime.reread().split()[0])
        except (OSError, ValueError, IndexError):
            return 0.0

    def _ask(self, questions: Questions, apart: Collection[Topic] = ()) -> tuple[dict[Topic, Answer], dict[Topic, str]]:
        """The answers, and why there is none to the other questions."""
        is_alone = len(questions) <= 1 and self._folder.is_small and not self._relay.out
        if self._is_at_hand or is_alone:
            said, why = {topic: question() for topic, question in questions.items()}, dict[Topic, str]()
        else:
            said, why = self._relay.ask(questions, apart)
        return said, why


def _loose(kind: Kind) -> Kind:
    """The same kind, which does not hold the collector that holds us: who drops that one ends its threads at once."""
    return kind._replace(
        identify=_loosened(kind.identify),
        parts=_loosened(kind.parts),
        before=_loosened(kind.before),
        otherwise=_loosened(kind.otherwise),
        rests=_loosened(kind.rests),
    )


def _loosened(function: Callable[_P, _T]) -> Callable[_P, _T]:
    if not isinstance(function, MethodType):
        return function
    return partial(function.__func__, proxy(function.__self__))
