"""A number that stands in one of several files, by release of the kernel: the first that is there gives it.

Once one gave a number only that one is read. All are looked through at the first read, when the one that was read is
there no longer, and at each 30th read while none gives a number: what is closed or missing now may be open later.
"""

from collections.abc import Sequence

from edge_agent.collectors.sysfs.parts import number
from edge_agent.kit.hostfile import HostFile
from edge_agent.model.ports import Host

_EVERY = 30
"""Reads between two looks at all of the files."""
_MISSING = "missing"
_VANISHED = (_MISSING, "unreadable: ENODEV", "unreadable: ENXIO")


class Choice:
    """Reads the first of these files that is there; nothing is touched before the first read."""

    def __init__(self, host: Host, names: Sequence[str]) -> None:
        self._files = [HostFile(host, name) for name in names]
        self._at = self._files[0]
        self._age = _EVERY
        self.reason: str | None = None
        """Why the last read gave none; `gone` where there once was a number."""
        self.ever = False
        """Whether there ever was a number."""

    @property
    def source(self) -> str:
        """The file that was read last, or would be."""
        return self._at.source

    def read(self, *, anew: bool = False) -> int | None:
        """The number, or None; `reason` tells why. `anew` looks at all of the files while none gave a number."""
        found, why = number(self._at) if self.ever else (None, self.reason)
        vanished = self.ever and why in _VANISHED and self.reason is None
        if found is None and (vanished or self._age >= _EVERY or (anew and not self.ever)):
            self._age = 0
            found, why = self._look()
        self._age += 1
        self.ever = self.ever or found is not None
        self.reason = None if found is not None else "gone" if self.ever and why == _MISSING else why
        return found

    def _look(self) -> tuple[int | None, str | None]:
        """The first number; else the first reason that says more than that a file is missing."""
        told: tuple[HostFile, str | None] | None = None
        for file in self._files:
            found, why = number(file)
            if found is not None:
                self._at = file
                return found, None
            if why != _MISSING and told is None:
                told = (file, why)
        if told is None:
            return None, _MISSING
        self._at = told[0]
        return None, told[1]
