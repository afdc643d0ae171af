"""The reports lane: a lane that also carries what all lanes lost.

Losses are merged while they wait. While the disk takes frames they become one at once, past every quota, before the
file that they are about goes. While it does not, they wait merged, and become a frame when the pusher asks. When
segments or frames of this lane must themselves be given up, the losses in them are carried over into the next frame.

Not yet: a standing reserve on the disk for them.
"""

from collections.abc import Callable, Mapping, Sequence

from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Frame, FrameKind, Loss
from edge_agent.spool.lane import Given, Lane
from edge_agent.spool.losses import Losses, losses_in
from edge_agent.spool.quota import Limiter
from edge_agent.spool.rack import Rack
from edge_agent.spool.segment import Segment
from edge_agent.wire import record


class ReportsLane(Lane):
    """The reports lane; `resource` and `anchor` go into its own frames."""

    def __init__(
        self,
        rack: Rack,
        limiter: Limiter,
        given: Given,
        losses: Losses,
        resource: Mapping[str, str],
        anchor: Callable[[], Anchor | None],
    ) -> None:
        super().__init__("reports", rack, limiter, given, self._record)
        self._losses = losses
        self._resource = resource
        self._anchor = anchor

    async def declare(self, losses: Sequence[Loss]) -> None:
        """Take losses of another lane: on disk when this returns, if the disk takes them."""
        self._losses.add(losses)
        self._wake.set()
        async with self._lock:
            await self._write_losses()

    async def oldest(self, most_bytes: int, most_frames: int) -> Sequence[Frame]:
        """The oldest unsettled frames; losses that wait come last."""
        async with self._lock:
            if self._losses:
                self._remember(self._told())
        return await super().oldest(most_bytes, most_frames)

    def _is_filled(self) -> bool:
        return bool(self._losses) or super()._is_filled()

    async def _record(self, losses: Sequence[Loss]) -> None:
        self._losses.add(losses)
        self._wake.set()
        await self._write_losses()

    async def _save(self) -> None:
        await super()._save()
        await self._write_losses()

    async def _write_losses(self) -> None:
        """Put what waits on disk, past the quota, unless the disk takes nothing."""
        if not self._losses or self.why:
            return
        frame = self._told()
        self._remember(frame)
        try:
            await self._work(self._rack.enter)
            await self._work(self._rack.write, [frame])
        except OSError as error:
            self._fall(error)
        else:
            self._let_go(frame.identity)

    def _told(self) -> Frame:
        """All losses that wait, as a frame."""
        now = self._clock.now()
        records = [{"at": now, **loss.report()} for loss in self._losses.take()]
        payload = record.pack(self._clock.axis, self._anchor(), self._resource, records)
        return Frame(FrameKind.REPORTS, self.draw(), now, payload)

    def _victims(self, need: int) -> tuple[list[Segment], list[Loss]]:
        segments, losses = super()._victims(need)
        for segment in segments:
            for frame in self._rack.frames_in(segment):
                self._losses.carry(losses_in(frame))
        return segments, losses

    async def _forgo(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._losses.carry(losses_in(frame))
        await super()._forgo(frames)
