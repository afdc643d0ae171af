"""The disk queue of one destination: four lanes below one folder, one lock, one worker, one lamp.

    <folder>/lock                                              held by flock while the spool is open
    <folder>/reserve                                           losses that no frame can hold just now (`reserve`)
    <folder>/<lane>/<generation>-<epoch>-<first seq>.seg       segments (`segment`)
    <folder>/<lane>/...-<after last>-<window>s.seg             thinned ones (`thinner`)
    <folder>/dead/                                             frames that the hub rejected, bounded
    <folder>/quarantine/                                       segments without a readable frame, bounded

Nothing that stands in the folder can stop a start: foreign names are left alone, and what stands where a folder must
be is renamed aside. A disk that takes nothing is no error either: the lanes work in memory, the lamp says so, and each
later call to any lane tries the disk again. Only another process that holds the lock is one.

A disk that hangs does not hold a stop: `close` waits a few seconds and leaves. Then what memory holds is not durable:
batches that wait for the disk (the sealer keeps the files of its own on tmpfs), reports, and losses not told yet; the
hub finds those numbers unaccounted. The lock is free when the call returns, or the process is gone.

The promises that are kept here, and where they are tried:

    No silent loss          A number that was drawn is in memory, in a segment, stood for by a thinned one, or in a
                            loss that is durable before its file goes: as a frame of the reports lane, or in the reserve
                            when the disk takes no frame. The inventory claims what is held, by names while nobody
                            read it. tests/spool: `test_walk` (random lives against a model), `test_quota`,
                            `test_thinner` and `test_reserve` (the world stops at every disk call in turn)
    What a crash costs      `append` returns True after `fdatasync`, and `fsync` of the folder where the segment is
                            new; after a failed sync the frames go to a new segment. A disk that takes nothing leaves
                            memory, bounded, and what that drops is declared. `test_lane`, `test_faults`, `test_stuck`
    The buffer heals        Names first, CRCs when read, search for the next frame after bad bytes; what cannot be read
                            goes aside. Nothing is a reason not to start. `test_scan`, `test_wounds`,
                            `test_unreadable`, `test_gone`

What is not known: losses that an earlier life told in a reports segment that nobody can read, and losses that wait
while reserve and segments are both refused and the power goes. Those numbers the hub finds unaccounted.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import anyio

from edge_agent.model.buffers import Buffer
from edge_agent.model.failure import DeviceError
from edge_agent.model.frame import LANES, LaneName, Loss
from edge_agent.model.lamp import Lamps
from edge_agent.model.ports import Chance, Clock, Disk, Offload, TrueTime
from edge_agent.spool.drawer import Drawer
from edge_agent.spool.home import Home
from edge_agent.spool.lane import Given, Lane
from edge_agent.spool.losses import Losses
from edge_agent.spool.options import Options
from edge_agent.spool.quota import Limiter
from edge_agent.spool.rack import Rack
from edge_agent.spool.reports import ReportsLane
from edge_agent.spool.reserve import Reserve

_CLOSE_WITHIN = 3.0


class Spool:
    """The disk queue below `folder` for one device."""

    def __init__(
        self,
        options: Options,
        folder: Path,
        device: str,
        disk: Disk,
        offload: Offload,
        clock: Clock,
        chance: Chance,
        lamps: Lamps,
        time: TrueTime,
    ) -> None:
        self._home = Home(disk, folder)
        self._offload = offload
        self._worker = offload.worker("spool")
        self._lamps = lamps
        self._losses = Losses()
        dead = Drawer(disk, self._home, "dead", options.dead_bytes)
        quarantine = Drawer(disk, self._home, "quarantine", options.quarantine_bytes)

        def rack(name: LaneName) -> tuple[Rack, Limiter]:
            quota = options.quota(name)
            return (
                Rack(name, self._home, device, disk, clock, quarantine, quota.max_bytes),
                Limiter(quota, disk, options.min_free_bytes, options.min_free_inodes),
            )

        given = Given(dead, self._worker, clock, chance, options.memory_bytes, self._changed)
        resource = {"device.id": device}
        reserve = Reserve(disk, folder)
        self._reports = ReportsLane(*rack("reports"), given, self._losses, reserve, resource, time.anchor)
        self._lanes: dict[LaneName, Lane] = {
            name: self._reports if name == "reports" else Lane(name, *rack(name), given, self._declare)
            for name in LANES
        }

    async def open(self) -> None:
        """Lock the folder and find what earlier lives left. DeviceError when another process holds it."""
        try:
            for lane in self._lanes.values():
                await lane.open()
        except BlockingIOError as error:
            self._offload.release(self._worker)
            raise DeviceError(
                f"the spool {self._home.folder} is held by another process",
                hint="stop the other edge-agent, or give this one its own state folder",
            ) from error
        await self._changed()

    def lane(self, name: LaneName) -> Buffer:
        """One lane of it."""
        return self._lanes[name]

    @property
    def lost(self) -> int:
        """How many batches were found lost since it was opened."""
        return sum(self._losses.totals.values())

    async def thin(self, widest: int) -> int:
        """Thin the next segment of telemetry by hand, to windows of `widest` ms at most; 0 when none can be.

        Else the bytes that came free. OSError when the disk does not let us.
        """
        return await self._lanes["telemetry"].thin(widest)

    async def repair(self, told: Callable[[int, int], None]) -> int:
        """Read every segment, declare what is lost, and write the damaged ones anew; how many those were.

        `told` hears after each segment how many of how many were read. OSError when the disk does not take a new file.
        """
        found = [(lane, segment) for lane in self._lanes.values() for segment in lane.segments]
        mended = 0
        for done, (lane, segment) in enumerate(found, 1):
            mended += await lane.mend(segment)
            told(done, len(found))
        return mended

    async def close(self) -> None:
        """Put what memory holds on disk if that works now, close the files, and let go of the lock."""
        with anyio.move_on_after(_CLOSE_WITHIN, shield=True) as patience:
            try:
                for name in reversed(LANES):
                    await self._lanes[name].close()
            finally:
                await self._worker.run(self._home.leave)
        if patience.cancelled_caught:
            unsaved = sum(lane.unsaved for lane in self._lanes.values())
            self._lamps.light("spool", "fail", f"the disk does not answer; batches that only memory held: {unsaved}")
        self._offload.release(self._worker)
        self._lamps.remove("spool")

    async def _declare(self, losses: Sequence[Loss]) -> None:
        await self._reports.declare(losses)

    async def _changed(self) -> None:
        """After each call: whoever works in memory may try the disk again, and the lamp follows."""
        for lane in self._lanes.values():
            if lane.why:
                await lane.retry()
        whys = sorted({lane.why for lane in self._lanes.values() if lane.why})
        if any(lane.overflowing for lane in self._lanes.values()):
            self._lamps.light(
                "spool", "fail", f"not durable, and memory is full: {self._home.folder}: {', '.join(whys)}"
            )
        elif whys:
            self._lamps.light("spool", "warn", f"not durable: {self._home.folder}: {', '.join(whys)}")
        elif unreadable := sum(lane.unreadable for lane in self._lanes.values()):
            self._lamps.light("spool", "warn", f"segments that the disk does not give just now: {unreadable}")
        else:
            lost = ", ".join(f"{numbers} {reason}" for reason, numbers in sorted(self._losses.totals.items()))
            self._lamps.light("spool", "ok", f"batches lost since the start: {lost}" if lost else "")
