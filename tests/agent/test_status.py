"""What the agent says of its clock."""

from typing import Any

from tests.sim.loop import run
from tests.sim.world import World, world


def clock(one: World) -> dict[str, Any]:
    """The clock of the agent's state."""
    said: dict[str, Any] = one.agent.status()["clock"]
    return said


def test_the_clock_is_told_with_its_source_its_error_and_its_age() -> None:
    async def scene() -> None:
        async with world() as one:
            one.line.cut()
            await one.passes(30)
            unknown = clock(one)
            one.line.mend()
            await one.passes(330)
            known = clock(one)
            assert abs(known["true_time"] - one.house.clock.wall()) <= known["error_ms"]
            assert known["wall_off_ms"] == known["wall"] - known["true_time"]
        nothing = ("true_time", "offset_ms", "error_ms", "source", "last_anchor_age_s", "wall_off_ms")
        assert {name: unknown[name] for name in nothing} == dict.fromkeys(nothing)
        assert (known["source"], known["steps"], known["disputes"]) == ("hub", 0, 0)
        assert known["true_time"] == known["now"] + known["offset_ms"]
        assert 0 <= known["last_anchor_age_s"] <= 60
        assert known["wall_off_ms"] < -(10**12), "its wall clock began in 1970"

    run(scene())


def test_a_kernel_that_is_synchronised_is_enough_unless_it_is_not_to_be_asked() -> None:
    async def scene(*, kernel: bool) -> dict[str, Any]:
        async with world(time={"kernel": kernel}) as one:
            one.line.cut()
            one.clock.set_wall(1_800_000_000_000, error=120)
            await one.passes(60)
            return clock(one)

    known, unknown = run(scene(kernel=True)), run(scene(kernel=False))
    assert (known["source"], known["wall_off_ms"]) == ("kernel", 0)
    assert known["error_ms"] in range(120, 140)
    assert unknown["source"] is None
