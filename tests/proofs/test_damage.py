"""The short form of row `damage`."""

from tests.proofs.damage import suffered


def test_no_wound_stops_a_start_and_each_costs_no_more_than_it_hit() -> None:
    found = suffered(0, queue=1_425, real=60, agents=15)
    assert not found.violations, "\n".join(found.violations)
    assert found.tried == 1_500
    assert found.figures["lost"] > 1_000
