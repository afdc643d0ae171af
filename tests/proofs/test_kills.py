"""Some kills of the agent."""

from tests.proofs.kills import prove


def test_kill_9_of_the_agent_costs_at_most_the_tick_in_hand() -> None:
    found = prove(0, devices=2, kills=5)
    assert found.tried == 10
    assert not found.violations, "\n".join(found.violations)
