"""Loads: the frames of one request, as they are picked from the lanes.

A load never passes its bounds, but for its first frame, which is taken however large it is; no frame is in it twice.
"""

from collections.abc import Container
from dataclasses import dataclass, field

from edge_agent.model.frame import Frame, Identity, LaneName
from edge_agent.wire.frame import encoded_size


@dataclass(slots=True)
class Load:
    """The frames of one request and the lanes they came from."""

    most_bytes: int
    most_frames: int
    frames: list[Frame] = field(default_factory=list)
    lanes: dict[Identity, LaneName] = field(default_factory=dict)
    size: int = 0
    backlog: bool = False
    """It was picked from the telemetry backlog, and is paced."""
    suspect: bool = False
    """Its one frame came to nothing before: a failure is put down to it."""

    @property
    def room(self) -> tuple[int, int]:
        """The bytes and frames that may still be added."""
        return self.most_bytes - self.size, self.most_frames - len(self.frames)

    def size_of(self, identities: Container[Identity]) -> int:
        """The bytes of these among its frames."""
        return sum(encoded_size(frame) for frame in self.frames if frame.identity in identities)

    def add(self, lane: LaneName, frame: Frame) -> bool:
        """Take a frame if it fits; the first always does."""
        size = encoded_size(frame)
        if self.frames and (self.size + size > self.most_bytes or len(self.frames) >= self.most_frames):
            return False
        if frame.identity not in self.lanes:
            self.frames.append(frame)
            self.lanes[frame.identity] = lane
            self.size += size
        return True
