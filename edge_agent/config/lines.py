"""Which line of a TOML file a key stands on.

The standard parser gives values without places, and people need places. This reads table headers and the keys at the
start of lines; a key inside an inline table or a multi-line value is not found, its parent's line is given instead.
"""

import re
from collections.abc import Mapping

_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'")

Key = tuple[str, ...]


def lines_of(text: str) -> dict[Key, int]:
    """The first line, counted from 1, of every key and table of a TOML text."""
    found: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            _note(found, table, number)
        elif key := _KEY.match(line):
            _note(found, table + _parts(key[1]), number)
    return found


def line_of(found: Mapping[Key, int], key: Key) -> int | None:
    """The line of a key, or of the nearest thing around it."""
    for size in range(len(key), 0, -1):
        if key[:size] in found:
            return found[key[:size]]
    return None


def _parts(written: str) -> Key:
    return tuple(part.strip("\"'") for part in _PART.findall(written))


def _note(found: dict[Key, int], key: Key, number: int) -> None:
    for size in range(1, len(key) + 1):
        found.setdefault(key[:size], number)
