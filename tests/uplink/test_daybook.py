"""The daybook: a day's bytes, over restarts, power cuts and damage."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from edge_agent.uplink.daybook import Daybook
from tests.sim.clock import SimClock
from tests.sim.disk import MemoryDisk
from tests.sim.loop import run
from tests.sim.offload import InlineOffload
from tests.uplink.plain import board, note, state

FILE = Path("/state/allowance")
HOUR = 3_600_000
MOST = 64_000


class Scene:
    """Lives of one daybook on one disk."""

    def __init__(self) -> None:
        self.disk, self.clock = MemoryDisk(), SimClock(start=0)
        self.offload = InlineOffload()
        self.lamps = board(self.clock)

    def opened(self) -> Daybook:
        """A life's daybook, to be entered."""
        return Daybook(MOST, FILE, self.disk, self.offload, self.clock, self.lamps)

    def reboot(self, name: str = "b", start: int = 0) -> None:
        """Another boot's clock, so many ms after its power came."""
        self.clock = SimClock(axis=name, start=start)

    @property
    def writes(self) -> int:
        """How often the file was written."""
        return self.disk.calls["replace"]


def playing(play: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def scene() -> None:
        await play(Scene())

    run(scene())


def test_bytes_are_free_again_a_day_after_their_hour() -> None:
    async def play(scene: Scene) -> None:
        daybook = scene.opened()
        async with daybook:
            await daybook.spend(40_000)
            await asyncio.sleep(2 * 3600)
            assert daybook.free_at(scene.clock.now()) == scene.clock.now()
            await daybook.spend(24_000)
            assert daybook.free_at(scene.clock.now()) == 25 * HOUR
            await asyncio.sleep(23 * 3600)
            assert daybook.free_at(scene.clock.now()) == scene.clock.now()
            assert daybook.used == 24_000

    playing(play)


def test_what_is_overspent_waits_for_more_than_one_hour_to_go() -> None:
    async def play(scene: Scene) -> None:
        daybook = scene.opened()
        async with daybook:
            await daybook.spend(10_000)
            await asyncio.sleep(3600)
            await daybook.spend(100_000)
            assert daybook.free_at(scene.clock.now()) == 26 * HOUR

    playing(play)


def test_a_stop_keeps_the_exact_count() -> None:
    async def play(scene: Scene) -> None:
        one, other = scene.opened(), scene.opened()
        async with one:
            await one.spend(12_345)
            await one.spend(1)
        async with other:
            assert other.used == 12_346

    playing(play)


def test_a_crash_costs_a_64th_and_never_makes_the_allowance_larger() -> None:
    async def play(scene: Scene) -> None:
        one = scene.opened()
        await one.__aenter__()
        for sent in range(100, 30_000, 100):
            await one.spend(100)
            other = scene.opened()
            async with other:
                assert sent <= other.used <= sent + MOST // 64
            scene.disk.calls.clear()

    playing(play)


def test_the_file_is_written_64_times_a_day_and_once_an_hour() -> None:
    async def play(scene: Scene) -> None:
        daybook = scene.opened()
        async with daybook:
            for _ in range(MOST // 10):
                await daybook.spend(10)
            assert scene.writes <= 65
            before = scene.writes
            for _ in range(24 * 60):
                await daybook.spend(0)
                await asyncio.sleep(60)
            assert scene.writes - before <= 24

    playing(play)


def test_a_reboot_counts_the_time_since_the_power_came_back() -> None:
    async def play(scene: Scene) -> None:
        one = scene.opened()
        async with one:
            await one.spend(MOST)
            await asyncio.sleep(10 * 3600)
        scene.reboot(start=2 * HOUR)
        other = scene.opened()
        async with other:
            assert other.used == MOST
            assert other.free_at(scene.clock.now()) - scene.clock.now() == (25 - 12) * HOUR

    playing(play)


def test_a_stop_within_one_boot_counts_the_time_in_between() -> None:
    async def play(scene: Scene) -> None:
        one, other = scene.opened(), scene.opened()
        async with one:
            await one.spend(MOST)
        await asyncio.sleep(25 * 3600)
        async with other:
            assert other.used == 0

    playing(play)


async def _written(scene: Scene) -> bytes:
    daybook = scene.opened()
    async with daybook:
        await daybook.spend(5_000)
    return scene.disk.read(FILE)


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (rb".*", b""),
        (rb"\n$", b""),
        (rb"5000", b"6000"),
        (rb".*", b"\xff" * 5000),
        (rb".*", bytes(4096)),
        (rb".*", b"00000000 {}\n"),
        (rb".*", b"4c2f32b8 [1]\n"),
    ],
)
def test_a_damaged_file_tells_nothing_and_that_is_said(found: bytes, left: bytes) -> None:
    async def play(scene: Scene) -> None:
        whole = re.compile(found, re.DOTALL)
        scene.disk.plant(FILE, whole.sub(lambda _: left, await _written(scene), count=1))
        daybook = scene.opened()
        async with daybook:
            assert daybook.used == 0
            assert state(scene.lamps, "allowance") == "warn"
            assert "count anew" in note(scene.lamps, "allowance")
            await daybook.spend(1)
            assert state(scene.lamps, "allowance") == "ok"

    playing(play)


def test_a_file_of_a_later_time_of_the_same_boot_tells_nothing() -> None:
    async def play(scene: Scene) -> None:
        await asyncio.sleep(100)
        await _written(scene)
        scene.clock = SimClock(start=0)
        daybook = scene.opened()
        async with daybook:
            assert daybook.used == 0
        assert "of a later time" in note(scene.lamps, "allowance") or state(scene.lamps, "allowance") == "ok"

    playing(play)


def test_a_disk_that_takes_nothing_leaves_the_count_in_memory() -> None:
    async def play(scene: Scene) -> None:
        scene.disk.fail("replace", 28, times=None)
        daybook = scene.opened()
        async with daybook:
            await daybook.spend(5_000)
            assert daybook.used == 5_000
            assert "in memory only" in note(scene.lamps, "allowance")

    playing(play)


def test_a_disk_that_hangs_is_waited_for_two_seconds() -> None:
    async def play(scene: Scene) -> None:
        daybook = scene.opened()
        async with daybook:
            scene.offload.hang("allowance")
            await daybook.spend(5_000)
            assert scene.clock.now() == 2_000
            for _ in range(10):
                await daybook.spend(5_000)
            assert scene.clock.now() == 2_000
            assert "the disk hangs" in note(scene.lamps, "allowance")
            scene.offload.free("allowance")

    playing(play)
