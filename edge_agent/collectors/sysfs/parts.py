"""Parts: files of one number or one word that give readings, and text that is fit to be an attribute.

A part knows its series before it reads, so that all of them can be told absent when what they belong to is gone. One
bad file costs its own readings only: an error is an absence with its reason, text that is no number is `malformed`,
a number that the driver gives for want of a better one is `invalid`. EAGAIN is asked once more.
"""

import errno
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from edge_agent.collectors.sysfs.lasting import lasting_path
from edge_agent.kit.hostfile import HostFile, absence, listed
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

_NUMBER = re.compile(rb"\s*(-?\d{1,20})\s*")
_LONGEST = 64
"""Characters of a label; a longer one is no label."""


class Part(Protocol):
    """What gives the readings of a few series, always the same ones."""

    @property
    def series(self) -> Sequence[Reading]:
        """The same series without values."""

    def read(self) -> Iterable[Reading]:
        """Read once; never raises for what a file holds."""


class Gauge:
    """One number in one file, divided by `scale`; raw ones up to `least` or from `most` on say that there is none."""

    def __init__(
        self, file: HostFile, series: Reading, scale: int = 1, least: int | None = None, most: int | None = None
    ) -> None:
        self._file, self._scale, self._least, self._most = file, scale, least, most
        self._one = series._replace(source=lasting_path(file.source))
        self.series: Sequence[Reading] = (self._one,)

    def read(self) -> Iterable[Reading]:
        """Read once."""
        raw, reason = number(self._file)
        if raw is None:
            return (with_value(self._one, None, reason),)
        if (self._least is not None and raw <= self._least) or (self._most is not None and raw >= self._most):
            return (with_value(self._one, None, "invalid"),)
        return (with_value(self._one, raw if self._scale == 1 else raw / self._scale),)


class Fixed:
    """What was read, or could not be, when the thing was looked at last, and is not read at each beat: a limit."""

    def __init__(self, *readings: Reading) -> None:
        self._read = readings
        self.series: Sequence[Reading] = tuple(reading._replace(value=None, reason=None) for reading in readings)

    def read(self) -> Iterable[Reading]:
        """The same again."""
        return self._read


class States:
    """One file whose text is one of several states: 1 for the one that is, 0 for the others."""

    def __init__(self, file: HostFile, states: dict[str, Reading], none: Sequence[str] = ()) -> None:
        self._file, self._none = file, none
        source = lasting_path(file.source)
        self._states = {text: series._replace(source=source) for text, series in states.items()}
        self.series: Sequence[Reading] = tuple(self._states.values())

    def read(self) -> Iterable[Reading]:
        """Read once; a text in `none` is the driver's word for not knowing."""
        try:
            text = fetch(self._file).strip().decode("utf-8", "replace")
        except OSError as error:
            return absent([self], absence(error))
        if text not in self._states:
            return absent([self], "not reported" if text in self._none else "malformed")
        return [with_value(series, int(state == text)) for state, series in self._states.items()]


def absent(parts: Iterable[Part], reason: str) -> list[Reading]:
    """All series of these parts, without values."""
    return [with_value(series, None, reason) for part in parts for series in part.series]


def with_value(series: Reading, value: float | None, reason: str | None = None) -> Reading:
    """A reading of a series, made past the constructor: there are many at each beat, and `_replace` takes long."""
    name, _value, unit, attributes, kind, digits, source, _reason = series
    return tuple.__new__(Reading, (name, value, unit, attributes, kind, digits, source, reason))


def fetch(file: HostFile) -> bytes:
    """The whole file; EAGAIN is asked once more."""
    try:
        return file.reread()
    except BlockingIOError:
        return file.reread()


def number(file: HostFile) -> tuple[int | None, str | None]:
    """The whole number that a file holds, or why there is none."""
    try:
        found = _NUMBER.fullmatch(fetch(file))
    except OSError as error:
        return None, absence(error)
    return (int(found[1]), None) if found else (None, "malformed")


def label(host: Host, name: str) -> str | None:
    """The text of a file, where it is fit to be an attribute; None where there is none, OSError where it is unread."""
    try:
        text = fetch(HostFile(host, name)).strip(b"\0\n ").decode()
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return None
    return text if text and len(text) <= _LONGEST and text.isprintable() else None


def told(host: Host, name: str) -> str:
    """The same where there must be one: OSError where it is missing or unfit too."""
    text = label(host, name)
    if text is None:
        raise OSError(errno.ENODATA, "no label")
    return text


def names_in(host: Host, folder: str) -> frozenset[str]:
    """The names in a folder below the root; none when there is no folder, else OSError."""
    try:
        return frozenset(listed(host, folder))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
