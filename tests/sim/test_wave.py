"""The waves are the same for the same options, and move."""

from pathlib import Path

from edge_agent.model.ports import Host
from tests.sim.wave import OFFER, Options

HOST = Host(Path("/nowhere"), live=False)


def test_the_nth_call_is_a_function_of_the_options_alone() -> None:
    one, other = (OFFER.build(Options(series=20, seed=3), HOST) for _ in range(2))
    assert [list(one.collect()) for _ in range(5)] == [list(other.collect()) for _ in range(5)]
    assert list(OFFER.build(Options(series=20, seed=4), HOST).collect()) != list(one.collect())


def test_counters_grow_and_gauges_move() -> None:
    wave = OFFER.build(Options(series=40), HOST)
    list(wave.collect())
    before, after = list(wave.collect()), list(wave.collect())
    moved = [was.value != now.value for was, now in zip(before, after, strict=True)]
    assert sum(moved) > 20
    assert all(
        (was.value or 0) < (now.value or 0) for was, now in zip(before, after, strict=True) if was.kind == "counter"
    )
