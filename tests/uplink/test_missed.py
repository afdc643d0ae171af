"""Beats that were missed are said once: by the batch that can say them, and by none after a crash that another said."""

import errno
from collections import Counter

from edge_agent.model.reading import Missed
from edge_agent.wire.batch import parse, unzip
from tests.sim.loop import run
from tests.uplink.sealing import FOLDER, Scene


def test_what_was_missed_waits_for_a_seal_that_can_say_it() -> None:
    async def scene() -> None:
        it = Scene()
        async with it.sealer:
            await it.sample(1)
            it.sealer.miss(Missed("gps", 1, "hung"))
            it.disk.fail("append", errno.ENOSPC)
            await it.sealer.flush()
            await it.sample(1)
        stats = [parse(unzip(frame.payload, 2**20)).stat for frame in it.buffer.frames]
        assert stats == [{"recovered": True}, {"missed": [["gps", 1, "hung"]]}]

    run(scene())


def test_what_was_missed_outlives_a_crash_with_the_next_tick() -> None:
    async def scene() -> None:
        it = Scene()
        it.disk.make_folder(FOLDER)
        await it.sample(1)
        it.sealer.miss(Missed("gps", 2, "hung"))
        await it.sample(1)
        it.sealer.miss(Missed("gps", 1, "stalled"))
        it.disk.kill()
        later = Scene(it.disk)
        assert await later.sealer.recover() == 1
        stat = parse(unzip(later.buffer.frames[0].payload, 2**20)).stat
        assert stat == {"recovered": True, "missed": [["gps", 2, "hung"]]}

    run(scene())


def test_what_a_batch_says_was_missed_is_not_said_by_the_next() -> None:
    async def scene() -> None:
        it = Scene()
        async with it.sealer:
            await it.sample(1)
            it.sealer.miss(Missed("gps", 2, "hung"))
            await it.sample(1)
            it.sealer.miss(Missed("gps", 3, "hung"))
            it.disk.fail("append", errno.ENOSPC)
            await it.sample(1)
        stats = [parse(unzip(frame.payload, 2**20)).stat for frame in it.buffer.frames]
        assert stats == [{"recovered": True, "missed": [["gps", 2, "hung"]]}, {"missed": [["gps", 3, "hung"]]}]

    run(scene())


def test_what_was_missed_while_no_batch_was_open_is_said_by_the_next_sealer() -> None:
    async def scene() -> None:
        missed = Counter[tuple[str, str]]()
        it = Scene(missed=missed)
        async with it.sealer:
            it.sealer.miss(Missed("gps", 2, "hung"))
        assert it.buffer.frames == []
        later = Scene(buffer=it.buffer, missed=missed)
        async with later.sealer:
            await later.sample(1)
        assert parse(unzip(it.buffer.frames[0].payload, 2**20)).stat == {"missed": [["gps", 2, "hung"]]}
        assert not missed

    run(scene())
