"""The frames of one lane that only memory has: those on their way to the disk, and all while it takes nothing."""

from collections.abc import Iterator

from edge_agent.model.frame import Frame, Identity
from edge_agent.spool.segment import MOST_FRAME
from edge_agent.wire.frame import encoded_size

_CHUNK_BYTES = 2**18


class Memory:
    """Frames in the order in which they came; `most_bytes` is what they may take while the disk takes nothing."""

    def __init__(self, most_bytes: int) -> None:
        self.bytes = 0
        self._most_bytes = most_bytes
        self._frames: dict[Identity, Frame] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(tuple(self._frames.values()))

    def __contains__(self, identity: Identity) -> bool:
        return identity in self._frames

    def get(self, identity: Identity) -> Frame | None:
        """One of them; None when it is not here."""
        return self._frames.get(identity)

    def put(self, frame: Frame) -> None:
        """Keep a frame; ValueError when it is larger than any batch."""
        size = encoded_size(frame)
        if size > MOST_FRAME:
            raise ValueError(f"a frame of {size} bytes is no batch")
        self.drop(frame.identity)
        self._frames[frame.identity] = frame
        self.bytes += size

    def drop(self, identity: Identity) -> None:
        """Let go of one, if it is here."""
        frame = self._frames.pop(identity, None)
        if frame is not None:
            self.bytes -= encoded_size(frame)

    def chunk(self, most_bytes: int) -> list[Frame]:
        """The first frames that can go to one segment of so many bytes with one sync; one, if it is larger."""
        most_bytes = min(most_bytes, _CHUNK_BYTES)
        chunk: list[Frame] = []
        size = 0
        for frame in self._frames.values():
            size += encoded_size(frame)
            if chunk and (
                size > most_bytes
                or frame.identity.epoch != chunk[-1].identity.epoch
                or frame.identity.seq <= chunk[-1].identity.seq
            ):
                break
            chunk.append(frame)
        return chunk

    @property
    def room(self) -> int:
        """Bytes that may come until the oldest go."""
        return max(0, self._most_bytes - self.bytes)

    def overflow(self) -> list[Frame]:
        """Drop the oldest that are too many, and say which."""
        dropped: list[Frame] = []
        for frame in self:
            if self.bytes <= self._most_bytes:
                break
            self.drop(frame.identity)
            dropped.append(frame)
        return dropped
