"""Some kills of the hub."""

from tests.proofs.hubkills import prove


def test_what_a_hub_acknowledged_survives_its_kill() -> None:
    found = prove(0, sources=2, kills=4)
    assert found.tried == 4
    assert found.figures["checked"] > 0
    assert not found.violations, "\n".join(found.violations)
