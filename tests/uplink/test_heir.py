"""What the disk did not give of an earlier life's batches is looked for again, by the same life."""

import errno

import pytest

from tests.sim.disk import MemoryDisk
from tests.sim.loop import run
from tests.uplink.plain import PlainBuffer
from tests.uplink.sealing import FOLDER, Scene, ticks_in


@pytest.mark.parametrize("call", ["entries", "read"])
def test_a_disk_that_failed_once_costs_no_batch_of_an_earlier_life(call: str) -> None:
    async def scene() -> None:
        disk, buffer = MemoryDisk(), PlainBuffer()
        disk.make_folder(FOLDER)
        await Scene(disk, buffer).sample(5)
        disk.kill()
        disk.fail(call, errno.EIO, where=str(FOLDER))
        it = Scene(disk, buffer, every=10)
        assert await it.sealer.recover() == 0
        async with it.sealer:
            await it.sample(55)
            assert [len(ticks_in(frame)) for frame in buffer.frames] == [10] * 5
            await it.sample(20)
        assert sorted(len(ticks_in(frame)) for frame in buffer.frames) == [5] * 2 + [10] * 7
        assert disk.paths(FOLDER) == []

    run(scene())
