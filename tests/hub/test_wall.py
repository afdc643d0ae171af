"""The hub's wall clock: what it claims, and when it can be built on."""

from edge_agent.hub.wall import Wall
from tests.sim.clock import SimClock
from tests.sim.loop import run

YEARS = 10 * 365 * 86_400_000


def test_the_kernels_word_comes_before_the_setting_and_without_both_it_is_a_guess() -> None:
    async def scene() -> None:
        for told, stated, error in ((120, 50, 120), (None, 50, 50), (None, None, None)):
            wall = Wall(SimClock(wall_error=told), stated)
            assert (wall.error, bool(wall.era)) == (error, error is None)

    run(scene())


def test_it_is_settled_once_it_held_for_ten_minutes_and_no_more_after_a_step() -> None:
    async def scene() -> None:
        clock = SimClock(wall_error=100)
        wall = Wall(clock, None)
        held = [wall.is_settled]
        await clock.sleep(600)
        held.append(wall.is_settled)
        for step in (YEARS, -YEARS, 1500):
            clock.set_wall(clock.wall() + step, 100)
            held.append(wall.is_settled)
            await clock.sleep(599)
            held.append(wall.is_settled)
            await clock.sleep(2)
            held.append(wall.is_settled)
        assert held == [False, True] + 3 * [False, False, True]
        assert wall.steps == 3
        clock.set_wall(clock.wall() + 900, 100)
        assert wall.is_settled, "it was slewed"
        clock.set_wall(clock.wall() - 900, None)
        await clock.sleep(1)
        assert not wall.is_settled

    run(scene())


def test_a_guess_is_another_after_a_step_and_none_once_it_is_synchronised() -> None:
    async def scene() -> None:
        clock = SimClock(wall=5000)
        wall = Wall(clock, None)
        first = wall.era
        await clock.sleep(3600)
        assert wall.era == first
        assert first
        clock.set_wall(YEARS)
        second = wall.era
        assert second not in {0, first}
        clock.set_wall(4 * YEARS, 20)
        assert (wall.era, wall.error, wall.now()) == (0, 20, 4 * YEARS)

    run(scene())


def test_a_clock_that_is_pulled_hard_is_not_settled() -> None:
    async def scene() -> None:
        clock = SimClock(wall_error=100)
        wall = Wall(clock, None)
        for _ in range(1000):
            await clock.sleep(1)
            clock.set_wall(clock.wall() + 100, 100)
            assert not wall.is_settled or clock.now() < 1_000_000 + 10_000

    run(scene())
