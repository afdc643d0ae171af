"""The bookmark keeps one id, on one thread."""

from pathlib import Path

from edge_agent.downlink.bookmark import Bookmark
from edge_agent.model.ports import Worker
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.sim.loop import run
from tests.sim.offload import InlineOffload

FILE = Path("/state/last-event-id")


class Counted(InlineOffload):
    """Counts the workers that were ever asked for."""

    made = 0

    def worker(self, name: str) -> Worker:
        self.made += 1
        return super().worker(name)


def test_one_worker_serves_a_whole_life_and_ends_with_it() -> None:
    async def main() -> None:
        clock, disk, offload = SimClock(), MemoryDisk(), Counted()
        bookmark = Bookmark(FILE, disk, offload, clock)
        assert await bookmark.read() == ""
        for n in range(10):
            await clock.sleep(61)
            await bookmark.keep(f"e-{n}")
        assert disk.content(FILE).endswith(b" e-9\n")
        await bookmark.keep("e-10")
        await bookmark.keep("e-10", at_once=True)
        assert disk.content(FILE).endswith(b" e-10\n")
        assert (offload.made, offload.workers) == (1, [])

    run(main())
