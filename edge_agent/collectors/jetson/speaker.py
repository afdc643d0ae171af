"""One lower source as it speaks: its newest line, read once, and why it has nothing to say.

What is absent for a reason of its own (`{"absent": ...}`, the last line of a program that ended) holds at any age; all
else is good only while it is fresh.
"""

from collections.abc import Callable
from typing import NamedTuple

from edge_agent.collectors.jetson.answers import Absent, Answers, Key, heard
from edge_agent.model.ports import Commands


class Tongue(NamedTuple):
    """How a source's line is read (Absent or ValueError where it says nothing), and which series it can know."""

    parse: Callable[[bytes], Answers]
    knows: Callable[[Key], bool]


class Speaker:
    """One lower source. A line that came before is not read twice."""

    def __init__(self, name: str, tongue: Tongue, commands: Commands | None) -> None:
        self.name = name
        self.knows = tongue.knows
        self._parse = tongue.parse
        self._commands = commands
        self._line: bytes | None = None
        self._parsed: Answers | str = "malformed"

    def answers(self) -> Answers:
        """All that it says now; Absent with the reason when it says nothing."""
        said = heard(self._commands, self.name)
        if said.line != self._line:
            self._take(said.line)
        if isinstance(self._parsed, str):
            raise Absent(self._parsed)
        if not said.fresh:
            raise Absent("stale")
        return self._parsed

    def _take(self, line: bytes) -> None:
        self._line = line
        try:
            self._parsed = self._parse(line)
        except Absent as absent:
            self._parsed = str(absent)
        except ValueError:
            self._parsed = "malformed"
