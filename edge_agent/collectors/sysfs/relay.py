"""Questions that may take long, asked in threads of their own: one that does costs its own answer and no other.

Questions go one after another through a thread that waits for them between two times: handing them over costs two
wake-ups, however many they are. One that takes longer than `patience` seconds, or twice as long, is `hung`: it is left
to that thread, which ends with it, and another goes on with the next. Those that are asked `apart` have a thread each,
and are waited for no longer than the rest takes; as long as others, where there is no rest. An answer that came late is
told once, by `late`.

There are at most `most` threads whose questions are out; from then on the rest is not asked (`too many are hung`, or
`no thread` where the machine has none). One of them is kept for those that are not asked apart: what is slow alone does
not keep others from being asked. None holds the end of the process.

A question runs in a thread of ours while the asker goes on: what it touches nobody else may touch until its answer was
taken. What a question raises is raised where its answer is taken. Not handled: a thread that never comes back stays
until the process ends.
"""

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Generic

from edge_agent.collectors.sysfs.line import K, Line, Raised, Runner, T

HUNG = "hung"


class Relay(Generic[K, T]):
    """Asks questions that are known by a key; one whose key is `out` must not be asked again."""

    def __init__(self, name: str, patience: float, most: int) -> None:
        """`name` is shown in lists of threads."""
        self._name, self._patience, self._most = name, patience, most
        self._out: dict[K, Line[K, T]] = {}
        self._idle: list[Runner[K, T]] = []

    def __del__(self) -> None:
        """Nobody asks any more: the thread that waits ends."""
        for runner in self._idle:
            runner.lines.put(None)

    @property
    def out(self) -> AbstractSet[K]:
        """Of which questions the answers are not here yet."""
        return self._out.keys()

    def late(self) -> dict[K, T]:
        """The answers that came since they were waited for."""
        return _taken(self._late()) if self._out else {}

    def ask(self, questions: Mapping[K, Callable[[], T]], apart: Collection[K] = ()) -> tuple[dict[K, T], dict[K, str]]:
        """The answers, and why there is none to the other questions, or was none when it was waited for."""
        found: dict[K, T | Raised] = {}
        why: dict[K, str] = {}
        left = [asked for asked in questions.items() if asked[0] not in apart]
        patience, lines = 0.0 if left else self._patience, []
        for key in apart:
            line = self._begun([(key, questions[key])], self._most - 1)
            if isinstance(line, str):
                why[key] = line
            else:
                self._out[key] = line
                lines.append(line)
        while left:
            line = self._begun(left, self._most)
            if isinstance(line, str):
                why.update((key, line) for key, _question in left)
                break
            is_ended = line.wait(self._patience)
            asked, left = left, [] if is_ended else line.rest()
            found.update(line.answers())
            if not is_ended:
                after = {key for key, _question in left}
                behind = [key for key, _question in asked if key not in found and key not in after]
                self._out.update(dict.fromkeys(behind, line))
                why.update(dict.fromkeys(behind, HUNG))
            self._leave(line)
            found.update(self._late())
        for line in lines:
            if not line.wait(patience):
                patience = 0.0  # the others had as long
        if self._out:
            found.update(self._late())
            why.update((key, HUNG) for key in questions if key in self._out)
        for line in lines:
            self._leave(line)
        return _taken(found), why

    def _late(self) -> dict[K, T | Raised]:
        found: dict[K, T | Raised] = {}
        for line in set(self._out.values()):
            found.update(line.answers())
        for key in found:
            del self._out[key]
        return found

    def _begun(self, questions: list[tuple[K, Callable[[], T]]], most: int) -> Line[K, T] | str:
        """A line of questions in a thread's hands, or why it is not."""
        if len(self._out) >= most:
            return "too many are hung"
        if not self._idle:
            runner = Runner[K, T](self._name)
            try:
                runner.start()
            except RuntimeError:
                return "no thread"
            self._idle.append(runner)
        line = Line(questions, self._idle.pop())
        line.runner.lines.put(line)
        return line

    def _leave(self, line: Line[K, T]) -> None:
        """Keep one thread for the next time; others end, and one that did not come back does when it does."""
        if self._idle or line in self._out.values():
            line.runner.lines.put(None)
        else:
            self._idle.append(line.runner)


def _taken(found: Mapping[K, T | Raised]) -> dict[K, T]:
    """The answers; what was raised in place of one is raised here."""
    taken: dict[K, T] = {}
    for key, answer in found.items():
        if isinstance(answer, Raised):
            raise answer.error or RuntimeError("nothing was raised")
        taken[key] = answer
    return taken
