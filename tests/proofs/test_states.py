"""The short form of row `states`."""

from tests.proofs.states import short


def test_no_crash_of_three_lives_loses_or_doubles_a_sealed_batch() -> None:
    found = short()
    assert not found.violations, "\n".join(found.violations)
    assert found.tried >= 100_000
