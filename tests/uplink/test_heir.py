"""What the disk did not give of an earlier life's batches is looked for again, by the same life."""

import errno
from collections import Counter

import pytest

from edge_agent.model.frame import Identity
from edge_agent.uplink.open_batch import OpenBatch
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


def test_earlier_batches_are_given_in_the_order_of_their_numbers() -> None:
    async def scene() -> None:
        disk = MemoryDisk()
        disk.make_folder(FOLDER)
        it = Scene(disk)
        for seq in (10, 2, 100, 9):
            OpenBatch(disk, FOLDER, Identity(it.buffer.epoch, seq), "axis.1", {}).append(it.tick(), Counter())
        await it.sealer.recover()
        assert [frame.identity.seq for frame in it.buffer.frames] == [2, 9, 10, 100]

    run(scene())
