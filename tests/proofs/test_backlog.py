"""A small backlog is pushed from at once, by the agent's own program."""

from tests.bench.place import Place
from tests.proofs.backlog import MIB, start


def test_an_agent_that_starts_on_a_backlog_pushes_and_keeps_little_of_it_in_memory() -> None:
    with Place() as place:
        _seconds, held = start(place, 16 * MIB)
    assert held < 64, "MiB; the backlog alone is 16, and an agent without one has about 42"
