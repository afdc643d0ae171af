"""Sources in order: what a board's files do not say is asked of NVML, then of tegrastats, then of jtop.

A series has one owner, the collector of its subject. That reads its files, and passes each reading through `better`:
one that has a value stays as it is; for an absent one the first lower source that has a value gives it, under the same
name, unit and attributes. When none ever had one the absence stays the owner's own. A source is asked only while its
own collector is enabled (which says how it is run), and only for what it can know.

A series that its own file never gave is asked for at once, whatever kept the file from being read; one that it gave
is stood in for only after `_PATIENCE` absences in a row, so that a series does not jump between sources. For the same
reason a series that a lower source gave stays under that source's name while it is absent. An engine that is said to
be off is absent as `off`. A series that no file could tell (its owner leaves the source empty) is, from the first time
that one knew of it, that lower source's, absences too.

What was asked for a series is remembered until its own file gives it: the file first, then each lower source with what
it said. A program that was begun just now says `starting`: whoever asks once should ask again shortly.
"""

from collections.abc import Mapping
from typing import NamedTuple

from edge_agent.collectors.jetson import jtop, nvml, tegrastats
from edge_agent.collectors.jetson.answers import Absent, Key, id_of
from edge_agent.collectors.jetson.speaker import Speaker, Tongue
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_PATIENCE = 3
_MOST = 256
"""Series that are remembered: more than a board has."""

_GAVE = "gave"

_ORDER: Mapping[str, Tongue] = {
    "nvml": Tongue(nvml.answers, nvml.knows),
    "tegrastats": Tongue(tegrastats.answers, tegrastats.knows),
    "jtop": Tongue(jtop.answers, jtop.knows),
}


class _Word(NamedTuple):
    """What one source said of a series: a reading, which may be absent, or nothing and why."""

    reading: Reading | None
    reason: str


class Lower:
    """The lower sources of one collector. Built without touching any; asked from the collector's thread."""

    def __init__(self, host: Host) -> None:
        self._sources = tuple(
            Speaker(name, kind, host.commands) for name, kind in _ORDER.items() if name in host.claimed
        )
        self._absences: dict[Key, int] = {}
        """Absences in a row; of a series that its own file never gave, as many as patience goes."""
        self._tried: dict[Key, tuple[tuple[str, str], ...]] = {}
        self._gave: dict[Key, Reading] = {}
        self._knowing: dict[Key, tuple[Speaker, ...]] = {}
        """Who can know a series at all; for most that is nobody."""

    def better(self, reading: Reading) -> Reading:
        """The reading itself if it has a value, or none has; else the same one with a lower source's value."""
        if not self._sources:
            return reading
        key = (reading.name, id_of(reading.attributes))
        absences = self._absences.get(key)
        if absences is None and len(self._absences) >= _MOST:
            return reading
        if reading.value is not None:
            if absences != 0:
                self._absences[key] = 0
                self._tried.pop(key, None)
                self._gave.pop(key, None)
            return reading
        absences = _PATIENCE if absences is None else min(absences + 1, _PATIENCE)
        self._absences[key] = absences
        return reading if absences < _PATIENCE else self._ask(key, reading)

    def ids(self, name: str, *, nvml: bool = False) -> list[str]:
        """The ids that the lower sources know for a series' name, sorted: what there may be no file of.

        NVML is asked, and so begun, only if `nvml`.
        """
        found: set[str] = set()
        for source in self._sources:
            if nvml or source.name != "nvml":
                try:
                    found.update(said for known, said in source.answers() if known == name)
                except Absent:
                    continue
        return sorted(found)

    def tried(self, reading: Reading) -> tuple[tuple[str, str], ...]:
        """What was asked for a series at its last `better`, in order, each with why it had nothing, or `gave`.

        Its own file comes first. Empty when that gave it.
        """
        if asked := self._tried.get((reading.name, id_of(reading.attributes))):
            return asked
        return () if reading.reason is None else ((reading.source, reading.reason),)

    def _ask(self, key: Key, reading: Reading) -> Reading:
        """The first lower source's value. Without any, the absence of the one that gave last, or that knows best."""
        knowing = self._knowing.get(key)
        if knowing is None:
            knowing = self._knowing[key] = tuple(source for source in self._sources if source.knows(key))
        if not knowing:
            return reading
        words = {}
        for source in knowing:
            words[source.name] = word = _asked(source, key, reading)
            if word.reason == _GAVE:
                break
        asked = ((name, word.reason) for name, word in words.items())
        own = ((reading.source, reading.reason or ""),) if reading.source else ()
        self._tried[key] = (*own, *asked)
        said = [word.reading for word in words.values() if word.reading]
        if said and said[-1].value is not None:
            self._gave[key] = said[-1]
            return said[-1]
        if said and not reading.source:
            self._gave.setdefault(key, said[0])
        if gave := self._gave.get(key):
            why = words[gave.source].reason if gave.source in words else reading.reason
            return gave._replace(value=None, reason=why)
        return next((absent for absent in said if absent.reason == "off"), reading)


def _asked(source: Speaker, key: Key, reading: Reading) -> _Word:
    try:
        answer = source.answers().get(key)
    except Absent as absent:
        return _Word(None, str(absent))
    if answer is None:
        return _Word(None, "not reported")
    found = reading._replace(value=answer.value, digits=answer.digits, source=source.name, reason=answer.reason)
    return _Word(found, answer.reason or _GAVE)
