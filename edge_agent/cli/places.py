"""Where a path really is: what stands of it, and on which kind of file system.

The kind is read from `/proc/self/mountinfo`, whose names are escaped in octal; of mounts over each other the last
counts. Does not handle: bind mounts of files.
"""

import re
from pathlib import Path

_ESCAPED = re.compile(r"\\([0-7]{3})")
_POINT, _SEPARATOR = 4, "-"


def standing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there."""
    return next((one for one in (path, *path.parents) if one.exists()), Path("/"))


def kind_of(path: Path, mountinfo: str) -> str:
    """The kind of the file system on which a path is, as `ext4`; empty when the kernel does not say."""
    place, best, kind = path.resolve(), -1, ""
    for line in mountinfo.splitlines():
        words = line.split(" ")
        if _SEPARATOR not in words or len(words) <= _POINT:
            continue
        point = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), words[_POINT]))
        if place.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), words[words.index(_SEPARATOR) + 1]
    return kind
