"""How much one request may hold: what the way to the hub is known to take.

Two bounds. The limit in bytes is lowered by a 413, to what the hub names or to half, and doubled after so many large
requests that were settled: what stands between may be another by now. The appetite in frames is halved by each
failure, since a slow line carries only small requests, and doubled by each full request that is settled.

`frame_limit` is for whoever seals: once something was too large, a frame should be no larger than what is known to
pass. Unlike the limit of requests it is never raised to try something out, since a frame that does not pass cannot be
made smaller any more: only a larger request that was settled raises it. It is learnt anew by each process.
"""

_LEAST_FRAME = 4096
"""Nobody is asked to seal smaller frames: a tick of many series is not much less."""
_TRUST_AFTER = 32
"""So many large requests are settled before larger ones are tried: a refused one costs little beside them."""


class Portion:
    """The bounds of the next request: `limit` in bytes, `appetite` in frames."""

    def __init__(self, most_bytes: int, most_frames: int) -> None:
        self._most_bytes, self._most_frames = most_bytes, most_frames
        self.limit = most_bytes
        self.appetite = most_frames
        self.frame_limit: int | None = None
        """Bytes of the largest frame that is known to pass; None while nothing was too large."""
        self._large = 0

    def settled(self, size: int, frames: int) -> None:
        """A request of so many bytes and frames was settled, at least in part."""
        if frames >= self.appetite:
            self.appetite = min(self.appetite * 2, self._most_frames)
        if self.frame_limit is not None and size > self.frame_limit:
            self.frame_limit = size if size < self._most_bytes // 2 else None
        if self.limit < self._most_bytes and size * 2 >= self.limit:
            self._large += 1
            if self._large >= _TRUST_AFTER:
                self._large = 0
                self.limit = min(self.limit * 2, self._most_bytes)

    def failed(self, frames: int) -> None:
        """A request of so many frames came to nothing: ask for less."""
        self.appetite = max(1, frames // 2)

    def probe(self) -> None:
        """One frame is enough to see whether a door opened."""
        self.appetite = 1

    def too_large(self, size: int, named: int | None) -> None:
        """So many bytes were too many; `named` is the limit that the hub told, if it did."""
        learnt = named if named is not None and named < size else size // 2
        self.limit = max(1, min(self.limit, learnt))
        self.frame_limit = max(_LEAST_FRAME, min(self.frame_limit or self.limit, self.limit))
        self._large = 0
