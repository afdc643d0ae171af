"""Frames that were kept for people: dead letters in `dead/`, and files of frames that an export made.

A dead letter is one frame, as it was sent, in a file `<generation>-<lane>-<epoch>-<seq>.frame` (`lane` writes them). A
file that is damaged, or is none of ours, is passed over.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from edge_agent.model.failure import Malformed
from edge_agent.model.frame import KIND_OF_LANE, Frame, FrameKind, LaneName
from edge_agent.model.ports import Disk
from edge_agent.spool.segment import MOST_FRAME
from edge_agent.wire.batch import unzip
from edge_agent.wire.frame import decode, split

FOLDER = "dead"

_LANE_OF_KIND: dict[int, LaneName] = {kind: lane for lane, kind in KIND_OF_LANE.items()}
_MOST_FILE = 2**31
_MOST_BODY = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Letter:
    """A frame, the file that it is in, and the lane it belongs to."""

    path: Path
    lane: LaneName
    frame: Frame


def letters(disk: Disk, folder: Path) -> list[Letter]:
    """The dead letters below a spool's folder, oldest first. OSError when the folder cannot be read."""
    found = []
    for entry in disk.entries(folder / FOLDER):
        path = folder / FOLDER / entry.name
        if path.suffix == ".frame" and entry.size is not None and entry.size <= 2 * MOST_FRAME:
            with suppress(OSError, Malformed):
                frame, _after = decode(disk.read(path))
                found += _letters(path, [frame])
    return found


def exported(disk: Disk, path: Path) -> list[Letter]:
    """The frames of a file that an export made; OSError when it cannot be read, Malformed when it is no such file."""
    return _letters(path, split(disk.read(path, 0, _MOST_FILE)))


def owner_of(frame: Frame) -> str | None:
    """The device that a frame's resource names; None when it names none that can be read."""
    try:
        said = orjson.loads(unzip(frame.payload, _MOST_BODY))
    except (Malformed, orjson.JSONDecodeError):
        return None
    resource = said.get("resource") if isinstance(said, dict) else None
    owner = resource.get("device.id") if isinstance(resource, dict) else None
    return owner if isinstance(owner, str) else None


def _letters(path: Path, frames: Sequence[Frame]) -> list[Letter]:
    return [Letter(path, lane, frame) for frame in frames if (lane := _lane_of(frame.kind)) is not None]


def _lane_of(kind: int) -> LaneName | None:
    return "telemetry" if kind == FrameKind.THINNED else _LANE_OF_KIND.get(kind)
