"""The reports lane: a lane that also carries what all lanes lost.

Losses are merged while they wait. While the disk takes frames they become one at once, past every quota, before the
file that they are about goes. While it does not, they wait merged, and become a frame when the pusher asks; and then
the standing `reserve` has them, before the file goes too. They are kept there until a frame of them is durable, or the
hub has settled it; at a start they are taken up from there.

What this life told and the hub has not settled yet is remembered, merged. When segments or frames of this lane must be
given up, the losses that can be read in them are told again, and when some were damaged or went, all that is
remembered: to tell a loss twice does no harm. What an earlier life told in a frame that nobody can read any more is
for the hub to find unaccounted.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from edge_agent.model.anchor import Anchor
from edge_agent.model.frame import Frame, FrameKind, Identity, Loss
from edge_agent.model.verdict import Settlement
from edge_agent.spool.lane import Given, Lane
from edge_agent.spool.losses import Losses, losses_in
from edge_agent.spool.quota import Limiter
from edge_agent.spool.rack import Rack
from edge_agent.spool.reserve import Reserve
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
        reserve: Reserve,
        resource: Mapping[str, str],
        anchor: Callable[[], Anchor | None],
    ) -> None:
        super().__init__("reports", rack, limiter, given, self._record)
        self._losses = losses
        self._reserve = reserve
        self._reserved: list[Loss] = []
        self._told = Losses()
        self._unsettled: set[Identity] = set()
        self._resource = resource
        self._anchor = anchor

    async def open(self) -> None:
        """Find what earlier lives left, the reserve too; BlockingIOError when another process holds the spool."""
        await super().open()
        async with self._lock:
            self._losses.carry(await self._work(self._reserve.read))
            self._reserved = self._losses.all()
            if not self.why:
                with suppress(OSError):
                    await self._work(self._reserve.make)
            await self._write_losses()

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
                self._remember(self._frame())
        return await super().oldest(most_bytes, most_frames)

    async def settle(self, settled: Mapping[Identity, Settlement]) -> None:
        """Let go of these; what all of them told need not be remembered then."""
        await super().settle(settled)
        async with self._lock:
            self._unsettled -= settled.keys()
            if not self._unsettled:
                self._told.take()
            await self._keep_in_reserve()

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
        """Put what waits on disk, past the quota, or into the reserve if the disk takes nothing."""
        if self._losses and not self.why:
            frame = self._frame()
            self._remember(frame)
            try:
                await self._work(self._rack.enter)
                await self._work(self._rack.write, [frame])
            except OSError as error:
                self._fall(error)
            else:
                self._memory.drop(frame.identity)
        await self._keep_in_reserve()

    async def _keep_in_reserve(self) -> None:
        """Have in the reserve what only memory knows, and nothing once that is none."""
        waiting = Losses()
        if self._losses or any(identity in self._memory for identity in self._unsettled):
            waiting.carry(self._losses.all())
            waiting.carry(self._told.all())
        losses = waiting.all()
        if losses != self._reserved:
            with suppress(OSError):
                await self._work(self._reserve.keep, losses)
                self._reserved = losses

    def _frame(self) -> Frame:
        """All losses that wait, as a frame."""
        now = self._clock.now()
        losses = self._losses.take()
        records = [{"at": now, **loss.report()} for loss in losses]
        payload = record.pack(self._clock.axis, self._anchor(), self._resource, records)
        identity = self.draw()
        self._told.carry(losses)
        self._unsettled.add(identity)
        return Frame(FrameKind.REPORTS, identity, now, payload)

    def _victims(self, need: int) -> tuple[list[Segment], list[Loss]]:
        segments, losses = super()._victims(need)
        for segment in segments:
            for frame in self._rack.lender.all_of(segment):
                self._losses.carry(losses_in(frame))
        return segments, losses

    async def _confess(self) -> None:
        if self._rack.stock.losses:
            self._losses.carry(self._told.all())
        await super()._confess()

    async def _forgo(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._losses.carry(losses_in(frame))
        await super()._forgo(frames)
